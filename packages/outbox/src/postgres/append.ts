/** Writes messages into a transaction of the application's on PostgreSQL: one statement, unless there are thousands or a key is to be locked. */
import { waybillError } from "@waybill/core";
import type { SqlValue, Tx } from "@waybill/sql";
import type { LedgerTables } from "../ledger-tables.ts";
import type { StoredMessage } from "../stored-message.ts";
import { append } from "./statements/append.ts";
import { appendOwnIds } from "./statements/append-own-ids.ts";
import { findOwnId } from "./statements/find-own-id.ts";
import { serialiseKey } from "./statements/serialise-key.ts";

/** PostgreSQL takes 65 535 parameters, of which a message needs up to eight. */
const messagesPerStatementMax = 5_000;

/** A statement's parameters are one packet in memory here and there: payloads beyond this go with the next statement. */
const payloadBytesPerStatementMax = 32 * 1_024 * 1_024;

/** An id that was appended before. */
export interface Repeated {
  readonly messageId: string;
  readonly isSameContent: boolean;
}

/** Locks keys until the transaction ends, always in the same order: two transactions that need the same keys cannot deadlock. */
export async function lockKeys(tx: Tx, keys: readonly string[]): Promise<void> {
  for (const key of [...new Set(keys)].sort()) await tx.query(serialiseKey, [key]);
}

/** Appends in the order given. Messages whose own id was appended before are left out and answered. */
export type AppendStored = (tx: Tx, messages: readonly StoredMessage[]) => Promise<readonly Repeated[]>;

/** Appends to these tables. The statement for one message, which is nearly always the one, is made once. */
export function appendingTo(tables: LedgerTables): AppendStored {
  const appendOne = append(tables.outbox, 1);
  return async (tx, messages) => {
    const [first] = messages;
    if (messages.length === 1 && first !== undefined && first.fingerprint === null) {
      await tx.query(appendOne, columns(first));
      return [];
    }
    const repeated: Repeated[] = [];
    for (const part of parts(messages)) {
      if (part.some((message) => message.fingerprint !== null)) repeated.push(...(await appendClaimed(tx, tables, part)));
      else await tx.query(append(tables.outbox, part.length), part.flatMap(columns));
    }
    return repeated;
  };
}

async function appendClaimed(tx: Tx, { outbox, ids }: LedgerTables, messages: readonly StoredMessage[]): Promise<readonly Repeated[]> {
  const values = messages.flatMap((message) => [...columns(message), message.fingerprint]);
  const rows = (await tx.query(appendOwnIds(outbox, ids, messages.length), values)) as readonly {
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
  return [message.messageId, message.type, message.topic, message.key, message.headers, message.payload, message.payloadBytes];
}

function* parts(messages: readonly StoredMessage[]): Generator<readonly StoredMessage[]> {
  let from = 0;
  let bytes = 0;
  for (let index = 0; index < messages.length; index += 1) {
    const message = messages[index] as StoredMessage;
    const size = (message.payload?.length ?? 0) + (message.payloadBytes?.byteLength ?? 0);
    if (index > from && (index - from === messagesPerStatementMax || bytes + size > payloadBytesPerStatementMax)) {
      yield messages.slice(from, index);
      from = index;
      bytes = 0;
    }
    bytes += size;
  }
  if (from < messages.length) yield messages.slice(from);
}

/** The error for a repeated id. */
export function repeatedError({ messageId, isSameContent }: Repeated): Error {
  const advice = isSameContent
    ? 'It is in the ledger already: roll back what repeats it, or append with { onRepeatedId: "ignore" }.'
    : "It was given to another message: make ids from what tells your messages apart.";
  return waybillError("WAYBILL_MESSAGE_ID_REPEATED", `The message id ${messageId} was appended before. ${advice}`, {
    messageId,
    isSameContent,
  });
}
