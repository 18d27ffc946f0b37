/**
 * How a check is answered so that "rolled back" is true for ever.
 *
 *     read ──known──▶ the fate is a fact: committed, or rolled back
 *      │
 *      └─absent──▶ held by an open transaction? ──▶ pending
 *                        │ no
 *            BEGIN ─▶ insert 'fenced' ─▶ read again ─▶ read the horizon ─▶ COMMIT ─▶ rolled back, binding
 *                        │ waits 300 ms      │ facts        │ too old           │
 *                        ▼                   ▼              ▼                   ▼ no answer
 *                     pending        committed, fenced   ROLLBACK, expired   pending: the next check reads what became true
 *
 * The primary key is the referee: of a business transaction that inserts 'committed' and of us who insert 'fenced' one is second, and waits,
 * and then fails. Not having found a row proves nothing: its transaction may be open. Only our own row, committed, does.
 *
 * - What we waited for we cannot see in the statement that waited: the fates are read again in a new one.
 * - The horizon comes last: rows older than it may have been purged, so a message prepared before it may have committed and been forgotten. Read
 *   before the insert, a purge that was under way could slip between. A fence on such a message would be a lie: it is rolled back.
 * - Reads are at READ COMMITTED. READ UNCOMMITTED would show rows that may still be rolled back, an older snapshot would miss some.
 * - A crash anywhere leaves a row or none; the next check finds out which. Nothing is left open: an error ends the transaction, a deadline the
 *   connection.
 */
import { type Clock, waybillError } from "@waybill/core";
import type { Connection, OwnedTx } from "@waybill/sql";
import type { BarrierTables, Fate, KnownFates } from "./barrier-tables.ts";
import { type SettleFailure, settleFailure } from "./settle-error.ts";

/** A half message that is asked about, and how long ago it was prepared. */
export interface AskedFate {
  readonly id: string;
  readonly ageMs: number;
  /** The identity of the barrier that it was prepared for. Left out: whichever this is. */
  readonly barrier?: string;
}

/**
 * What the barrier says. `rolledBack` is binding: no transaction of this half message can commit any more. `expired`: too old for the
 * barrier to know. `otherBarrier`: the database is not the one that was prepared for.
 */
export type SettledFate =
  | { readonly kind: "committed" | "rolledBack" | "expired" }
  | { readonly kind: "pending"; readonly why: "open" | "unreached" | "otherBarrier" | SettleFailure["kind"] };

export interface SettleContext {
  readonly tables: BarrierTables;
  readonly connection: Connection;
  readonly clock: Clock;
  readonly producer: string;
  readonly identity: string;
  /** Monotonic time at which we answer, whatever is known then. */
  readonly untilMs: number;
  readonly lockTimeoutMs: number;
  /** Told what somebody must put right. */
  readonly onBroken: (code: string) => void;
}

/** Clocks of two databases, and the time between BEGIN and prepare: a message is taken for this much older than it is said to be. */
const ageSlackMs = 3_600_000;

/** Less time than this is not worth a transaction. */
const stepMsMin = 5;

/** Asks the barrier about each half message; what it has not come to by the deadline is pending. Never rejects. */
export async function settleFates(context: SettleContext, asked: readonly AskedFate[]): Promise<ReadonlyMap<string, SettledFate>> {
  const { tables } = context;
  const settled = new Map<string, SettledFate>();
  const settle = (ids: readonly AskedFate[], fate: SettledFate): void => {
    for (const { id } of ids) settled.set(id, fate);
  };
  const unknown = await readFacts(context, asked, settled);
  const queue = chunks(unknown, tables.fencedTogether).map((ids) => ({ ids, mayRepeat: true }));
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { ids, mayRepeat } = next;
    if (remainingMs(context) < stepMsMin) {
      settle(ids, { kind: "pending", why: "unreached" });
      continue;
    }
    const fenced = await fence(context, ids);
    if (fenced.kind === "settled") {
      for (const [id, fate] of fenced.fates) settled.set(id, fate);
      if (fenced.again.length > 0) queue.unshift({ ids: fenced.again, mayRepeat });
      continue;
    }
    const { failure } = fenced;
    if (failure.kind === "broken") context.onBroken(failure.code);
    if (failure.kind === "held" && ids.length > 1) {
      queue.unshift(...ids.map((one) => ({ ids: [one], mayRepeat })));
    } else if ((failure.kind === "deadlock" && mayRepeat) || failure.kind === "present") {
      const stillUnknown = await readFacts(context, ids, settled);
      if (failure.kind === "deadlock" && stillUnknown.length > 0) queue.unshift({ ids: stillUnknown, mayRepeat: false });
      else settle(stillUnknown, { kind: "pending", why: failure.kind });
    } else {
      settle(ids, { kind: "pending", why: failure.kind });
    }
  }
  return settled;
}

/** Reads what is known already, notes it, and answers what is not. If it cannot be read, everything is pending. */
async function readFacts(
  context: SettleContext,
  asked: readonly AskedFate[],
  settled: Map<string, SettledFate>,
): Promise<readonly AskedFate[]> {
  const { tables, connection, producer, onBroken } = context;
  const pending = (why: "otherBarrier" | SettleFailure["kind"]): readonly AskedFate[] => {
    for (const { id } of asked) settled.set(id, { kind: "pending", why });
    return [];
  };
  const ids = asked.map(({ id }) => id);
  try {
    const known = await tables.readFates(connection, producer, ids, Math.max(1, remainingMs(context)));
    const problem = identityProblem(context, known.identity);
    if (problem !== null) return pending(problem);
    for (const [id, fate] of known.fates) settled.set(id, factOf(fate));
    return asked.filter(({ id }) => !known.fates.has(id));
  } catch (error) {
    const failure = settleFailure(error);
    if (failure.kind === "broken") onBroken(failure.code);
    return pending(failure.kind);
  }
}

type Fenced =
  /** `again`: to be fenced once more without the others, for among them was one too old, and nothing was kept. */
  | { readonly kind: "settled"; readonly fates: ReadonlyMap<string, SettledFate>; readonly again: readonly AskedFate[] }
  | { readonly kind: "failed"; readonly failure: SettleFailure };

/** Thrown inside the transaction to roll it back. */
class TooOld extends Error {
  readonly known: KnownFates;
  readonly horizonAgeMs: number;
  constructor(known: KnownFates, horizonAgeMs: number) {
    super("Too old for the barrier to know.");
    this.known = known;
    this.horizonAgeMs = horizonAgeMs;
  }
}

async function fence(context: SettleContext, asked: readonly AskedFate[]): Promise<Fenced> {
  const { tables, connection, producer } = context;
  try {
    for (const { id } of asked) await tables.lookAtFate(connection, producer, id, Math.max(1, remainingMs(context)));
    const outcome = await connection.unitOfWork((tx) => fenceInside(context, tx, asked), {
      operation: "fence",
      deadlineMs: Math.max(1, remainingMs(context)),
      repetitionsMax: 0,
    });
    switch (outcome.kind) {
      case "committed":
        return settledBy(asked, outcome.value);
      case "rolledBack":
        return ofError(outcome.error, asked);
      case "unknown":
        // Never again over this connection: it may still hold the answer.
        await connection.close();
        return { kind: "failed", failure: { kind: "passing" } };
    }
  } catch (error) {
    return ofError(error, asked);
  }
}

/** Steps between BEGIN and COMMIT. */
async function fenceInside(context: SettleContext, tx: OwnedTx, asked: readonly AskedFate[]): Promise<KnownFates> {
  const { tables, producer, lockTimeoutMs } = context;
  const ids = asked.map(({ id }) => id);
  await tables.limitFence(tx, { lockTimeoutMs, statementMs: Math.max(1, remainingMs(context)) });
  await tables.fence(tx, producer, ids);
  const known = await tables.readFates(tx, producer, ids);
  if (known.identity !== context.identity) throw barrierMissing("identity");
  const horizonAgeMs = await tables.readHorizon(tx);
  if (horizonAgeMs === null) throw barrierMissing("horizon");
  if (asked.some((one) => isLie(one, known, horizonAgeMs))) throw new TooOld(known, horizonAgeMs);
  return known;
}

function settledBy(asked: readonly AskedFate[], known: KnownFates): Fenced {
  const fates = new Map<string, SettledFate>();
  for (const { id } of asked) {
    const fate = known.fates.get(id);
    // Purged between the two statements, or of a kind that we do not know: the next check finds out.
    fates.set(id, fate === undefined ? { kind: "pending", why: "present" } : factOf(fate));
  }
  return { kind: "settled", fates, again: [] };
}

function ofError(error: unknown, asked: readonly AskedFate[]): Fenced {
  if (!(error instanceof TooOld)) return { kind: "failed", failure: settleFailure(error) };
  const { known, horizonAgeMs } = error;
  const tooOld = asked.filter((one) => isLie(one, known, horizonAgeMs));
  const fates = new Map(tooOld.map(({ id }): [string, SettledFate] => [id, { kind: "expired" }]));
  return { kind: "settled", fates, again: asked.filter(({ id }) => !fates.has(id)) };
}

/** True if a fence on it would say more than we know: it may have committed, and been purged. */
function isLie({ id, ageMs }: AskedFate, known: KnownFates, horizonAgeMs: number): boolean {
  return known.fates.get(id) !== "committed" && ageMs + ageSlackMs > horizonAgeMs;
}

function factOf(fate: Fate): SettledFate {
  return { kind: fate === "committed" ? "committed" : "rolledBack" };
}

function identityProblem(context: SettleContext, found: string | null): "otherBarrier" | "broken" | null {
  if (found === context.identity) return null;
  if (found !== null) return "otherBarrier";
  context.onBroken("identity");
  return "broken";
}

function remainingMs({ clock, untilMs }: SettleContext): number {
  return untilMs - clock.monotonicMs();
}

function chunks(asked: readonly AskedFate[], size: number): readonly (readonly AskedFate[])[] {
  if (asked.length <= size) return asked.length === 0 ? [] : [asked];
  const parts: (readonly AskedFate[])[] = [];
  for (let from = 0; from < asked.length; from += size) parts.push(asked.slice(from, from + size));
  return parts;
}

function barrierMissing(what: "identity" | "horizon"): Error {
  const problem = `the barrier's ${what} is missing; apply the migrations of set "barrier", and delete nothing by hand`;
  return waybillError("WAYBILL_CONFIG_INVALID", `The barrier: ${problem}.`, { problems: [{ option: what, problem }] });
}
