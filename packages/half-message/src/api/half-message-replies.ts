/** What a caller is told of a half message after a call. */
import { isDecided, type Standing } from "../decision.ts";
import type { Judged, Prepared } from "../store.ts";
import { isoOf } from "../to-standing.ts";
import { type ApiProblem, problem } from "./problem.ts";
import type { Reply } from "./route.ts";

export function preparedReply({ isNew, standing }: Prepared, fingerprint: string): Reply {
  const { producer, id, state } = standing;
  if (isNew) return { status: 201, body: { ...preparedBody(standing), replayed: false } };
  if (standing.fingerprint !== null && standing.fingerprint !== fingerprint) throw problem("payload_mismatch", { producer, id, state });
  if (isDecided(state)) throw problem(state === "committed" ? "already_committed" : "already_rolled_back", { producer, id, state });
  return { status: 200, body: { ...preparedBody(standing), replayed: true } };
}

export function preparedBody({
  producer,
  id,
  state,
  version,
  preparedAtMs,
  checkAtMs,
  suspendAtMs,
}: Standing): Readonly<Record<string, unknown>> {
  return { producer, id, state, version, preparedAt: isoOf(preparedAtMs), nextCheckAt: timeOf(checkAtMs), suspendAt: timeOf(suspendAtMs) };
}

export function decidedReply(judged: Judged, producer: string, id: string): Reply {
  const { state, version, decidedAtMs, decidedBy } = standingOf(judged, producer, id);
  const created = judged.verdict.kind === "create";
  const changed = created || judged.verdict.kind === "decide";
  const status = created && state === "committed" ? 201 : 200;
  return { status, body: { producer, id, state, version, changed, created, decidedAt: timeOf(decidedAtMs), decidedBy } };
}

/** The row as it stands after a wish. @throws ApiProblem if it was refused */
export function standingOf({ verdict, after }: Judged, producer: string, id: string): Standing {
  if (verdict.kind === "refused") {
    const state = after === null ? {} : { state: after.state };
    throw problem(refusals[verdict.code] ?? "internal", { producer, id, ...state });
  }
  if (after === null) throw problem("internal");
  return after;
}

const refusals: Readonly<Record<string, ApiProblem["code"]>> = {
  unknown_half_message: "unknown_half_message",
  already_committed: "already_committed",
  already_rolled_back: "already_rolled_back",
  suspended: "suspended",
  not_suspended: "not_suspended",
  payload_mismatch: "payload_mismatch",
};

function timeOf(ms: number | null): string | null {
  return ms === null ? null : isoOf(ms);
}
