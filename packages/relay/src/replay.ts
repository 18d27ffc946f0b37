/**
 * Publishes again what a subscription has finished, beside it: a range of ids or times, filtered, at a chosen rate, each message marked.
 *
 *     read in id order ─▶ filter ─▶ a call at a time, at most so many a second ─▶ confirmed: goes on
 *                                       ▲                                          rejected: noted, its key goes on behind it
 *                                       └── retry, unknown: backs off, first of its key again ◀──┘
 *
 * The range ends below the subscription's low-water mark, so that everything in it was published (or decided about) before: a replay repeats, and the
 * order of first publications is not touched. Among themselves its messages keep the order of their keys. It takes no lease and moves no cursor.
 *
 * A crash leaves its first line of audit, with the range; whoever starts it again repeats. Stopped by its signal it tells the id to go on with, and what
 * was on the wire is waited for: nothing below that id is missing, nothing from it on was confirmed out of its turn unless its key had failed before.
 */
import {
  type BackoffPolicy,
  backoffMs,
  behindItsKey,
  type Clock,
  type OutgoingMessage,
  type PublishOutcome,
  type Random,
  replayHeader,
  systemClock,
  systemRandom,
  type Transport,
  throwConfigProblems,
  wait,
  waybillError,
  withDeadline,
} from "@waybill/core";
import { createLedger, type Ledger, type LedgerFacts, type LedgerRow } from "@waybill/outbox";
import { type Connection, checkName, committedValue, type Database, type Namespace, writeAudit } from "@waybill/sql";
import type { ChangeOptions, SubscriptionName } from "./change-subscription.ts";
import { listSubscriptions } from "./list-subscriptions.ts";
import { filterProblems, type MessageFilter, messageFilter } from "./message-filter.ts";
import { headerParser, isFence, outgoingMessage, unreadableReason } from "./outgoing.ts";
import { lastIdAt, type Position } from "./position.ts";

export interface ReplayOptions extends MessageFilter, SubscriptionName, ChangeOptions {
  readonly transport: Transport;
  /** The first message: see `Position`. */
  readonly from: Position;
  /** The last one; a time is where it ends. Default, and at most: all that the subscription has finished. */
  readonly to?: Position;
  /** Keys, whole. Default: all, and messages without one. */
  readonly keys?: readonly string[];
  /** Default 1 000. */
  readonly messagesPerSecond?: number;
  /** Default 10 000: after this an unanswered call is repeated. */
  readonly publishDeadlineMs?: number;
  /** Default 20: tries of one message for its own sake, then it counts as rejected. */
  readonly attemptsMax?: number;
  /** Default 100: so many rejected messages end it, for something else must be wrong. */
  readonly rejectedMax?: number;
  /** Default 600 000: it ends when nothing was confirmed for so long. */
  readonly giveUpAfterMs?: number;
  /** Stops it, after what is on the wire. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface ReplayReport {
  /** `end`: of the range. `failure`: see `failure`. */
  readonly endedBy: "end" | "signal" | "failure";
  /** `historyRemoved`, `tooManyRejected`, `transportThrew`, or the reason of the last outcome when nothing was confirmed for too long. */
  readonly failure: string | null;
  readonly fromId: bigint;
  readonly toId: bigint;
  /** Where to go on: everything before it was published, passed over by the filter, or rejected. */
  readonly nextId: bigint;
  readonly published: number;
  /** Publications whose fate is unknown, and that were repeated. */
  readonly unknown: number;
  readonly rejected: readonly { readonly sequence: bigint; readonly messageId: string; readonly reason: string }[];
}

const rowsMax = 1_000;
const callMax = 500;
const callBytesMax = 4_194_304;
const deadlineMs = 10_000;
const backoff: BackoffPolicy = { firstMs: 100, maxMs: 5_000 };

/**
 * @throws WAYBILL_CONFIG_INVALID, WAYBILL_SUBSCRIPTION_REFUSED (`missing`), WAYBILL_POSITION_REFUSED for a range that was removed or that the
 * subscription has not finished, WAYBILL_IDENTIFIER_INVALID, WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN
 */
export async function replay(database: Database, space: Namespace, options: ReplayOptions): Promise<ReplayReport> {
  const rate = options.messagesPerSecond ?? 1_000;
  throwConfigProblems("The replay", [
    ...filterProblems(options),
    ...(Number.isInteger(rate) && rate >= 1 && rate <= 1_000_000
      ? []
      : [{ option: "messagesPerSecond", problem: "a whole number from 1 to 1000000" }]),
  ]);
  const stream = checkName("stream", options.stream ?? "default");
  const subscription = checkName("subscription", options.subscription ?? "default");
  const ledger = createLedger({ space, stream });
  const connection = await database.connect({ purpose: "replay" });
  const audit = async (what: string, detail: object): Promise<void> => {
    const text = JSON.stringify(detail, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
    const { who, why } = options;
    const entry = { who, what, why, subject: `subscription ${stream}/${subscription}`, detail: text };
    committedValue(what, await database.unitOfWork((tx) => writeAudit(tx, space, entry), { operation: what }));
  };
  try {
    const facts = await ledger.facts(connection, { deadlineMs });
    const { fromId, toId } = await rangeOf(connection, space, stream, subscription, facts, options);
    const { topics = null, types = null, keys } = options;
    // Keys may be customers' numbers: how many there are is all the audit keeps.
    await audit("subscription.replay", { fromId, toId, topics, types, keys: keys?.length ?? null, messagesPerSecond: rate });
    const report = await run(ledger, connection, { ...options, stream, subscription, rate, fromId, toId });
    await audit("subscription.replayed", { ...report, rejected: report.rejected.length });
    return report;
  } finally {
    await connection.close();
  }
}

async function rangeOf(
  connection: Connection,
  space: Namespace,
  stream: string,
  subscription: string,
  facts: LedgerFacts,
  { from, to }: ReplayOptions,
): Promise<{ readonly fromId: bigint; readonly toId: bigint }> {
  const listed = await listSubscriptions(connection, space, { deadlineMs });
  const one = listed.find((found) => found.stream === stream && found.subscription === subscription);
  if (one === undefined) {
    const refusal = { stream, subscription, reason: "missing" } as const;
    throw waybillError(
      "WAYBILL_SUBSCRIPTION_REFUSED",
      `There is no subscription ${stream}/${subscription} whose messages could be replayed.`,
      refusal,
    );
  }
  const finishedTo = (one.ranges[0]?.low ?? one.lastId + 1n) - 1n;
  const fromId = (await lastIdAt(connection, space, stream, facts, from)) + 1n;
  if (to === undefined) return { fromId, toId: finishedTo };
  if (typeof to === "object" && "id" in to) {
    if (to.id <= finishedTo) return { fromId, toId: to.id };
    const advice = `It has finished everything up to id ${finishedTo}: replay no further, and leave the rest to its relay.`;
    const found = { stream, asked: to.id, lowest: facts.removedTo + 1n, highest: finishedTo };
    throw waybillError("WAYBILL_POSITION_REFUSED", `Subscription ${stream}/${subscription} has not come to id ${to.id}. ${advice}`, found);
  }
  // A time is where the range ends; going back from it would only leave messages out.
  const last = await lastIdAt(connection, space, stream, facts, typeof to === "object" ? { timeMs: to.timeMs, marginMs: 0 } : to);
  return { fromId, toId: last < finishedTo ? last : finishedTo };
}

interface Run extends ReplayOptions {
  readonly stream: string;
  readonly subscription: string;
  readonly rate: number;
  readonly fromId: bigint;
  readonly toId: bigint;
}

async function run(ledger: Ledger, connection: Connection, options: Run): Promise<ReplayReport> {
  const { fromId, toId, rate, signal, clock = systemClock } = options;
  const isWanted = wantedBy(options);
  const counts = { published: 0, unknown: 0, rejected: [] as ReplayReport["rejected"][number][] };
  const publish = publisher(options, counts);
  const toMessage = messageMaker(options, counts.rejected);
  const ended = (endedBy: ReplayReport["endedBy"], nextId: bigint, failure: string | null = null): ReplayReport => ({
    endedBy,
    failure,
    fromId,
    toId,
    nextId,
    ...counts,
  });
  const perCall = Math.min(callMax, Math.max(1, Math.ceil(rate / 10)));
  let lastId = fromId - 1n;
  let nextAtMs = clock.monotonicMs();
  while (lastId < toId) {
    const { rows } = await ledger.read(connection, { lastId, holes: [], rowsMax, areHolesOnly: false, deadlineMs });
    const { removedTo, highestId } = await ledger.facts(connection, { deadlineMs });
    // Asked after the rows were read: what they lack may have been removed, and must not be passed over in silence.
    if (removedTo > lastId && removedTo <= highestId) return ended("failure", lastId + 1n, "historyRemoved");
    const wanted = rows.filter((row) => row.id <= toId && !isFence(row) && isWanted(row));
    for (let place = 0; place < wanted.length; ) {
      const chunk = await whole(ledger, connection, chunkFrom(wanted, place, perCall));
      place += chunk.length;
      const messages = chunk.flatMap(toMessage);
      if (!(await isTime(clock, nextAtMs, signal))) return ended("signal", chunk[0]?.id ?? lastId + 1n);
      nextAtMs = Math.max(nextAtMs, clock.monotonicMs()) + (messages.length * 1_000) / rate;
      const stopped = await publish(messages);
      if (stopped !== null) return ended(stopped.by, stopped.nextId, stopped.failure);
    }
    lastId = rows.length < rowsMax ? toId : (rows.at(-1)?.id ?? toId);
  }
  return ended("end", toId + 1n);
}

function wantedBy({ keys, ...filter }: ReplayOptions): (row: LedgerRow) => boolean {
  const isFitting = messageFilter(filter);
  const wanted = keys === undefined ? null : new Set(keys);
  return (row) => isFitting(row) && (wanted === null || (row.key !== null && wanted.has(row.key)));
}

function chunkFrom(rows: readonly LedgerRow[], from: number, most: number): readonly LedgerRow[] {
  const chunk: LedgerRow[] = [];
  let bytes = 0;
  for (const row of rows.slice(from, from + most)) {
    bytes += row.leftBytes ?? row.payload?.length ?? 0;
    if (chunk.length > 0 && bytes > callBytesMax) break;
    chunk.push(row);
  }
  return chunk;
}

/** With the payloads that were left behind. */
async function whole(ledger: Ledger, connection: Connection, rows: readonly LedgerRow[]): Promise<readonly LedgerRow[]> {
  const left = rows.filter((row) => row.leftBytes !== null).map((row) => row.id);
  if (left.length === 0) return rows;
  const brought = new Map((await ledger.readIds(connection, left, { deadlineMs })).map((row) => [row.id, row]));
  return rows.map((row) => brought.get(row.id) ?? row);
}

function messageMaker({ stream, subscription }: Run, rejected: ReplayReport["rejected"][number][]): (row: LedgerRow) => OutgoingMessage[] {
  const parseHeaders = headerParser();
  return (row) => {
    const headers = parseHeaders(row.headers);
    const reason = row.leftBytes === null ? unreadableReason(row, headers) : "removed";
    if (reason === null && headers !== null)
      return [outgoingMessage(row, new Map([...headers, [replayHeader, `${stream}/${subscription}`]]))];
    rejected.push({ sequence: row.id, messageId: row.messageId, reason: reason ?? "malformedHeaders" });
    return [];
  };
}

interface Stopped {
  readonly by: "signal" | "failure";
  readonly nextId: bigint;
  readonly failure: string | null;
}

/** Publishes a chunk to its end; null: done. */
function publisher(
  options: Run,
  counts: { published: number; unknown: number; readonly rejected: ReplayReport["rejected"][number][] },
): (messages: readonly OutgoingMessage[]) => Promise<Stopped | null> {
  const { transport, signal, clock = systemClock, random = systemRandom, publishDeadlineMs = 10_000 } = options;
  const { attemptsMax = 20, rejectedMax = 100, giveUpAfterMs = 600_000 } = options;
  const attempts = new Map<bigint, number>();

  const reject = ({ sequence, id }: OutgoingMessage, reason: string): void => {
    attempts.delete(sequence);
    counts.rejected.push({ sequence, messageId: id, reason });
  };

  /** Whether the message is still to be published. */
  const isLeft = (message: OutgoingMessage, outcome: PublishOutcome): boolean => {
    if (outcome.kind === "confirmed") {
      attempts.delete(message.sequence);
      counts.published += 1;
      return false;
    }
    const { reason } = outcome.error.facts;
    if (outcome.kind === "unknown") counts.unknown += 1;
    if (outcome.kind === "rejected") {
      reject(message, reason);
      return false;
    }
    const tries = (attempts.get(message.sequence) ?? 0) + (outcome.scope === "message" && reason !== behindItsKey ? 1 : 0);
    attempts.set(message.sequence, tries);
    if (tries < attemptsMax) return true;
    reject(message, `attemptsExhausted:${reason}`);
    return false;
  };

  return async (messages) => {
    let pending = messages;
    let failures = 0;
    let movedAtMs = clock.monotonicMs();
    while (pending.length > 0) {
      const [first] = pending as [OutgoingMessage, ...OutgoingMessage[]];
      if (signal?.aborted === true) return { by: "signal", nextId: first.sequence, failure: null };
      if (counts.rejected.length >= rejectedMax) return { by: "failure", nextId: first.sequence, failure: "tooManyRejected" };
      const outcomes = await outcomesOf(transport, clock, pending, publishDeadlineMs);
      if (outcomes === null) return { by: "failure", nextId: first.sequence, failure: "transportThrew" };
      const before = pending.length;
      const waiting = new Set<string>();
      pending = pending.filter((message, place) => {
        const lane = message.key === null ? `\u0000${message.id}` : `${message.topic}\u0000${message.key}`;
        // What the transport says of those behind the first that is left is not asked: they follow it.
        const isStill = waiting.has(lane) || isLeft(message, outcomes[place] as PublishOutcome);
        if (isStill) waiting.add(lane);
        return isStill;
      });
      if (pending.length < before) {
        failures = 0;
        movedAtMs = clock.monotonicMs();
      } else failures += 1;
      const failed = outcomes.find((outcome) => outcome.kind !== "confirmed" && outcome.kind !== "rejected");
      if (pending.length === 0 || failed === undefined) continue;
      if (clock.monotonicMs() - movedAtMs > giveUpAfterMs)
        return { by: "failure", nextId: pending[0]?.sequence ?? first.sequence, failure: failed.error.facts.reason };
      const askedMs = "afterMs" in failed ? (failed.afterMs ?? 0) : 0;
      await wait(clock, Math.max(askedMs, backoffMs(backoff, failures + 1, random)), signal);
    }
    return null;
  };
}

/** One outcome for each; null: the transport threw, or answered another number. */
async function outcomesOf(
  transport: Transport,
  clock: Clock,
  messages: readonly OutgoingMessage[],
  publishDeadlineMs: number,
): Promise<readonly PublishOutcome[] | null> {
  try {
    const answer = await withDeadline(clock, publishDeadlineMs + 500, transport.publish(messages, { deadlineMs: publishDeadlineMs }));
    if (answer.kind === "settled") return answer.value.length === messages.length ? answer.value : null;
    const facts = { system: "transport", reason: "deadline", brokerCode: null };
    const error = waybillError(
      "WAYBILL_TRANSPORT",
      "The transport did not answer by its deadline; the messages are published again.",
      facts,
    );
    return messages.map(() => ({ kind: "unknown", error, scope: "transport" }));
  } catch {
    return null;
  }
}

/** Waits for the turn of the next call; false: a stop was asked for. */
async function isTime(clock: Clock, atMs: number, signal: AbortSignal | undefined): Promise<boolean> {
  const leftMs = atMs - clock.monotonicMs();
  if (leftMs > 0) await wait(clock, leftMs, signal);
  return signal?.aborted !== true;
}
