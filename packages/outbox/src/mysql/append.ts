/**
 * Writes messages into a transaction of the application's on MySQL or MariaDB: one statement, unless there are many, a key is to be locked or
 * an id was chosen by the caller.
 *
 *     own ids:  claim (token) ──▶ read back ── token is ours ──▶ insert        else: repeated, compare the fingerprints
 *     insert ── 1062 ──▶ the same insert once more, with new ids
 *
 * 1062 is a relay that has fenced our id, because it was handed out long ago and no row came (see `hole-proof.ts`). The ledger has no other
 * unique key, the error undid this statement and nothing else, and the second try is given new ids: so it is the one error after which a
 * transaction goes on. If it is fenced again, or its number is hidden from us, the error is the caller's.
 */
import { crc32 } from "node:zlib";
import { newMessageId } from "@waybill/core";
import type { SqlValue, Tx } from "@waybill/sql";
import { type Appending, parts, type Repeated, type StatementBounds } from "../append-stored.ts";
import type { Due } from "../delay.ts";
import type { LedgerTables } from "../ledger-tables.ts";
import type { StoredMessage } from "../stored-message.ts";
import { errorNumber } from "./error-number.ts";
import { append } from "./statements/append.ts";
import { appendDelayed } from "./statements/append-delayed.ts";
import { awaitConfirmation } from "./statements/await-confirmation.ts";
import { cancelDelayed } from "./statements/cancel-delayed.ts";
import { claimOwnIds } from "./statements/claim-own-ids.ts";
import { confirmMessage } from "./statements/confirm.ts";
import { findDelayed } from "./statements/find-delayed.ts";
import { findUnconfirmed } from "./statements/find-unconfirmed.ts";
import { holdDelayed } from "./statements/hold-delayed.ts";
import { holdUnconfirmed } from "./statements/hold-unconfirmed.ts";
import { readClaims } from "./statements/read-claims.ts";
import { serialiseKey } from "./statements/serialise-key.ts";

/**
 * A driver that prepares keeps every text it was given, on the server, for as long as the connection lives: so there are a hundred texts of a
 * hundred rows at most, and not thousands of thousands.
 *
 * A statement is one packet, which servers refuse above `max_allowed_packet`. It is not asked for: 4 MiB is what a ledger needs (`ledger.ts` looks), and
 * as text a byte takes two at most. One message has 1 000 000 bytes.
 */
const rowsPerStatementMax = 100;
const bounds: StatementBounds = {
  messagesMax: rowsPerStatementMax,
  bytesMax: 1_500_000,
  bytesOf: ({ type, topic, key, headers, payload, payloadBytes }) => {
    const texts = [type, topic, key, headers, payload].reduce((bytes, text) => bytes + (text === null ? 0 : Buffer.byteLength(text)), 0);
    return texts + (payloadBytes?.byteLength ?? 0);
  },
};

const keyLockCount = 1_024;
const duplicateKey = 1_062;
const now: Due = { atMs: null, inMs: 0 };

/** Appends to these tables. The statement for one message, which is nearly always the one, is made once. */
export function mysqlAppending(tables: LedgerTables): Appending {
  const appendOne = append(tables.outbox, 1);
  const insert = async (tx: Tx, messages: readonly StoredMessage[]): Promise<void> => {
    const sql = messages.length === 1 ? appendOne : append(tables.outbox, messages.length);
    const values = messages.flatMap(columns);
    try {
      await tx.query(sql, values);
    } catch (error) {
      if (errorNumber(error) !== duplicateKey) throw error;
      await tx.query(sql, values);
    }
  };
  /** Appends, part by part, what has an id that nobody had claimed before. */
  const appendFree = async (
    tx: Tx,
    messages: readonly StoredMessage[],
    due: Due,
    insertSome: (free: readonly StoredMessage[]) => Promise<unknown>,
  ): Promise<readonly Repeated[]> => {
    const repeated: Repeated[] = [];
    for (const part of parts(messages, bounds)) {
      const again = await claim(tx, tables, part, due);
      const taken = new Set(again.map(({ messageId }) => messageId));
      const free = taken.size === 0 ? part : part.filter(({ messageId }) => !taken.has(messageId));
      if (free.length > 0) await insertSome(free);
      repeated.push(...again);
    }
    return repeated;
  };
  return {
    lockKeys: async (tx, keys) => {
      const locks = [...new Set(keys.map(keyLockOf))].sort((a, b) => a - b);
      for (let from = 0; from < locks.length; from += rowsPerStatementMax) {
        const some = locks.slice(from, from + rowsPerStatementMax);
        await tx.query(serialiseKey(tables.keyLocks, some.length), some);
      }
    },
    appendStored: (tx, messages) => appendFree(tx, messages, now, (free) => insert(tx, free)),
    appendDelayed: (tx, messages, due) =>
      appendFree(tx, messages, due, (free) => {
        const values = free.flatMap((message) => [...dueColumns(due), ...columns(message)]);
        return tx.query(appendDelayed(tables.delayed, free.length), values);
      }),
    awaitConfirmation: async (tx, messages, { consumer, stream, withinMs }) => {
      for (const part of parts(messages, bounds)) {
        const before = [consumer, stream, withinMs, withinMs * 1_000];
        const values = part.flatMap((message) => [...before, ...columns(message)]);
        await tx.query(awaitConfirmation(tables.confirmations, part.length), values);
      }
    },
    confirm: async (tx, messageId, consumer) => {
      // Asked first without a lock, as in `cancel`.
      const place = [messageId, consumer];
      if ((await tx.query(findUnconfirmed(tables.confirmations), place)).length === 0) return false;
      if ((await tx.query(holdUnconfirmed(tables.confirmations), place)).length === 0) return false;
      await tx.query(confirmMessage(tables.confirmations), place);
      return true;
    },
    cancel: async (tx, messageId) => {
      // Asked first without a lock: at REPEATABLE READ a locking search that finds nothing would lock the gap that others insert into.
      const [row] = (await tx.query(findDelayed(tables.delayed), [messageId])) as readonly { id: string }[];
      if (row === undefined) return false;
      if ((await tx.query(holdDelayed(tables.delayed), [row.id])).length === 0) return false;
      await tx.query(cancelDelayed(tables.delayed), [row.id]);
      return true;
    },
  };
}

/** Which lock a key has: the CRC-32 of topic, space and key in UTF-8, which every language and both servers can compute. */
export function keyLockOf(key: string): number {
  return crc32(key) % keyLockCount;
}

/** Claims the ids of the messages that have a fingerprint, and answers those that were claimed before. */
async function claim(tx: Tx, { ids }: LedgerTables, messages: readonly StoredMessage[], due: Due): Promise<readonly Repeated[]> {
  const own = messages.filter(({ fingerprint }) => fingerprint !== null);
  if (own.length === 0) return [];
  const byId = own.toSorted((one, other) => (one.messageId < other.messageId ? -1 : 1));
  const token = newMessageId();
  await tx.query(
    claimOwnIds(ids, byId.length),
    byId.flatMap(({ messageId, fingerprint }) => [messageId, fingerprint, token, ...dueColumns(due)]),
  );
  const rows = (await tx.query(
    readClaims(ids, byId.length),
    byId.map(({ messageId }) => messageId),
  )) as readonly { message_id: string; fingerprint: string; token: string }[];
  const found = new Map(rows.map((row) => [row.message_id, row]));
  return own.flatMap(({ messageId, fingerprint }) => {
    const row = found.get(messageId);
    if (row === undefined) throw new Error("A claim is not there that this transaction has just made.");
    return row.token === token ? [] : [{ messageId, isSameContent: row.fingerprint === fingerprint }];
  });
}

function columns(message: StoredMessage): SqlValue[] {
  return [message.messageId, message.type, message.topic, message.key, message.headers, message.payload, message.payloadBytes];
}

/** Microseconds since 1970, or from the statement on. */
function dueColumns({ atMs, inMs }: Due): SqlValue[] {
  return [atMs === null ? null : atMs * 1_000, inMs === null ? null : inMs * 1_000];
}
