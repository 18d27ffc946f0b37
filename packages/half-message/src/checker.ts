/**
 * Answers checks that the service pushes: a plain function over headers and body, and the same for `node:http`. A check is believed only if it is signed
 * with the secret that we share, over its bytes as they came; the answer is signed with it, too, under the id of the request.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type Clock,
  emit,
  isWaybillError,
  type OnEvent,
  type Secret,
  sign,
  systemClock,
  throwConfigProblems,
  verifySignature,
} from "@waybill/core";
import type { AnswerChecks } from "./barrier-answers.ts";
import { type AnsweredCheck, type AskedCheck, type Check, type CheckDecision, encodeAnswers, readChecks } from "./check-protocol.ts";
import { producerProblems, signingSecrets } from "./producer-options.ts";

export interface CheckRequest {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** As it came: parsed and encoded again it is another one. */
  readonly body: Uint8Array | string;
}

export interface CheckReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Checker {
  /** Never rejects. */
  answer(request: CheckRequest): Promise<CheckReply>;
  /** Reads a request of `node:http`, up to 1 MiB within 5 s, and answers it. Never rejects. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

export interface CheckerOptions {
  readonly producer: string;
  /** `whsec_…`, as the service signs with. Several while one is being replaced. */
  readonly secret: string | Secret | readonly (string | Secret)[];
  /**
   * Says how a local transaction ended. `rolled_back` counts only with `binding: true`: say so only if it can never commit any more, however late. Throw, and
   * you are asked again.
   */
  readonly decide: (check: Check) => Promise<{ readonly decision: CheckDecision; readonly binding?: boolean; readonly reason?: string }>;
  readonly clock?: Clock;
  readonly onEvent?: OnEvent;
}

/**
 * Answers checks without a barrier in SQL: you say what became of each.
 *
 * @throws WAYBILL_CONFIG_INVALID with every problem
 */
export function createChecker({ producer, secret, decide, clock = systemClock, onEvent }: CheckerOptions): Checker {
  throwConfigProblems("The checker", producerProblems(producer));
  const answer: AnswerChecks = async (checks) => {
    emit(onEvent, { name: "producer.checksArrived", producer, checks: checks.length });
    const settled = await Promise.all(checks.map((check) => decided(check, decide)));
    return settled.filter((one) => one !== null);
  };
  return createBatchChecker({ producer, secrets: signingSecrets(secret), clock, answer });
}

async function decided({ token, ...check }: AskedCheck, decide: CheckerOptions["decide"]): Promise<AnsweredCheck | null> {
  try {
    return { id: check.id, token, barrier: check.barrier, ...(await decide(check)) };
  } catch {
    return null; // No answer: it is asked for again.
  }
}

const bodyBytesMax = 1_048_576;
const bodyDeadlineMs = 5_000;

export function createBatchChecker(options: {
  readonly producer: string;
  readonly secrets: readonly Secret[];
  readonly clock: Clock;
  readonly answer: AnswerChecks;
}): Checker {
  const { producer, secrets, clock, answer: answerChecks } = options;
  const answer = async ({ headers, body }: CheckRequest): Promise<CheckReply> => {
    const bytes = typeof body === "string" ? Buffer.from(body, "utf8") : body;
    const header = (name: string): string | undefined => {
      const value = headers[name];
      return typeof value === "string" ? value : undefined;
    };
    const id = header("webhook-id");
    const signature = {
      "webhook-id": id,
      "webhook-timestamp": header("webhook-timestamp"),
      "webhook-signature": header("webhook-signature"),
    };
    try {
      verifySignature(secrets, signature, bytes, clock.wallMs());
    } catch (error) {
      const reason = isWaybillError(error, "WAYBILL_SIGNATURE_INVALID") ? error.facts.reason : "malformed";
      return refusal(401, `The signature is ${reason}.`);
    }
    const checks = readChecks(Buffer.from(bytes).toString("utf8"), producer);
    if (checks === null) return refusal(400, "This is no list of checks for this producer.");
    const text = encodeAnswers(producer, await answerChecks(checks));
    const signed = sign(secrets, { id: id as string, timestampMs: clock.wallMs(), body: Buffer.from(text, "utf8") });
    return { status: 200, headers: { "content-type": "application/json", ...signed }, body: text };
  };

  return {
    answer,
    async handle(request, response) {
      const read = await readAll(request, clock);
      const reply =
        read === null ? refusal(413, "The body is too large, or too slow.") : await answer({ headers: request.headers, body: read });
      response.writeHead(reply.status, { ...reply.headers, "content-length": Buffer.byteLength(reply.body) });
      response.end(reply.body);
      if (read === null) request.destroy();
    },
  };
}

function refusal(status: number, detail: string): CheckReply {
  return { status, headers: { "content-type": "application/problem+json" }, body: JSON.stringify({ status, detail }) };
}

/** The whole body; null: too large, too slow, or its sender went away. */
function readAll(request: IncomingMessage, clock: Clock): Promise<Uint8Array | null> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    const settle = (result: Uint8Array | null): void => {
      timer.cancel();
      resolve(result);
    };
    const timer = clock.setTimer(bodyDeadlineMs, () => settle(null));
    request.on("data", (chunk: Uint8Array) => {
      bytes += chunk.byteLength;
      if (bytes > bodyBytesMax) settle(null);
      else chunks.push(chunk);
    });
    request.on("end", () => settle(Buffer.concat(chunks)));
    request.on("close", () => settle(null));
    request.on("error", () => settle(null));
  });
}
