import type { AnsweredCheck, AskedCheck } from "../check-protocol.ts";

/** What asking a producer ended in. Only `answered` holds answers; of ids that are missing in it there was none. */
export type Asked =
  | { readonly kind: "answered"; readonly answers: ReadonlyMap<string, AnsweredCheck> }
  | {
      readonly kind: "failed";
      readonly reason: string;
      /** True: the producer may still be at it. */
      readonly mayBeUnderWay: boolean;
      readonly retryAfterMs: number | null;
    };

export interface AskLimits {
  readonly deadlineMs: number;
  /** Asked right before anything leaves us: false if our lease may be over by the time an answer comes. */
  readonly mayWrite: () => boolean;
}

/** Asks one producer about some of its half messages: by a call, or by looking into its barrier. */
export interface Asker {
  /** Never rejects. */
  ask(checks: readonly AskedCheck[], limits: AskLimits): Promise<Asked>;
}
