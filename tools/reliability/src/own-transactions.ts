/**
 * Transactions of a scenario's own, in as many steps as it wants, with `append` as an application calls it: a business row and messages, and what their
 * writer learnt of the end.
 *
 *     begin ─▶ business rows, append ─▶ … ─▶ commit ─▶ committed, rolled back or unknown ─▶ noted for the audit
 */
import { digest, type Intent } from "@waybill/auditor";
import { catalogue, type Message, message, newMessageId } from "@waybill/core";
import { append } from "@waybill/outbox";
import { connectSession, outcomeOfFailedCommit, type Session } from "@waybill/testing";
import type { Delivery } from "./delivery.ts";
import type { Rig } from "./rig.ts";

export interface NewNote {
  /** Default `notesTopic`. */
  readonly topic?: string;
  readonly key: string | null;
  /** Default: a small one. */
  readonly payload?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Its place among those of its key, if their writers exclude each other. */
  readonly order?: number;
}

export const notesTopic = "notes";

/** A message with an id of its caller's own. */
export function noted({ topic = notesTopic, key, payload = {}, headers = {} }: NewNote, id: string): Message {
  const messages = catalogue({ source: "/reliability", noted: message<unknown>({ type: "reliability.noted.v1", topic }) });
  return messages.noted(payload, { id, headers, ...(key === null ? {} : { key }) });
}

/** What the writer of a note meant and learnt. */
export function intentOf(note: NewNote, made: Message, id: string, outcome: Intent["outcome"]): Intent {
  const { topic = notesTopic, key, order } = note;
  return { messageId: id, topic, key, outcome, payloadDigest: digest(made.payload), ...(order === undefined ? {} : { order }) };
}

/** An open transaction. */
export interface OwnTransaction {
  readonly ids: readonly string[];
  /** Never rejects: what a lost answer leaves is `unknown`. */
  commit(): Promise<Intent["outcome"]>;
  rollBack(): Promise<void>;
}

/**
 * Begins on a session that is idle, and leaves the transaction open. Rejects, and notes nothing, if the database refuses. `hasBegun`: the session's
 * transaction is open already.
 */
export async function beginNotes(
  delivery: Delivery,
  session: Session,
  notes: readonly NewNote[],
  { hasBegun = false }: { readonly hasBegun?: boolean } = {},
): Promise<OwnTransaction> {
  const all = notes.map((note) => {
    const id = newMessageId();
    return { note, id, made: noted(note, id) };
  });
  if (!hasBegun) await session.run("begin");
  for (const { id } of all) await session.run("insert into note values (?)", [id]);
  await append(
    session.handle,
    all.map(({ made }) => made),
  );
  const end = (outcome: Intent["outcome"]): Intent["outcome"] => {
    for (const { note, made, id } of all) delivery.intend(intentOf(note, made, id, outcome));
    return outcome;
  };
  return {
    ids: all.map(({ id }) => id),
    async commit() {
      try {
        await session.run("commit");
      } catch (error) {
        return end(outcomeOfFailedCommit(error));
      }
      return end("committed");
    },
    async rollBack() {
      await session.run("rollback");
      end("rolledBack");
    },
  };
}

/** A session of the scenario's own, straight to the database, closed at the end. */
export async function openSession(rig: Pick<Rig, "defer">, { place }: Delivery): Promise<Session> {
  const session = await connectSession(place.url);
  rig.defer(() => session.end());
  return session;
}
