/**
 * Takes messages out of a broker and stores them as committed half messages: a topic that feeds notifications, for one.
 *
 *     source ──▶ message ──▶ commit with body, under the message's id ──▶ stored, or stored before: the source is settled
 *                                  └── refused, or the database is away: told, and the source brings it again
 *
 * What stands behind a refused one of its key waits with it.
 *
 * A crash before the source is settled brings the message again; its id is spent then, and nothing is stored twice. A message that is refused every time
 * – its id is no id of half messages, its topic is routed nowhere, its content is another one's – stays at its source until somebody has looked.
 */
import {
  type Delivery,
  emit,
  type OnEvent,
  type ReceivedMessage,
  type Settlement,
  type Source,
  sourceHeader,
  throwConfigProblems,
} from "@waybill/core";
import { readHalfMessage, toNewHalfMessage } from "./api/half-message-body.ts";
import { codeOf } from "./code-of.ts";
import { idProblem } from "./names.ts";
import type { ServiceRules } from "./options.ts";
import type { Writer } from "./writer.ts";

export interface AcceptOptions {
  /** In whose name the messages are stored: a producer of the service. */
  readonly producer: string;
  readonly signal: AbortSignal;
  /** Registered receivers that are told of a message, besides where its topic goes. Default none. */
  readonly receiversOf?: (message: ReceivedMessage) => readonly string[];
}

export interface AcceptParts {
  readonly rules: ServiceRules;
  readonly writer: Writer;
  readonly onEvent: OnEvent | undefined;
}

/** How long a source waits before it brings again what was refused. */
const againAfterMs = 5_000;

/**
 * Runs until the signal aborts, and what was taken is settled.
 *
 * @throws WAYBILL_CONFIG_INVALID if the producer is not configured; what the source rejects with
 */
export async function acceptSource(source: Source, { producer, signal, receiversOf }: AcceptOptions, parts: AcceptParts): Promise<void> {
  if (!Object.hasOwn(parts.rules.producers, producer))
    throwConfigProblems("Accepting a source", [{ option: "producer", problem: "must be among producers" }]);
  const accept = async ({ message }: Delivery): Promise<Settlement> => {
    try {
      const refusal = await store(message, producer, receiversOf?.(message) ?? [], parts);
      if (refusal === null) return { kind: "done" };
      emit(parts.onEvent, { name: "halfMessage.notAccepted", producer, messageId: message.id, code: refusal });
    } catch (error) {
      emit(parts.onEvent, { name: "halfMessage.notAccepted", producer, messageId: message.id, code: codeOf(error) });
    }
    return { kind: "again", afterMs: againAfterMs };
  };
  /** Messages of a key one after the other, for decisions that are under way at once have no order; the others side by side, joined by the writer. */
  const acceptAll = (batch: readonly Delivery[]): Promise<readonly Settlement[]> => {
    const lanes = new Map<string, Promise<Settlement>>();
    const settlements = batch.map((delivery) => {
      const { topic, key } = delivery.message;
      if (key === null) return accept(delivery);
      const lane = JSON.stringify([topic, key]);
      const before = lanes.get(lane);
      const settlement = before === undefined ? accept(delivery) : before.then((one) => (one.kind === "done" ? accept(delivery) : one));
      lanes.set(lane, settlement);
      return settlement;
    });
    return Promise.all(settlements);
  };
  await source.consume(acceptAll, { signal });
}

/** Answers why it was refused; null: it is stored. */
async function store(message: ReceivedMessage, producer: string, receivers: readonly string[], parts: AcceptParts): Promise<string | null> {
  const { rules, writer } = parts;
  const { id } = message;
  if (idProblem(id) !== null || message.topic === null || message.payload === null) return "malformed_request";
  const headers = Object.fromEntries([...message.headers].filter(([name]) => name !== sourceHeader && !name.startsWith("waybill-")));
  const payloadBase64 = Buffer.from(message.payload).toString("base64");
  const { type, topic, key } = message;
  const one = {
    id,
    type,
    topic,
    ...(key === null ? {} : { key }),
    headers,
    payloadBase64,
    ...(receivers.length === 0 ? {} : { receivers }),
  };
  const limits = { messagesMax: 1, payloadBytesMax: rules.maxPayloadBytes };
  const body = readHalfMessage({ barrier: null, messages: [one] }, "", id, limits);
  const named = { producer, id, keyId: "service", traceparent: null };
  const halfMessage = toNewHalfMessage(body, named, { routes: rules.routes, checkAfterMs: 0, suspendAfterMs: 0 });
  const wish = { kind: "commit", fingerprint: halfMessage.fingerprint, mayCreate: true } as const;
  const { verdict } = await writer.judge({
    producer,
    id,
    wish,
    actor: "service:accept",
    reason: null,
    checkNumber: null,
    body: halfMessage,
  });
  return verdict.kind === "refused" ? verdict.code : null;
}
