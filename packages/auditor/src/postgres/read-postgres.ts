import { AuditInputError } from "../audit-input-error.ts";
import { arrayAt, countAt, type Fields, flagAt, idAt, objectAt, oneOfAt, textAt, textOrNullAt } from "../fields.ts";
import type { DeadLetter, Effect, Handled, History, IdRange, LedgerRow, SubscriptionState } from "../history.ts";
import { type PostgresPlace, type Query, readAll } from "./read-all.ts";
import { countSpilled } from "./statements/count-spilled.ts";
import { findTable } from "./statements/find-table.ts";
import { readDeadLetters } from "./statements/read-dead-letters.ts";
import { readHandled } from "./statements/read-handled.ts";
import { readRows } from "./statements/read-rows.ts";
import { readSubscriptions } from "./statements/read-subscriptions.ts";
import { tableName } from "./table-name.ts";

/** The producer's side of a history. */
export type LedgerPart = Pick<History, "ledger" | "subscriptions" | "deadLetters">;

/**
 * The ledger of a stream (default `default`), its subscriptions and what its relays gave up, all of one snapshot.
 *
 * Key policies and topics are configuration, not rows: add them to the subscriptions where they differ from the defaults.
 * Read after everything was stopped, and after the leases of what was killed ran out.
 */
export async function readLedger(place: PostgresPlace, stream = "default"): Promise<LedgerPart> {
  const { schema = "public", prefix = "waybill_" } = place;
  const outbox = tableName(schema, stream === "default" ? `${prefix}outbox` : `${prefix}${stream}_outbox`);
  const spill = tableName(schema, `${prefix}spill`);
  // Not every version of the relay's tables has one; where there is none, nothing is copied aside.
  const [found = []] = await readAll(place, [{ sql: findTable, values: [spill] }]);
  const hasSpill = flagAt(objectAt(found[0], "spill"), "is_there", "spill");
  const [rows = [], subscriptions = [], letters = [], counts = []] = await readAll(place, [
    { sql: readRows(outbox) },
    { sql: readSubscriptions(tableName(schema, `${prefix}subscription`)), values: [stream] },
    { sql: readDeadLetters(tableName(schema, `${prefix}dead_letter`)), values: ["relay", `${stream}/`] },
    ...(hasSpill ? [{ sql: countSpilled(spill), values: [stream] }] : []),
  ]);
  const spilled = new Map(counts.map((row) => [textAt(row, "subscription", "spill"), Number(idAt(row, "spilled", "spill"))]));
  return {
    ledger: rows.map((row, at) => ledgerRowOf(row, `ledger[${at}]`)),
    subscriptions: subscriptions.map((row, at) => subscriptionOf(row, spilled, `subscriptions[${at}]`)),
    deadLetters: letters.map((row, at) => deadLetterOf(row, "relay", stream.length + 1, `deadLetters[${at}]`)),
  };
}

/** The receiver's side of a history, without its effects: those are in the business tables. */
export type InboxPart = Required<Pick<History, "handled" | "deadLetters">>;

/**
 * The dedupe rows of an inbox table and what its consumers gave up, of one snapshot. An inbox that handles messages of several
 * ledgers has rows of all: keep those of the consumers that belong to the history.
 */
export async function readInbox(place: PostgresPlace): Promise<InboxPart> {
  const { schema = "public", prefix = "waybill_" } = place;
  const [handled = [], letters = []] = await readAll(place, [
    { sql: readHandled(tableName(schema, `${prefix}inbox`)) },
    { sql: readDeadLetters(tableName(schema, `${prefix}dead_letter`)), values: ["inbox", ""] },
  ]);
  return {
    handled: handled.map((row, at): Handled => {
      const where = `handled[${at}]`;
      return { consumer: textAt(row, "consumer", where), messageId: textAt(row, "message_id", where) };
    }),
    deadLetters: letters.map((row, at) => deadLetterOf(row, "inbox", 0, `deadLetters[${at}]`)),
  };
}

/**
 * Effects of one consumer, by a query of yours that answers a text column `message_id`, one row per committed effect, in the order
 * of commit within a key (an identity column that the handler's insert fills has it). Optionally an integer column `count`.
 */
export async function readEffects(place: PostgresPlace, consumer: string, query: Query): Promise<Effect[]> {
  const [rows = []] = await readAll(place, [query]);
  return rows.map((row, at) => {
    const where = `effects[${at}]`;
    const effect = { consumer, messageId: textAt(row, "message_id", where) };
    return row["count"] === undefined ? effect : { ...effect, count: countAt({ count: Number(row["count"]) }, "count", where) };
  });
}

/** Message ids of the business rows, by a query of yours that answers a text column `message_id`. */
export async function readBusinessRows(place: PostgresPlace, query: Query): Promise<string[]> {
  const [rows = []] = await readAll(place, [query]);
  return rows.map((row, at) => textAt(row, "message_id", `businessRows[${at}]`));
}

const ledgerRowOf = (row: Fields, where: string): LedgerRow => ({
  sequence: idAt(row, "sequence", where),
  messageId: textAt(row, "message_id", where),
  type: textAt(row, "type", where),
  topic: textAt(row, "topic", where),
  key: textOrNullAt(row, "key", where),
  payloadDigest: textAt(row, "digest", where),
});

function subscriptionOf(row: Fields, spilled: ReadonlyMap<string, number>, where: string): SubscriptionState {
  const subscription = textAt(row, "subscription", where);
  const lo = arrayAt(row["hole_lo"], `${where}.hole_lo`);
  const hi = arrayAt(row["hole_hi"], `${where}.hole_hi`);
  if (lo.length !== hi.length) throw new AuditInputError(where, "hole_lo and hole_hi have different lengths");
  return {
    subscription,
    lastId: idAt(row, "last_id", where),
    openRanges: lo.map((_, at): IdRange => ({ lo: idAt({ lo: lo[at] }, "lo", where), hi: idAt({ hi: hi[at] }, "hi", where) })),
    owner: textOrNullAt(row, "owner", where),
    isLeaseValid: flagAt(row, "is_lease_valid", where),
    spilled: spilled.get(subscription) ?? 0,
  };
}

/** A relay's reader is `stream/subscription`; the history knows it as the subscription. */
const deadLetterOf = (row: Fields, origin: DeadLetter["origin"], prefixLength: number, where: string): DeadLetter => ({
  origin,
  reader: textAt(row, "reader", where).slice(prefixLength),
  messageId: textAt(row, "message_id", where),
  state: oneOfAt(row, "state", where, ["dead", "held", "released", "done", "discarded"]),
  payloadDigest: textAt(row, "digest", where),
});
