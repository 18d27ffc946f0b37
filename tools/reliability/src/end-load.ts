/**
 * Brings a load to rest and judges it.
 *
 *     faults end ─▶ writers end ─▶ dead letters are sent again, until nothing moves ─▶ relays and consumers end ─▶ leases end ─▶ audit, CO, QS
 *
 * Everything gets the time it needs as long as something moves: how long a recovery may take is a scenario's own criterion, not this one's.
 */
import {
  audit,
  type Fault,
  type History,
  readBusinessRows,
  readEffects,
  readInbox,
  readJournal,
  readLedger,
  type Verdict,
} from "@waybill/auditor";
import { redriveDeadLetters } from "@waybill/dead-letter";
import { namespace } from "@waybill/sql";
import {
  judgeLease,
  type LeaseJudgement,
  leasesEnd,
  readLeaseWrites,
  readLedgerStanding,
  type Session,
  type SessionRow,
} from "@waybill/testing";
import { consumerName } from "./bank.ts";
import { judgeBalances, type Move } from "./judge-balances.ts";
import type { Load } from "./load.ts";
import type { Place } from "./place.ts";

export interface EndedLoad {
  readonly history: History;
  readonly verdict: Verdict;
  readonly lease: LeaseJudgement;
  /** What is wrong with balances and with what was left over, in words. */
  readonly problems: readonly string[];
  /** How often the relays' lease went to another. */
  readonly takeovers: number;
  /** Messages that an inbox found it had handled before. */
  readonly duplicates: number;
}

/** Nobody can tell what is late from what is lost: the run says nothing. */
export class NoVerdict extends Error {
  override readonly name: string = "NoVerdict";
}

/** Beyond every backoff, lease, session and fence of the run, on a machine that has much else to do. */
const stalledAfterMs = 90_000;
/** Whatever still moves then moves too slowly for anybody to wait for it. */
const restMaxMs = 600_000;
const lookEveryMs = 250;
const sayEveryMs = 5_000;
const endDeadlineMs = 30_000;
const sessionsDeadlineMs = 15_000;

export interface EndLoadOptions {
  readonly faults: readonly Fault[];
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Stops everything of the load. What it leaves is `load.close()`'s. */
export async function endLoad(load: Load, { faults, say, signal }: EndLoadOptions): Promise<EndedLoad> {
  const problems: string[] = [];
  for (const proxy of [load.relaysBroker, load.consumersBroker]) proxy?.heal();
  for (const { link } of [...load.writers, ...load.relays, ...load.consumers]) link.heal();
  for (const { seat } of load.writers) seat.tell("stop");
  await Promise.all(load.writers.map(async ({ seat }) => (await seat.ends(endDeadlineMs)) || seat.kill()));
  for (const { seat } of [...load.relays, ...load.consumers]) await seat.start();
  const isQuiet = await becomesQuiet(load, say, signal);
  signal.throwIfAborted();
  if (!isQuiet) problems.push("QS it did not come to rest: nothing moved for a long while");

  for (const parts of [load.relays, load.consumers]) {
    const codes = await Promise.all(parts.map(({ seat }) => seat.end(endDeadlineMs)));
    for (const [index, code] of codes.entries())
      if (code !== 0) problems.push(`QS ${parts[index]?.seat.name} did not end when it was told, exit code ${code}`);
  }
  if (!(await leasesEnd(load.source.ask, 4 * load.options.leaseMs))) problems.push("QS a lease is still held");
  await load.tap.readToEnd();
  if (isQuiet) problems.push(...(await leftOver(load)));

  const history = await collect(load, faults);
  problems.push(...judgeBalances(await readBalances(load)));
  const lease = judgeLease(await load.source.ask(readLeaseWrites));
  const duplicates = load.told.filter(({ event }) => event["name"] === "inbox.duplicate").length;
  return { history, verdict: audit(history), lease, takeovers: lease.takeovers, problems, duplicates };
}

/**
 * True when all is published, delivered, handled and settled; false when nothing moved for a long while. Throws `NoVerdict` when something still moves after ten
 * minutes.
 */
async function becomesQuiet(load: Load, say: (line: string) => void, signal: AbortSignal): Promise<boolean> {
  let sign = "";
  let movedMs = performance.now();
  let saidMs = movedMs;
  const endsMs = movedMs + restMaxMs;
  while (!signal.aborted && performance.now() - movedMs < stalledAfterMs) {
    if (performance.now() >= endsMs)
      throw new NoVerdict(
        `The load did not come to rest in ${restMaxMs} ms, although something moved: the machine is too slow for a verdict.`,
      );
    try {
      await redrive(load.source, "relay");
      await redrive(load.target, "inbox");
      const ledger = await load.source.ask(readLedgerStanding);
      const handled = await load.target.ask(readHandled);
      const expected = await load.source.ask(countMessages);
      const waiting = await load.topics.waiting();
      if (ledger.isQuiet && handled.credits >= expected && handled.open === 0 && waiting === 0) return true;
      const now = `${ledger.sign} ${load.tap.received.length} received, ${handled.credits} of ${expected} credited, ${handled.open} dead letters, ${waiting} waiting`;
      if (now !== sign) movedMs = performance.now();
      sign = now;
      if (performance.now() - saidMs > sayEveryMs) {
        say(`not quiet yet: ${sign}`);
        saidMs = performance.now();
      }
    } catch {
      // A server is still coming up: it has as long as everything else.
    }
    await pause(lookEveryMs);
  }
  return false;
}

/** What is in the dead letters is sent again: at the end nothing is in its way any more. */
async function redrive({ database }: Place, origin: "relay" | "inbox"): Promise<void> {
  await redriveDeadLetters(database, namespace(database.dialect), { origin }, { who: "reliability", why: "the faults are over" });
}

const countMessages = async (session: Session): Promise<number> =>
  Number((await session.run("select count(*) as count from transfer"))[0]?.["count"]);

async function readHandled(session: Session): Promise<{ readonly credits: number; readonly open: number }> {
  const [credits] = await session.run("select count(*) as count from credit");
  const [open] = await session.run("select count(*) as count from waybill_dead_letter where state in ('dead', 'held', 'released')");
  return { credits: Number(credits?.["count"]), open: Number(open?.["count"]) };
}

/** Nobody of ours is connected any more, and nothing of ours waits at the broker. */
async function leftOver(load: Load): Promise<readonly string[]> {
  const problems: string[] = [];
  const waiting = await load.topics.waiting();
  if (waiting > 0) problems.push(`QS ${waiting} messages wait at the broker`);
  for (const [name, place] of [
    ["source", load.source],
    ["target", load.target],
  ] as const) {
    const endsMs = performance.now() + sessionsDeadlineMs;
    // Our own pool, which redrives, is there as well.
    await place.database.close();
    let sessions = await place.ask(countSessions);
    while (sessions > 0 && performance.now() < endsMs) {
      await pause(lookEveryMs);
      sessions = await place.ask(countSessions);
    }
    if (sessions > 0) problems.push(`QS ${sessions} sessions are left in the ${name}`);
  }
  return problems;
}

async function countSessions(session: Session): Promise<number> {
  const [row] = await session.run({
    postgres:
      "select count(*) as count from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'",
    mysql: "select count(*) as count from information_schema.processlist where db = database() and id <> connection_id()",
  });
  return Number(row?.["count"]);
}

async function collect(load: Load, faults: readonly Fault[]): Promise<History> {
  const source = { url: load.source.url };
  const target = { url: load.target.url };
  const ledger = await readLedger(source);
  const inbox = await readInbox(target);
  return {
    ...ledger,
    intents: await readJournal(...load.journals),
    businessRows: await readBusinessRows(source, { sql: "select message_id from transfer" }),
    received: load.tap.received,
    deadLetters: [...ledger.deadLetters, ...inbox.deadLetters],
    consumers: [{ consumer: consumerName }],
    effects: await readEffects(target, consumerName, { sql: "select message_id from credit order by place" }),
    handled: inbox.handled,
    faults,
  };
}

async function readBalances({ source, target }: Load): Promise<Parameters<typeof judgeBalances>[0]> {
  const accounts = async (place: Place): Promise<ReadonlyMap<number, number>> => {
    const rows = await place.ask((session) => session.run("select id, cents from account"));
    return new Map(rows.map((row) => [Number(row["id"]), Number(row["cents"])]));
  };
  const moves = (place: Place, table: "transfer" | "credit"): Promise<readonly Move[]> =>
    place.ask(async (session) => (await session.run(`select message_id, account_id, cents from ${table}`)).map(moveOf));
  return {
    source: await accounts(source),
    target: await accounts(target),
    transfers: await moves(source, "transfer"),
    credits: await moves(target, "credit"),
  };
}

const moveOf = (row: SessionRow): Move => ({
  messageId: String(row["message_id"]),
  account: Number(row["account_id"]),
  cents: Number(row["cents"]),
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
