/**
 * Reads a history's parts from the databases, whichever they are: the toolkit's tables by their published shapes, the application's by the
 * caller's own queries.
 */

import { type DatabasePlace, dialectOf, type Query } from "./database-place.ts";
import { countAt, type Fields, idAt, oneOfAt, textAt, textOrNullAt } from "./fields.ts";
import type { DeadLetter, Effect, Handled, History, IdRange, LedgerRow, SubscriptionState } from "./history.ts";
import { mysqlTables } from "./mysql/tables.ts";
import { postgresTables } from "./postgres/tables.ts";
import type { TableName } from "./table-name.ts";

/** The toolkit's tables on one kind of database: which statements read them, and what their columns mean. */
export interface Tables {
  /** Runs the queries on one snapshot. */
  readAll(place: DatabasePlace, queries: readonly Query[]): Promise<Fields[][]>;
  nameOf(place: DatabasePlace, table: string): TableName;
  hasTable(place: DatabasePlace, table: string): Promise<boolean>;
  rows(outbox: TableName): Query;
  subscriptions(table: TableName, stream: string): Query;
  deadLetters(table: TableName, origin: DeadLetter["origin"], readerStart: string): Query;
  handled(inbox: TableName): Query;
  spilled(spill: TableName, stream: string): Query;
  halfMessages(halfMessages: TableName, log: TableName): Query;
  committedMessages(halfMessages: TableName, bodies: TableName, deliveries: TableName, destination: string): Query;
  openRangesOf(row: Fields, where: string): readonly IdRange[];
  isLeaseValid(row: Fields, where: string): boolean;
}

export const tablesOf = (place: DatabasePlace): Tables => (dialectOf(place) === "postgres" ? postgresTables : mysqlTables);

/** The producer's side of a history. */
export type LedgerPart = Pick<History, "ledger" | "subscriptions" | "deadLetters">;

/**
 * The ledger of a stream (default `default`), its subscriptions and what its relays gave up, all of one snapshot.
 *
 * Key policies and topics are configuration, not rows: add them to the subscriptions where they differ from the defaults.
 * Read after everything was stopped, and after the leases of what was killed ran out.
 */
export async function readLedger(place: DatabasePlace, stream = "default"): Promise<LedgerPart> {
  const { prefix = "waybill_" } = place;
  const tables = tablesOf(place);
  const outbox = tables.nameOf(place, stream === "default" ? `${prefix}outbox` : `${prefix}${stream}_outbox`);
  // Not every version of the relay's tables has one; where there is none, nothing is copied aside.
  const hasSpill = await tables.hasTable(place, `${prefix}spill`);
  const [rows = [], subscriptions = [], letters = [], counts = []] = await tables.readAll(place, [
    tables.rows(outbox),
    tables.subscriptions(tables.nameOf(place, `${prefix}subscription`), stream),
    tables.deadLetters(tables.nameOf(place, `${prefix}dead_letter`), "relay", `${stream}/`),
    ...(hasSpill ? [tables.spilled(tables.nameOf(place, `${prefix}spill`), stream)] : []),
  ]);
  const spilled = new Map(counts.map((row) => [textAt(row, "subscription", "spill"), Number(idAt(row, "spilled", "spill"))]));
  return {
    ledger: rows.map((row, at) => ledgerRowOf(row, `ledger[${at}]`)),
    subscriptions: subscriptions.map((row, at) => subscriptionOf(tables, row, spilled, `subscriptions[${at}]`)),
    deadLetters: letters.map((row, at) => deadLetterOf(row, "relay", stream.length + 1, `deadLetters[${at}]`)),
  };
}

/** The receiver's side of a history, without its effects: those are in the business tables. */
export type InboxPart = Required<Pick<History, "handled" | "deadLetters">>;

/**
 * The dedupe rows of an inbox table and what its consumers gave up, of one snapshot. An inbox that handles messages of several
 * ledgers has rows of all: keep those of the consumers that belong to the history.
 */
export async function readInbox(place: DatabasePlace): Promise<InboxPart> {
  const { prefix = "waybill_" } = place;
  const tables = tablesOf(place);
  const [handled = [], letters = []] = await tables.readAll(place, [
    tables.handled(tables.nameOf(place, `${prefix}inbox`)),
    tables.deadLetters(tables.nameOf(place, `${prefix}dead_letter`), "inbox", ""),
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
export async function readEffects(place: DatabasePlace, consumer: string, query: Query): Promise<Effect[]> {
  const [rows = []] = await tablesOf(place).readAll(place, [query]);
  return rows.map((row, at) => {
    const where = `effects[${at}]`;
    const effect = { consumer, messageId: textAt(row, "message_id", where) };
    return row["count"] === undefined ? effect : { ...effect, count: countAt({ count: Number(row["count"]) }, "count", where) };
  });
}

/** Message ids of the business rows, by a query of yours that answers a text column `message_id`. */
export async function readBusinessRows(place: DatabasePlace, query: Query): Promise<string[]> {
  const [rows = []] = await tablesOf(place).readAll(place, [query]);
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

function subscriptionOf(tables: Tables, row: Fields, spilled: ReadonlyMap<string, number>, where: string): SubscriptionState {
  const subscription = textAt(row, "subscription", where);
  return {
    subscription,
    lastId: idAt(row, "last_id", where),
    openRanges: tables.openRangesOf(row, where),
    owner: textOrNullAt(row, "owner", where),
    isLeaseValid: tables.isLeaseValid(row, where),
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
