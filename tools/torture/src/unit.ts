/**
 * A writer's transaction, and what is known about each of its messages at every step.
 *
 *     begin ─▶ lock keys ─▶ journal ─▶ business row, append ─▶ … ─▶ COMMIT sent ─▶ answered ─▶ journal
 *                                                                       └── no answer: unknown
 *                  └── anything fails before COMMIT is sent: rolled back, whoever is told
 *
 * Keys are locked in statements of their own, before anything is inserted, and in one order everywhere.
 */

import { digest } from "@waybill/auditor";
import { catalogue, type Message, message, newMessageId, type Random } from "@waybill/core";
import { append } from "@waybill/outbox";
import { outcomeOfFailedCommit, type Session, type SessionSql } from "@waybill/testing";
import type { Meant, Notebook } from "./notebook.ts";
import { type KeyedTopic, keysOf, type Topic } from "./tables.ts";

interface Note {
  readonly key: string | null;
  readonly text: string;
  readonly isPoison?: boolean;
}

const noted = <const Name extends Exclude<Topic, "bytes">>(topic: Name) =>
  message<Note>({ type: `torture.${topic}.v1`, topic, key: (note) => note.key });

const messages = catalogue({
  source: "/torture",
  ordered: noted("ordered"),
  hashed: noted("hashed"),
  slow: noted("slow"),
  poison: noted("poison"),
  bulk: noted("bulk"),
  prepared: noted("prepared"),
  loose: noted("loose"),
  free: noted("free"),
  bytes: message<Uint8Array>({ type: "torture.bytes.v1", topic: "bytes", contentType: "application/octet-stream" }),
});

/** More messages of one key than this are never written under one lock. */
const perLockMax = 10_000;

export interface Draft {
  readonly meant: Meant;
  readonly made: Message;
}

/** What a message is to be. Without `order` only the ledger's order is held against the relay. */
export interface DraftOptions {
  readonly topic: Topic;
  readonly key: string | null;
  readonly order?: number;
  readonly isPoison?: boolean;
}

export function draft(random: Random, { topic, key, order, isPoison }: DraftOptions): Draft {
  const id = newMessageId();
  const size = random.fraction();
  const length = size < 0.002 ? 200_000 : size < 0.02 ? 20_000 : 20 + Math.floor(random.fraction() * 300);
  const text = "näher ".repeat(Math.ceil(length / 6));
  const made =
    topic === "bytes"
      ? messages.bytes(Buffer.from(Array.from({ length: 200 }, () => Math.floor(random.fraction() * 256))), { id })
      : messages[topic]({ key, text, ...(isPoison === true ? { isPoison } : {}) }, { id });
  const meant: Meant = { messageId: id, topic, key, payloadDigest: digest(made.payload), ...(order === undefined ? {} : { order }) };
  return { meant, made };
}

export const anyKey = (random: Random, topic: KeyedTopic): string => `${topic} ${Math.floor(random.fraction() * keysOf[topic])}`;

/** Locks a key's row. Answers the place of the first of this transaction's messages among those of the key. */
export async function lockKey(session: Session, key: string): Promise<number> {
  await session.run("update key_version set version = version + 1 where name = ?", [key]);
  const [row] = await session.run("select version from key_version where name = ?", [key]);
  return Number(row?.["version"]) * perLockMax;
}

/** Business rows and messages, in the transaction that is open. They are journaled first. */
export async function put(
  session: Session,
  notebook: Notebook,
  drafts: readonly Draft[],
  options: { readonly serialiseKey?: boolean } = {},
): Promise<void> {
  notebook.intend(drafts.map(({ meant }) => meant));
  const marks = drafts.map(() => "(?)").join(", ");
  await session.run(
    `insert into business values ${marks}`,
    drafts.map(({ meant }) => meant.messageId),
  );
  await append(
    session.handle,
    drafts.map(({ made }) => made),
    options,
  );
}

/** COMMIT, and what its answer says about the messages. Throws what the driver threw, after it was journaled. */
export async function commit(session: Session, notebook: Notebook, drafts: readonly Draft[], sql: SessionSql = "commit"): Promise<void> {
  const meant = drafts.map((one) => one.meant);
  try {
    await session.run(sql);
  } catch (error) {
    notebook.conclude(meant, outcomeOfFailedCommit(error));
    throw error;
  }
  notebook.conclude(meant, "committed");
}

export async function rollBack(session: Session, notebook: Notebook, drafts: readonly Draft[]): Promise<void> {
  await session.run("rollback");
  notebook.conclude(
    drafts.map(({ meant }) => meant),
    "rolledBack",
  );
}
