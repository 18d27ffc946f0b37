/**
 * What is answered when a call is refused or fails: RFC 9457, with codes that never change. Facts only: ids, names, states, which field and which
 * rule; never a payload, a secret, a header's value or SQL.
 */
import { isWaybillError } from "@waybill/core";
import type { HalfMessageState } from "../decision.ts";
import type { Reply } from "./route.ts";

export type ProblemCode =
  | "malformed_request"
  | "body_too_large"
  | "unsupported_media_type"
  | "header_too_large"
  | "unauthenticated"
  | "signature_expired"
  | "request_replayed"
  | "forbidden"
  | "unknown_half_message"
  | "unknown_delivery"
  | "unknown_receiver"
  | "unknown_route"
  | "method_not_allowed"
  | "id_expired"
  | "already_committed"
  | "already_rolled_back"
  | "suspended"
  | "not_suspended"
  | "wrong_check_mode"
  | "payload_mismatch"
  | "topic_not_routed"
  | "receiver_not_registered"
  | "limit_exceeded"
  | "order_needs_one_key"
  | "undecided_quota"
  | "rate_limited"
  | "internal"
  | "overloaded"
  | "storage_unavailable"
  | "draining";

/** Code → status and title. */
const catalogue: Readonly<Record<ProblemCode, readonly [status: number, title: string]>> = {
  malformed_request: [400, "The request cannot be read as it is"],
  body_too_large: [413, "The body is too large"],
  unsupported_media_type: [415, "The body must be application/json"],
  header_too_large: [431, "The headers are too large"],
  unauthenticated: [401, "The request is not signed with a key of this service"],
  signature_expired: [401, "The signature's time is too far from ours"],
  request_replayed: [401, "This request was made before"],
  forbidden: [403, "The key may not do this"],
  unknown_half_message: [404, "There is no half message of this id"],
  unknown_delivery: [404, "There is no delivery of this id"],
  unknown_receiver: [404, "There is no receiver of this name"],
  unknown_route: [404, "There is no such route"],
  method_not_allowed: [405, "The route does not know this method"],
  id_expired: [410, "The id is too old to be used"],
  already_committed: [409, "The half message is committed"],
  already_rolled_back: [409, "The half message is rolled back"],
  suspended: [409, "The half message is suspended"],
  not_suspended: [409, "The half message is not suspended"],
  wrong_check_mode: [409, "The producer is checked in another way"],
  payload_mismatch: [422, "The id was prepared with other content"],
  topic_not_routed: [422, "A topic is routed nowhere"],
  receiver_not_registered: [422, "A receiver is not registered"],
  limit_exceeded: [422, "A limit is exceeded"],
  order_needs_one_key: [422, "Order by prepare needs one key in all messages"],
  undecided_quota: [429, "Too many half messages of this producer are undecided"],
  rate_limited: [429, "Too many calls with this key"],
  internal: [500, "The service failed"],
  overloaded: [503, "The service has too much to do"],
  storage_unavailable: [503, "The database cannot be reached, or its answer was lost"],
  draining: [503, "The service is stopping"],
};

export interface FieldError {
  readonly field: string;
  readonly why: string;
}

export interface ProblemFacts {
  readonly detail?: string;
  readonly producer?: string;
  readonly id?: string;
  readonly state?: HalfMessageState;
  readonly errors?: readonly FieldError[];
  /** When to call again. */
  readonly retryAfterMs?: number;
  /** Of method_not_allowed. */
  readonly allow?: string;
}

/** A refusal on its way to the caller. */
export class ApiProblem extends Error {
  readonly code: ProblemCode;
  readonly facts: ProblemFacts;

  constructor(code: ProblemCode, facts: ProblemFacts, cause?: unknown) {
    super(facts.detail ?? catalogue[code][1], cause === undefined ? undefined : { cause });
    this.name = "ApiProblem";
    this.code = code;
    this.facts = facts;
  }
}

export function problem(code: ProblemCode, facts: ProblemFacts = {}, cause?: unknown): ApiProblem {
  return new ApiProblem(code, facts, cause);
}

/** When to call again, where nobody can say better. */
const retryAfterMs = 1_000;

/** What a caller is told of whatever went wrong. */
export function problemOf(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  if (isWaybillError(error, "WAYBILL_OUTCOME_UNKNOWN")) {
    return problem("storage_unavailable", { detail: "Whether it happened is unknown: call again with the same id.", retryAfterMs }, error);
  }
  const isStorage = isWaybillError(error, "WAYBILL_DEADLINE") || (isWaybillError(error, "WAYBILL_DATABASE") && error.facts.isTransient);
  if (isStorage) return problem("storage_unavailable", { detail: "Call again with the same id.", retryAfterMs }, error);
  return problem("internal", {}, error);
}

export function problemReply({ code, message, facts }: ApiProblem): Reply {
  const [status, title] = catalogue[code];
  const { producer, id, state, errors } = facts;
  const body = { type: `urn:waybill:problem:${code}`, title, status, code, detail: message, producer, id, state, errors };
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  if (facts.retryAfterMs !== undefined) headers["retry-after"] = String(Math.max(1, Math.ceil(facts.retryAfterMs / 1000)));
  if (facts.allow !== undefined) headers.allow = facts.allow;
  return { status, body, headers };
}
