import { type Clock, isUuid, type Message, newMessageId, ownMessageId, systemClock, throwConfigProblems } from "@waybill/core";
import { type Dialect, namespace, type TransactionHandle, toTx } from "@waybill/sql";
import { type Appending, type Repeated, repeatedError } from "./append-stored.ts";
import { checkMessage } from "./check-message.ts";
import { checkRoomForConfirmBy, withConfirmBy } from "./confirm-by.ts";
import { dueOf } from "./delay.ts";
import type { Appended, Asked, FindSettings } from "./find-message.ts";
import { type LedgerTables, ledgerTables } from "./ledger-tables.ts";
import { mysqlAppending } from "./mysql/append.ts";
import { findAppended as findOnMysql } from "./mysql/find-message.ts";
import { postgresAppending } from "./postgres/append.ts";
import { findAppended as findOnPostgres } from "./postgres/find-message.ts";
import { type AppendOptions, readCall } from "./read-call.ts";
import { headersToText, type StoredMessage, storedMessage } from "./stored-message.ts";
import { streamNames, streamOf } from "./stream-of.ts";

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
   * With `deliverAt` or `delayMs` the messages wait in `waybill_outbox_delayed` and enter the ledger when they are due, within a second while a relay
   * of the stream is active. From then on they are as if they had been appended at that moment: their place in the order of their key and their
   * `ce-time` are those. Their ids are claimed, also the ones that we made.
   *
   * @throws WAYBILL_CONFIG_INVALID (not called like this; nothing was written), WAYBILL_NOT_IN_TRANSACTION, WAYBILL_UNIT_POISONED,
   *   WAYBILL_MESSAGE_INVALID, WAYBILL_HEADERS_INVALID, WAYBILL_PAYLOAD_TOO_LARGE, WAYBILL_MESSAGE_ID_REPEATED, WAYBILL_DATABASE
   */
  (handle: TransactionHandle, ...messages: readonly Message[]): Promise<readonly string[]>;
  /** The same, with options. */
  (handle: TransactionHandle, messages: Message | readonly Message[], options?: AppendOptions): Promise<readonly string[]>;
}

/** Notes that a consumer's effect is committed. */
export interface Confirm {
  /**
   * Confirms a message in *your* transaction, by its id and the consumer's name, as the consumer has told you. True: the message waited for it, and does not
   * any more if the transaction commits. False: it did not – confirmed before, given up, never asked for, or not one of ours – which is no
   * mistake: count it and go on.
   *
   * Waits while a relay is just repeating the message.
   *
   * @throws WAYBILL_NOT_IN_TRANSACTION, WAYBILL_UNIT_POISONED, WAYBILL_DATABASE
   */
  (handle: TransactionHandle, confirmed: { readonly messageId: string; readonly consumer: string }): Promise<boolean>;
}

/** Takes a delayed message back. */
export interface Cancel {
  /**
   * Cancels a delayed message in *your* transaction, by the id that `append` answered. True: if the transaction commits, the message is never
   * published; if it rolls back, it waits on as before. False: it is too late, a relay has moved it into the ledger – or no such message
   * waits, as far as your transaction sees.
   *
   * Waits while a relay is just moving the message, or another transaction cancels it. The id stays claimed: it cannot be appended again.
   *
   * @throws WAYBILL_NOT_IN_TRANSACTION, WAYBILL_UNIT_POISONED, WAYBILL_MESSAGE_INVALID for what is no UUID, WAYBILL_DATABASE – on PostgreSQL at
   *   REPEATABLE READ or SERIALIZABLE also because a relay was faster (40001): run the transaction again
   */
  (handle: TransactionHandle, messageId: string): Promise<boolean>;
}

export interface OutboxOptions {
  /** Where the tables lie. Default: wherever the transaction's search path says. */
  readonly schema?: string;
  /** How their names begin. Default `waybill_`. */
  readonly prefix?: string;
  /** Which ledger: stream x lies in `waybill_x_outbox`. Default `default`, which is `waybill_outbox`. */
  readonly stream?: string;
  /**
   * Instead of `stream`: several ledgers, from which each message is given one by its topic and key, always the same – without a key by its
   * id. Order per key holds inside a stream, so a key must stay in its own: another list, or another order of it, moves keys. See the README.
   */
  readonly streams?: readonly string[];
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
  readonly cancel: Cancel;
  readonly confirm: Confirm;
  /**
   * Asks whether a message was appended, by the id that `append` answered: what to do when a COMMIT went unanswered. Give it a
   * `Database`, or on PostgreSQL anything that runs single statements – on another connection than the one in doubt. Waits for every
   * transaction that may still bring the message, so that `notAppended` is final. A delayed message was appended, whether it waits, has
   * entered the ledger, or was cancelled since.
   *
   * The edge: an id of your own that is no UUIDv7 or was delayed is known for as long as its claim is kept (at least 7 days from when it was due); history that retention has
   * removed counts as not appended; and a clock further off than `marginMs` hides the message. On MySQL and MariaDB ask the server on which the
   * transaction ran, and only with an id that `append` answered: of a row that is not written yet nothing is known there.
   *
   * @throws WAYBILL_READ_ONLY on a standby, WAYBILL_MESSAGE_INVALID for what is no UUID, WAYBILL_CONFIG_INVALID for a MySQL reader that is no
   *   `Database`, and what the reader throws
   */
  find(asked: Asked, messageId: string, options?: FindOptions): Promise<Appended>;
}

/** One ledger, in both dialects. */
interface Stream {
  readonly name: string;
  readonly tables: Readonly<Record<Dialect, LedgerTables>>;
  readonly appending: Readonly<Record<Dialect, Appending>>;
}

/**
 * An outbox whose tables have another schema, prefix or stream than usual, or that has several streams. Does no I/O.
 *
 * @throws WAYBILL_CONFIG_INVALID, WAYBILL_IDENTIFIER_INVALID
 */
export function createOutbox(options: OutboxOptions = {}): Outbox {
  const streams = streamNames(options).map((name): Stream => {
    const tablesOf = (dialect: Dialect): LedgerTables => ledgerTables(namespace(dialect, options), name);
    const tables = { postgres: tablesOf("postgres"), mysql: tablesOf("mysql") };
    return { name, tables, appending: { postgres: postgresAppending(tables.postgres), mysql: mysqlAppending(tables.mysql) } };
  });
  const [firstStream] = streams as [Stream];
  const headersText = headersToText();
  const store = (message: Message, isDelayed: boolean, confirmBy: readonly string[] | undefined): StoredMessage => {
    const messageId = message.ownId === null ? newMessageId() : ownMessageId(message.ownId);
    const headers = headersText(message);
    const told = confirmBy === undefined ? headers : withConfirmBy(headers, confirmBy);
    return storedMessage(message, messageId, told, isDelayed || message.ownId !== null);
  };

  const append = async (handle: TransactionHandle, ...rest: readonly unknown[]): Promise<readonly string[]> => {
    const tx = toTx(handle);
    const { messages, options: given } = readCall(rest);
    const { serialiseKey = false, onRepeatedId = "error", confirmBy, withinMs = 0 } = given;
    const due = dueOf(given);
    for (const message of messages) {
      checkMessage(message);
      if (confirmBy !== undefined) checkRoomForConfirmBy(message.headers, confirmBy);
    }
    // A key's lock is one for all streams.
    if (serialiseKey) await firstStream.appending[tx.dialect].lockKeys(tx, keysOf(messages));

    const stored = messages.map((message) => store(message, due !== null, confirmBy));
    const { first, again } = splitRepeats(stored);
    const repeated = [...again];
    for (let index = 0; index < streams.length; index += 1) {
      const { name, appending } = streams[index] as Stream;
      const { appendStored, appendDelayed, awaitConfirmation } = appending[tx.dialect];
      const ours = streams.length === 1 ? first : first.filter((message) => streamOf(message, streams.length) === index);
      if (ours.length === 0) continue;
      const known = due === null ? await appendStored(tx, ours) : await appendDelayed(tx, ours, due);
      repeated.push(...known);
      if (confirmBy === undefined) continue;
      const knownIds = new Set(known.map(({ messageId }) => messageId));
      const fresh = ours.filter(({ messageId }) => !knownIds.has(messageId));
      for (const consumer of fresh.length === 0 ? [] : confirmBy) {
        await awaitConfirmation(tx, fresh, { consumer, stream: name, withinMs });
      }
    }
    const refused = repeated.find(({ isSameContent }) => !isSameContent) ?? (onRepeatedId === "error" ? repeated[0] : undefined);
    if (refused !== undefined) throw repeatedError(refused);
    return stored.map(({ messageId }) => messageId);
  };

  return {
    append,
    confirm: async (handle, { messageId, consumer }) => {
      const tx = toTx(handle);
      const id = typeof messageId === "string" ? messageId.toLowerCase() : "";
      return isUuid(id) && typeof consumer === "string" && firstStream.appending[tx.dialect].confirm(tx, id, consumer);
    },
    cancel: async (handle, givenId) => {
      const tx = toTx(handle);
      const messageId = ownMessageId(givenId);
      for (const { appending } of streams) if (await appending[tx.dialect].cancel(tx, messageId)) return true;
      return false;
    },
    find: async (asked, messageId, { deadlineMs = 10_000, marginMs = 600_000, clock = systemClock } = {}) => {
      const untilMs = clock.monotonicMs() + deadlineMs;
      let isUndecided = false;
      for (const { tables } of streams) {
        const leftMs = Math.max(0, untilMs - clock.monotonicMs());
        const found = await find(asked, tables, messageId, { clock, deadlineMs: leftMs, marginMs });
        if (found === "appended") return found;
        isUndecided ||= found === "undecided";
      }
      return isUndecided ? "undecided" : "notAppended";
    },
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
