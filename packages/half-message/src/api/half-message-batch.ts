/** Many operations in one call: each is answered as if it had come alone. */
import { idProblem } from "../names.ts";
import { askAbout } from "./ask-of.ts";
import { complaints, readArray, readObject, readText, reasonProblem, require } from "./fields.ts";
import type { HalfMessageOperations } from "./half-message-operations.ts";
import { type Load, refuseTooMuch } from "./load.ts";
import { problem, problemOf, problemReply } from "./problem.ts";
import type { Call, Reply, Scope } from "./route.ts";

const operationsMax = 200;

/** `gather` is told before the operations begin. */
export function halfMessageBatch(
  { prepare, commit, rollback }: HalfMessageOperations,
  load: Load,
  gather: () => void,
): (call: Call) => Promise<Reply> {
  /** One operation of a batch, answered as if it had come alone. Never rejects. */
  const operate = async (call: Call, operation: unknown, at: string): Promise<unknown> => {
    const id = idOf(operation);
    try {
      const to = complaints();
      const fields = readObject(operation, at, ["op", "id", "halfMessage", "reason"], to);
      require(fields, ["op", "id"], at, to);
      const op = readText(fields, "op", at, to, operationProblem);
      readText(fields, "id", at, to, idProblem);
      const reason = readText(fields, "reason", at, to, reasonProblem) ?? null;
      if (op === "prepare") require(fields, ["halfMessage"], at, to);
      to.throwIfAny();
      const ask = askAbout(call, id);
      const scope: Scope = op === "prepare" ? "prepare" : "decide";
      if (!call.caller.isAnybody && !call.caller.scopes.has(scope)) throw problem("forbidden");
      if (op === "prepare") refuseTooMuch(load, true);
      const bodyAt = `${at}.halfMessage`;
      const reply =
        op === "prepare"
          ? await prepare(ask, fields.halfMessage, bodyAt)
          : op === "commit"
            ? await commit(ask, fields.halfMessage, bodyAt)
            : await rollback(ask, reason);
      return { id, status: reply.status, body: reply.body };
    } catch (error) {
      const { status, body } = problemReply(problemOf(error));
      return { id, status, body };
    }
  };

  return async (call) => {
    const to = complaints();
    const fields = readObject(call.body, "", ["operations"], to);
    require(fields, ["operations"], "", to);
    const operations = readArray(fields, "operations", "", to, { min: 1, max: operationsMax }) ?? [];
    to.throwIfAny();
    // One id's operations run one after the other; different ids' side by side.
    const lastOf = new Map<string, Promise<unknown>>();
    gather();
    const results = operations.map((operation, index) => {
      const id = idOf(operation);
      const run = (lastOf.get(id) ?? Promise.resolve()).then(() => operate(call, operation, `operations[${index}]`));
      lastOf.set(id, run);
      return run;
    });
    return { status: 200, body: { results: await Promise.all(results) } };
  };
}

function idOf(operation: unknown): string {
  const id = typeof operation === "object" && operation !== null && "id" in operation ? operation.id : "";
  return typeof id === "string" && idProblem(id) === null ? id : "";
}

function operationProblem(text: string): string | null {
  return text === "prepare" || text === "commit" || text === "rollback" ? null : "prepare, commit or rollback";
}
