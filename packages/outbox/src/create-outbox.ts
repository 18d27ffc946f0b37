import { type Clock, type ConfigProblem, type Message, newMessageId, ownMessageId, systemClock, throwConfigProblems } from "@waybill/core";
import { type Dialect, namespace, type TransactionHandle, toTx } from "@waybill/sql";
import { type Appending, type Repeated, repeatedError } from "./append-stored.ts";
import { checkMessage } from "./check-message.ts";
import type { Appended, Asked, FindSettings } from "./find-message.ts";
import { defaultStream, type LedgerTables, ledgerTables } from "./ledger-tables.ts";
import { mysqlAppending } from "./mysql/append.ts";
import { findAppended as findOnMysql } from "./mysql/find-message.ts";
import { postgresAppending } from "./postgres/append.ts";
import { findAppended as findOnPostgres } from "./postgres/find-message.ts";
import { headersToText, type StoredMessage, storedMessage } from "./stored-message.ts";

export interface AppendOptions {
  /**
   * Locks each message's topic and key until the transaction ends, before anything is inserted: of two transactions with the same
   * key the second waits here. Needed for order per key where the transactions do not exclude each other already – by updating the
   * same row first, say. One statement more per key; on MySQL and MariaDB one for all, and keys that share one of 1 024 locks wait for
   * each other. Default false.
   */
  readonly serialiseKey?: boolean;
  /**
   * What to do when an id of the caller's own was appended before, with the same content: throw WAYBILL_MESSAGE_ID_REPEATED, or
   * nothing. With other content it is always an error. Default `error`.
   */
  readonly onRepeatedId?: "error" | "ignore";
}

/** Puts messages into a transaction that is open. */
export interface Append {
  /**
   * Appends messages to *your* transaction: published if it commits, gone if it rolls back. Answers their ids in order.
   *
   * One statement, whatever the number (one more per 5 000 messages or 32 MiB; on MySQL and MariaDB per 100 or 1.5 MB, and two more
   * for ids of the caller's own). The handle is a pg client or a mysql2 connection after BEGIN, a knex transaction, or a `Tx`; a pool or a bare knex does
   * not compile.
   *
   * The edge: order per key holds only if transactions with the same key exclude each other before they append; see `serialiseKey`.
   * After WAYBILL_MESSAGE_ID_REPEATED the transaction is usable, and every message of the call whose id was not repeated is in it.
   * After an error of the database only a rollback helps. On MySQL and MariaDB an id that was handed out long before its row came may have been
   * closed by a relay: the insert then fails with a duplicate key, and is repeated once by itself. Never catch that error and commit.
   *
   * @throws WAYBILL_CONFIG_INVALID (not called like this; nothing was written), WAYBILL_NOT_IN_TRANSACTION, WAYBILL_UNIT_POISONED,
   *   WAYBILL_MESSAGE_INVALID, WAYBILL_HEADERS_INVALID, WAYBILL_PAYLOAD_TOO_LARGE, WAYBILL_MESSAGE_ID_REPEATED, WAYBILL_DATABASE
   */
  (handle: TransactionHandle, ...messages: readonly Message[]): Promise<readonly string[]>;
  /** The same, with options. */
  (handle: TransactionHandle, messages: Message | readonly Message[], options?: AppendOptions): Promise<readonly string[]>;
}

export interface OutboxOptions {
  /** Where the tables lie. Default: wherever the transaction's search path says. */
  readonly schema?: string;
  /** How their names begin. Default `waybill_`. */
  readonly prefix?: string;
  /** Which ledger: stream x lies in `waybill_x_outbox`. Default `default`, which is `waybill_outbox`. */
  readonly stream?: string;
}

export interface FindOptions {
  /** Milliseconds that transactions which may hold the message get to end. Default 10 000. */
  readonly deadlineMs?: number;
  /**
   * Milliseconds between the making of an id, on the application's clock, and the row's insert, on the database's: by how much the
   * two clocks differ, and how long a statement waits. Smaller reads less, and overlooks what lies beyond. Default 600 000.
   */
  readonly marginMs?: number;
  /** Default: the host's. */
  readonly clock?: Clock;
}

export interface Outbox {
  readonly append: Append;
  /**
   * Asks whether a message was appended, by the id that `append` answered: what to do when a COMMIT went unanswered. Give it a
   * `Database`, or on PostgreSQL anything that runs single statements – on another connection than the one in doubt. Waits for every
   * transaction that may still bring the message, so that `notAppended` is final.
   *
   * The edge: an id of your own that is no UUIDv7 is known for as long as its claim is kept (at least 7 days); history that retention has
   * removed counts as not appended; and a clock further off than `marginMs` hides the message. On MySQL and MariaDB ask the server on which the
   * transaction ran, and only with an id that `append` answered: of a row that is not written yet nothing is known there.
   *
   * @throws WAYBILL_READ_ONLY on a standby, WAYBILL_MESSAGE_INVALID for what is no UUID, WAYBILL_CONFIG_INVALID for a MySQL reader that is no
   *   `Database`, and what the reader throws
   */
  find(asked: Asked, messageId: string, options?: FindOptions): Promise<Appended>;
}

/**
 * An outbox whose tables have another schema, prefix or stream than usual. Does no I/O.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID
 */
export function createOutbox(options: OutboxOptions = {}): Outbox {
  const tablesOf = (dialect: Dialect): LedgerTables => ledgerTables(namespace(dialect, options), options.stream ?? defaultStream);
  const tables = { postgres: tablesOf("postgres"), mysql: tablesOf("mysql") };
  const appending: Readonly<Record<Dialect, Appending>> = {
    postgres: postgresAppending(tables.postgres),
    mysql: mysqlAppending(tables.mysql),
  };
  const headersText = headersToText();
  const store = (message: Message): StoredMessage =>
    storedMessage(message, message.ownId === null ? newMessageId() : ownMessageId(message.ownId), headersText(message));
  const append = async (handle: TransactionHandle, ...rest: readonly unknown[]): Promise<readonly string[]> => {
    const tx = toTx(handle);
    const { lockKeys, appendStored } = appending[tx.dialect];
    const { messages, options } = readCall(rest);
    const { serialiseKey = false, onRepeatedId = "error" } = options;
    for (const message of messages) checkMessage(message);
    if (serialiseKey) await lockKeys(tx, keysOf(messages));

    const stored = messages.map(store);
    const { first, again } = splitRepeats(stored);
    const repeated = [...again, ...(await appendStored(tx, first))];
    const refused = repeated.find(({ isSameContent }) => !isSameContent) ?? (onRepeatedId === "error" ? repeated[0] : undefined);
    if (refused !== undefined) throw repeatedError(refused);
    return stored.map(({ messageId }) => messageId);
  };
  return {
    append,
    find: (asked, messageId, { deadlineMs = 10_000, marginMs = 600_000, clock = systemClock } = {}) =>
      find(asked, tables, messageId, { clock, deadlineMs, marginMs }),
  };
}

async function find(
  asked: Asked,
  tables: Readonly<Record<Dialect, LedgerTables>>,
  messageId: string,
  settings: FindSettings,
): Promise<Appended> {
  if (asked.dialect !== "mysql") return findOnPostgres(asked, tables.postgres, messageId, settings);
  throwConfigProblems(
    "find",
    "connect" in asked ? [] : [{ option: "asked", problem: "a Database, on MySQL: the question needs a connection of its own" }],
  );
  return findOnMysql(asked, tables.mysql, messageId, settings);
}

interface Call {
  readonly messages: readonly Message[];
  readonly options: AppendOptions;
}

/**
 * Tells `(a, b, c)` from `(a, options)` and `([a, b], options)`. A message always has a topic, options never. A call of any other
 * shape is refused, and so is an option that nobody knows: in JavaScript both compile, and a message or a lock would be missing.
 */
function readCall(rest: readonly unknown[]): Call {
  const [first, second] = rest;
  const hasOptions = rest.length <= 2 && (second === undefined || isWithoutTopic(second));
  if (Array.isArray(first) && hasOptions) return { messages: first as readonly Message[], options: checkedOptions(second) };
  if (rest.length === 2 && hasOptions && !Array.isArray(first)) return { messages: [first as Message], options: checkedOptions(second) };
  const isMixed = rest.some((each) => Array.isArray(each) || (rest.length > 1 && isWithoutTopic(each)));
  throwConfigProblems("append", isMixed ? [{ option: "messages", problem: howToCall }] : []);
  return { messages: rest as readonly Message[], options: {} };
}

const howToCall =
  "give messages, append(tx, a, b), or one message or one array and then at most one object of options, append(tx, [a, b], { serialiseKey: true })";

function isWithoutTopic(given: unknown): given is object {
  return Object.prototype.toString.call(given) === "[object Object]" && !("topic" in (given as object));
}

function checkedOptions(given: object = {}): AppendOptions {
  const problems = Object.entries(given).flatMap(([option, value]: [string, unknown]): ConfigProblem[] => {
    if (option === "serialiseKey")
      return value === undefined || typeof value === "boolean" ? [] : [{ option, problem: "must be true or false" }];
    if (option === "onRepeatedId")
      return value === undefined || value === "error" || value === "ignore" ? [] : [{ option, problem: 'must be "error" or "ignore"' }];
    return [{ option, problem: "is none of the options, serialiseKey and onRepeatedId" }];
  });
  throwConfigProblems("append", problems);
  return given;
}

/** What `serialiseKey` locks: topic and key, told apart by a space, which no topic holds. */
function keysOf(messages: readonly Message[]): readonly string[] {
  return messages.flatMap(({ topic, key }) => (key === null ? [] : [`${topic} ${key}`]));
}

/** Messages whose id occurs in the same call before: PostgreSQL would take them for repeats, too, but could not name them. */
function splitRepeats(stored: readonly StoredMessage[]): { readonly first: readonly StoredMessage[]; readonly again: readonly Repeated[] } {
  if (stored.length === 1) return { first: stored, again: [] };
  const seen = new Map<string, StoredMessage>();
  const again: Repeated[] = [];
  for (const message of stored) {
    const before = seen.get(message.messageId);
    if (before === undefined) seen.set(message.messageId, message);
    else again.push({ messageId: message.messageId, isSameContent: before.fingerprint === message.fingerprint });
  }
  return { first: [...seen.values()], again };
}
