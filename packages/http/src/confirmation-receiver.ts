/**
 * Takes confirmations of consumers that have no outbox, over HTTP.
 *
 *     request ─▶ method, size, room ─▶ body ─▶ whose? his signature ─▶ confirm ─▶ COMMIT ─▶ 200 waitedFor, or notWaitedFor
 *                 405   413     503    408 413   400      401            └ it throws, or does not end in time: 503, ask again
 *
 * A request is a small JSON object, `{"messageId": …, "consumer": …}`, signed after Standard Webhooks with a secret of that consumer: nobody confirms for another.
 * Confirming twice does no harm, so a request that is sent again, by its sender or by somebody who copied it, changes nothing.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type Clock,
  type ConfigProblem,
  emit,
  isMessageId,
  isWaybillError,
  type OnEvent,
  type Secret,
  systemClock,
  throwConfigProblems,
  verifySignature,
  withDeadline,
} from "@waybill/core";
import { readBody } from "./read-body.ts";
import { type Refusal, respond } from "./respond.ts";
import { areSigningSecrets } from "./signing-secrets.ts";

/** A consumer's word that the effect of a message is committed. */
export interface Confirmation {
  readonly messageId: string;
  readonly consumer: string;
}

export interface ConfirmationReceiverOptions {
  /** Signing secrets by the consumer's name, made with `signingSecret`; two while one is being replaced. Who is not named here confirms nothing. */
  readonly consumers: Readonly<Record<string, readonly Secret[]>>;
  /** Notes the confirmation and resolves once that is committed, with whether it was waited for: `confirm` of `@waybill/outbox` in a transaction of yours. */
  readonly confirm: (confirmation: Confirmation) => Promise<boolean>;
  /** Milliseconds for `confirm`; then the sender is asked to send again, whatever comes of it. Default 10 000. */
  readonly deadlineMs?: number;
  /** Requests under way at once; beyond, 503. Default 64. */
  readonly requestsMax?: number;
  readonly clock?: Clock;
  /** Told of `http.refused`, for each request that was answered without a confirmation. */
  readonly onEvent?: OnEvent;
}

const bodyBytesMax = 4_096;
const bodyDeadlineMs = 5_000;
const again = { "retry-after": "1" };

const refusals = {
  method: { status: 405, reason: "method", headers: { allow: "POST" } },
  overloaded: { status: 503, reason: "overloaded", headers: again },
  tooLarge: { status: 413, reason: "bodyTooLarge" },
  tooSlow: { status: 408, reason: "bodyTooSlow", headers: { connection: "close" } },
  malformed: { status: 400, reason: "malformed" },
  failed: { status: 503, reason: "again", headers: again },
} as const satisfies Readonly<Record<string, Refusal>>;

/**
 * A listener for `node:http`: call it for the path that you choose.
 *
 * @throws WAYBILL_CONFIG_INVALID
 */
export function confirmationReceiver(options: ConfirmationReceiverOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const { consumers, confirm, deadlineMs = 10_000, requestsMax = 64, clock = systemClock, onEvent } = options;
  throwConfigProblems("The confirmation receiver", optionProblems({ consumers, deadlineMs, requestsMax }));
  const secretsOf = new Map(Object.entries(consumers));
  let underWay = 0;

  /** Null: the sender went away. */
  const judge = async (request: IncomingMessage): Promise<Refusal | null> => {
    const body = await readBody(request, { bytesMax: bodyBytesMax, deadlineMs: bodyDeadlineMs, clock });
    if (body.kind === "gone") return null;
    if (body.kind !== "read") return refusals[body.kind];
    const given = parse(body.bytes);
    if (given === null) return refusals.malformed;
    // A name that nobody has is refused in the words of a wrong signature: an answer tells nothing about who is known.
    const problem = signatureProblem(secretsOf.get(given.consumer) ?? [], request, body.bytes, clock.wallMs());
    if (problem !== null) return { status: 401, reason: `signature.${problem}` };
    if (request.headers["webhook-id"] !== given.messageId) return refusals.malformed;
    const noted = await withDeadline(clock, deadlineMs, confirm(given));
    if (noted.kind === "late") return refusals.failed;
    return { status: 200, reason: noted.value ? "waitedFor" : "notWaitedFor" };
  };

  const answer = async (request: IncomingMessage): Promise<Refusal | null> => {
    if (request.method !== "POST") return refusals.method;
    if (Number(request.headers["content-length"] ?? 0) > bodyBytesMax) return refusals.tooLarge;
    if (underWay >= requestsMax) return refusals.overloaded;
    underWay += 1;
    try {
      return await judge(request);
    } catch {
      // What `confirm` threw is the application's own, and may say more than a stranger should read.
      return refusals.failed;
    } finally {
      underWay -= 1;
    }
  };

  return (request, response) => {
    response.on("error", () => undefined);
    answer(request)
      .then((given) => {
        if (given === null) return;
        if (given.status !== 200) emit(onEvent, { name: "http.refused", status: given.status, reason: given.reason });
        respond(request, response, given, clock);
      })
      .catch(() => response.destroy());
  };
}

/** Null: it is none. */
function parse(body: Uint8Array): Confirmation | null {
  try {
    const given: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    if (typeof given !== "object" || given === null) return null;
    const { messageId, consumer } = given as Readonly<Record<string, unknown>>;
    return typeof messageId === "string" && isMessageId(messageId) && typeof consumer === "string" ? { messageId, consumer } : null;
  } catch {
    return null;
  }
}

function signatureProblem(secrets: readonly Secret[], { headers }: IncomingMessage, body: Uint8Array, nowMs: number): string | null {
  const one = (name: string): string | undefined => {
    const value = headers[name];
    return typeof value === "string" ? value : undefined;
  };
  const signed = {
    "webhook-id": one("webhook-id"),
    "webhook-timestamp": one("webhook-timestamp"),
    "webhook-signature": one("webhook-signature"),
  };
  try {
    verifySignature(secrets, signed, body, nowMs);
    return null;
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_SIGNATURE_INVALID")) throw error;
    return error.facts.reason;
  }
}

function optionProblems({
  consumers,
  deadlineMs,
  requestsMax,
}: Required<Pick<ConfirmationReceiverOptions, "consumers" | "deadlineMs" | "requestsMax">>): readonly ConfigProblem[] {
  const secrets = Object.values(consumers);
  const hasAll = secrets.length > 0 && secrets.every((each) => each.length > 0);
  return [
    ...(hasAll ? [] : [{ option: "consumers", problem: "give at least one consumer, and a signing secret for each" }]),
    ...(areSigningSecrets(secrets.flat()) ? [] : [{ option: "consumers", problem: "each secret must be made with signingSecret" }]),
    ...(Number.isInteger(deadlineMs) && deadlineMs >= 50 ? [] : [{ option: "deadlineMs", problem: "must be a whole number, at least 50" }]),
    ...(Number.isInteger(requestsMax) && requestsMax >= 1
      ? []
      : [{ option: "requestsMax", problem: "must be a whole number, at least 1" }]),
  ];
}
