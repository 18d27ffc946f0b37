/** Pull: producers that cannot be called ask for the checks that are due, and answer them. */
import { isUuid } from "@waybill/core";
import type { OwnedTx } from "@waybill/sql";
import { type AnsweredCheck, type CheckDecision, checkDecisions, checksMax } from "../check-protocol.ts";
import { idProblem } from "../names.ts";
import type { ServiceRules } from "../options.ts";
import type { ClaimedCheck } from "../store.ts";
import {
  type Complaints,
  complaints,
  readArray,
  readBoolean,
  readInteger,
  readObject,
  readText,
  reasonProblem,
  require,
} from "./fields.ts";
import { problem } from "./problem.ts";
import type { Call, Route } from "./route.ts";

export interface AnswerResult {
  readonly id: string;
  readonly applied: boolean;
  readonly state: string | null;
  readonly why?: string;
}

/** What hands checks out and takes answers. */
export interface CheckDesk {
  /** Leases due checks; waits for one to fall due, no longer than `waitMs`, and no longer than the signal. */
  claim(
    producer: string,
    wanted: { readonly max: number; readonly waitMs: number; readonly signal: AbortSignal; readonly once: (tx: OwnedTx) => Promise<void> },
  ): Promise<{ readonly leaseMs: number; readonly checks: readonly ClaimedCheck[] }>;
  /** Each answer by itself, in the same order. */
  answer(producer: string, answers: readonly AnsweredCheck[]): Promise<readonly AnswerResult[]>;
}

export interface CheckRoutesOptions {
  readonly rules: ServiceRules;
  readonly desk: CheckDesk;
}

const waitMsMax = 30_000;
/** Of one producer at once. */
const pollsMax = 16;
const base = "/v1/producers/{producer}/checks";

export function checkRoutes({ rules, desk }: CheckRoutesOptions): readonly Route[] {
  const polls = new Map<string, number>();

  const pulled = (call: Call): string => {
    const { producer = "" } = call.params;
    if (rules.producers[producer]?.check.via !== "pull") throw problem("wrong_check_mode", { producer });
    return producer;
  };

  const common = { port: "public", method: "POST", scope: "check", of: "producer" } as const;
  return [
    {
      ...common,
      path: `${base}:claim`,
      once: true,
      isPoll: true,
      async handle(call) {
        const producer = pulled(call);
        const to = complaints();
        const fields = readObject(call.body, "", ["max", "waitMs"], to);
        const max = readInteger(fields, "max", "", to, { min: 1, max: checksMax }) ?? checksMax;
        const waitMs = readInteger(fields, "waitMs", "", to, { min: 0, max: waitMsMax }) ?? 0;
        to.throwIfAny({ producer });
        const waiting = polls.get(producer) ?? 0;
        if (waiting >= pollsMax) throw problem("rate_limited", { producer, retryAfterMs: 1_000 });
        polls.set(producer, waiting + 1);
        try {
          const once = (tx: OwnedTx): Promise<void> => call.useNonce(tx);
          return { status: 200, body: await desk.claim(producer, { max, waitMs, signal: call.signal, once }) };
        } finally {
          polls.set(producer, (polls.get(producer) ?? 1) - 1);
        }
      },
    },
    {
      ...common,
      path: `${base}:answer`,
      once: false,
      async handle(call) {
        const producer = pulled(call);
        const to = complaints();
        const fields = readObject(call.body, "", ["answers"], to);
        require(fields, ["answers"], "", to);
        const answers = readArray(fields, "answers", "", to, { min: 1, max: checksMax }) ?? [];
        const read = answers.map((answer, index) => readAnswer(answer, `answers[${index}]`, to));
        to.throwIfAny({ producer });
        return { status: 200, body: { results: await desk.answer(producer, read) } };
      },
    },
  ];
}

function readAnswer(value: unknown, at: string, to: Complaints): AnsweredCheck {
  const fields = readObject(value, at, ["id", "token", "barrier", "decision", "binding", "reason"], to);
  require(fields, ["id", "token", "decision"], at, to);
  const isDecision = (text: string): string | null =>
    (checkDecisions as readonly string[]).includes(text) ? null : checkDecisions.join(", ");
  const barrier =
    fields.barrier === null ? null : (readText(fields, "barrier", at, to, (text) => (isUuid(text) ? null : "a UUID")) ?? null);
  const reason = readText(fields, "reason", at, to, reasonProblem);
  return {
    id: readText(fields, "id", at, to, idProblem) ?? "",
    token: readText(fields, "token", at, to, (text) => (/^[0-9]{1,19}$/.test(text) ? null : "the token of the claim")) ?? "",
    barrier,
    decision: (readText(fields, "decision", at, to, isDecision) ?? "pending") as CheckDecision,
    binding: readBoolean(fields, "binding", at, to) ?? false,
    ...(reason === undefined ? {} : { reason }),
  };
}
