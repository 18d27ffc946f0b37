/**
 * The answers of checks on their way to the writer: so many at once, the others wait here, first come first served.
 *
 * A hundred producers that answer in one moment bring many thousands. The writer's line has an end, and what producers themselves wish stands in it: behind so
 * many answers it would be refused, and so would be the answers that came last, to be asked for again only when their leases end.
 */
import { type Clock, waybillError } from "@waybill/core";
import type { Writer } from "../writer.ts";

export interface InTurnsOptions {
  readonly clock: Clock;
  readonly atOnce: number;
  /** What has waited for longer when its turn comes is refused: its lease is over, and somebody else may ask. */
  readonly waitMsMax: number;
}

/** A writer whose `judge` also rejects with WAYBILL_DEADLINE. What is under way ends by the writer's own deadlines, so every turn comes. */
export function inTurns(writer: Pick<Writer, "judge">, { clock, atOnce, waitMsMax }: InTurnsOptions): Pick<Writer, "judge"> {
  const waiting: (() => void)[] = [];
  let underWay = 0;
  const turn = (): Promise<void> => {
    if (underWay < atOnce) {
      underWay += 1;
      return Promise.resolve();
    }
    return new Promise((resolve) => waiting.push(resolve));
  };
  return {
    async judge(request, before) {
      const fromMs = clock.monotonicMs();
      await turn();
      try {
        if (clock.monotonicMs() - fromMs > waitMsMax) {
          const facts = { operation: "recording the answer of a check", deadlineMs: waitMsMax };
          throw waybillError("WAYBILL_DEADLINE", "Too many answers wait for the database: it is asked for again.", facts);
        }
        return await writer.judge(request, before);
      } finally {
        // The place goes to whoever waits longest.
        const next = waiting.shift();
        if (next === undefined) underWay -= 1;
        else next();
      }
    },
  };
}
