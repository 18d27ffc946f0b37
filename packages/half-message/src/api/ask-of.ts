import { idProblem } from "../names.ts";
import type { Ask } from "./half-message-operations.ts";
import { problem } from "./problem.ts";
import type { Call } from "./route.ts";

/** @throws ApiProblem malformed_request if the path names no half message */
export function askOf(call: Call): Ask {
  const { id = "" } = call.params;
  const broken = idProblem(id);
  if (broken !== null) throw problem("malformed_request", { errors: [{ field: "id", why: `must be ${broken}` }] });
  return askAbout(call, id);
}

export function askAbout({ params, headers, caller }: Call, id: string): Ask {
  const { traceparent } = headers;
  const isTrace = typeof traceparent === "string" && /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent);
  return { producer: params.producer ?? "", id, caller, traceparent: isTrace ? traceparent : null };
}
