/** Writes messages into a transaction of the application's on PostgreSQL: one statement, unless there are thousands or a key is to be locked. */
import type { SqlValue, Tx } from "@waybill/sql";
import { type Appending, parts, type Repeated, type StatementBounds } from "../append-stored.ts";
import type { LedgerTables } from "../ledger-tables.ts";
import type { StoredMessage } from "../stored-message.ts";
import { append, appendText } from "./statements/append.ts";
import { appendDelayed } from "./statements/append-delayed.ts";
import { appendOwnIds } from "./statements/append-own-ids.ts";
import { awaitConfirmation } from "./statements/await-confirmation.ts";
import { cancelDelayed } from "./statements/cancel-delayed.ts";
import { confirmMessage } from "./statements/confirm.ts";
import { findOwnId } from "./statements/find-own-id.ts";
import { serialiseKey } from "./statements/serialise-key.ts";

/** PostgreSQL takes 65 535 parameters, of which a message needs up to eight. They are one packet in memory here and there. */
const bounds: StatementBounds = {
  messagesMax: 5_000,
  bytesMax: 32 * 1_024 * 1_024,
  bytesOf: ({ payload, payloadBytes }) => (payload?.length ?? 0) + (payloadBytes?.byteLength ?? 0),
};

/** Appends to these tables. The statement for one message, which is nearly always the one, is made once. */
export function postgresAppending(tables: LedgerTables): Appending {
  const appendOne = append(tables.outbox, 1);
  const appendOneText = appendText(tables.outbox);
  return {
    lockKeys: async (tx, keys) => {
      for (const key of [...new Set(keys)].sort()) await tx.query(serialiseKey, [key]);
    },
    appendStored: async (tx, messages) => {
      const [first] = messages;
      if (messages.length === 1 && first !== undefined && first.fingerprint === null) {
        if (first.payloadBytes === null) await tx.query(appendOneText, textColumns(first));
        else await tx.query(appendOne, columns(first));
        return [];
      }
      const repeated: Repeated[] = [];
      for (const part of parts(messages, bounds)) {
        if (part.some((message) => message.fingerprint !== null)) {
          const sql = appendOwnIds(tables.outbox, tables.ids, part.length);
          repeated.push(...(await appendClaimed(tx, tables, part, sql, [])));
        } else await tx.query(append(tables.outbox, part.length), part.flatMap(columns));
      }
      return repeated;
    },
    appendDelayed: async (tx, messages, { atMs, inMs }) => {
      const repeated: Repeated[] = [];
      for (const part of parts(messages, bounds)) {
        const sql = appendDelayed(tables.delayed, tables.ids, part.length);
        repeated.push(...(await appendClaimed(tx, tables, part, sql, [atMs, inMs])));
      }
      return repeated;
    },
    awaitConfirmation: async (tx, messages, { consumer, stream, withinMs }) => {
      for (const part of parts(messages, bounds)) {
        const values = [consumer, stream, withinMs, ...part.flatMap(columns)];
        await tx.query(awaitConfirmation(tables.confirmations, part.length), values);
      }
    },
    confirm: async (tx, messageId, consumer) => (await tx.query(confirmMessage(tables.confirmations), [messageId, consumer])).length > 0,
    cancel: async (tx, messageId) => (await tx.query(cancelDelayed(tables.delayed), [messageId])).length > 0,
  };
}

/** Runs a statement that claims ids and stores what was claimed; `before` are its values before those of the messages. */
async function appendClaimed(
  tx: Tx,
  { ids }: LedgerTables,
  messages: readonly StoredMessage[],
  sql: string,
  before: readonly SqlValue[],
): Promise<readonly Repeated[]> {
  const values = [...before, ...messages.flatMap((message) => [...columns(message), message.fingerprint])];
  const rows = (await tx.query(sql, values)) as readonly {
    message_id: string;
    fingerprint: string | null;
  }[];
  const repeated: Repeated[] = [];
  for (const { message_id: messageId, fingerprint } of rows) {
    const given = messages.find((message) => message.messageId === messageId);
    if (given === undefined) throw new Error("The database answered a message id that was not given.");
    const found = fingerprint ?? (await fingerprintNow(tx, findOwnId(ids), messageId));
    repeated.push({ messageId, isSameContent: found === given.fingerprint });
  }
  return repeated;
}

/** The statement that claimed did not see whom it lost to; one that begins now does. */
async function fingerprintNow(tx: Tx, sql: string, messageId: string): Promise<string | null> {
  const rows = (await tx.query(sql, [messageId])) as readonly { fingerprint: string }[];
  return rows[0]?.fingerprint ?? null;
}

function columns(message: StoredMessage): SqlValue[] {
  return [...textColumns(message), message.payloadBytes];
}

function textColumns(message: StoredMessage): SqlValue[] {
  return [message.messageId, message.type, message.topic, message.key, message.headers, message.payload];
}
