/**
 * Asks a producer at its URL. Only one kind of answer counts: 200, JSON, signed with the secret that we share under the id of our request, in the schema.
 * An error page with status 200 is no answer, and "COMMIT" is no word.
 */
import {
  type Clock,
  type HttpAnswer,
  type HttpCaller,
  type HttpReach,
  isWaybillError,
  newMessageId,
  type Secret,
  type SignatureHeaders,
  sign,
  verifySignature,
} from "@waybill/core";
import { encodeChecks, readAnswers } from "../check-protocol.ts";
import type { Asked, Asker } from "./asker.ts";

export interface PushOptions {
  readonly producer: string;
  readonly url: string;
  /** As they are now; empty: there is none that could be used. */
  readonly secrets: () => readonly Secret[];
  readonly answers: "signed" | "unsigned";
  readonly reach: HttpReach;
  readonly http: HttpCaller;
  readonly clock: Clock;
}

const responseBytesMax = 262_144;

export function pushAsker({ producer, url, secrets, answers, reach, http, clock }: PushOptions): Asker {
  return {
    async ask(checks, { deadlineMs, mayWrite }) {
      const active = secrets();
      if (active.length === 0) return failed("noSecret");
      const body = Buffer.from(encodeChecks(producer, checks), "utf8");
      const id = newMessageId();
      const traceparent = checks.length === 1 ? (checks[0]?.traceparent ?? null) : null;
      const headers = {
        ...sign(active, { id, timestampMs: clock.wallMs(), body }),
        "content-type": "application/json",
        ...(traceparent === null ? {} : { traceparent }),
      };
      const answer = await http.call({ method: "POST", url, headers, body }, { deadlineMs, responseBytesMax, mayWrite, reach });
      if (answer.kind === "notSent") return failed(answer.reason);
      // What was cut off, or never came, may still be worked on.
      if (answer.kind === "unknown") return { ...failed(answer.reason), mayBeUnderWay: true };
      if (answer.status !== 200) return { ...failed(`status ${answer.status}`), retryAfterMs: retryAfterOf(answer.headers["retry-after"]) };
      if (!/^application\/json *(;|$)/i.test(answer.headers["content-type"] ?? "")) return failed("mediaType");
      const refusal = answers === "signed" ? signatureProblem(answer, id, active, clock.wallMs()) : null;
      if (refusal !== null) return failed(refusal);
      const read = readAnswers(Buffer.from(answer.body).toString("utf8"), producer, checks);
      return read === null ? failed("schema") : { kind: "answered", answers: read };
    },
  };
}

function signatureProblem(
  { headers, body }: HttpAnswer & { kind: "answered" },
  id: string,
  secrets: readonly Secret[],
  nowMs: number,
): string | null {
  const claimed: { readonly [Name in keyof SignatureHeaders]: string | undefined } = {
    "webhook-id": headers["webhook-id"],
    "webhook-timestamp": headers["webhook-timestamp"],
    "webhook-signature": headers["webhook-signature"],
  };
  // Under another id it is the answer to another question.
  if (claimed["webhook-id"] !== id) return "signature missing";
  try {
    verifySignature(secrets, claimed, body, nowMs);
    return null;
  } catch (error) {
    return isWaybillError(error, "WAYBILL_SIGNATURE_INVALID") ? `signature ${error.facts.reason}` : "signature malformed";
  }
}

function retryAfterOf(text: string | undefined): number | null {
  return text !== undefined && /^[0-9]{1,6}$/.test(text) ? Number(text) * 1_000 : null;
}

function failed(reason: string): Asked & { readonly kind: "failed" } {
  return { kind: "failed", reason, mayBeUnderWay: false, retryAfterMs: null };
}
