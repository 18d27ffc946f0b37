import { type Clock, emit, type OnEvent, throwConfigProblems, wait, waybillError } from "@waybill/core";
import type { TransactionHandle } from "@waybill/sql";
import type { Barrier } from "./barrier.ts";
import type { DecisionReports } from "./decision-reports.ts";
import type { ServiceClient } from "./service-client.ts";
import type { SettledFate } from "./settle.ts";

/** What a local transaction ended in, as far as the barrier knows, and whether the service has been told. */
export interface SettledHalfMessage {
  readonly kind: "committed" | "rolledBack" | "undecided";
  readonly isReported: boolean;
}

/** A half message that is prepared, and whose local transaction is yours. */
export interface HalfMessage {
  readonly id: string;
  /**
   * Makes your open transaction its local transaction: the first statement in it, outside any savepoint. Whatever it throws, roll back.
   *
   * @throws WAYBILL_FENCED, WAYBILL_WRONG_BARRIER, WAYBILL_NOT_IN_TRANSACTION, WAYBILL_DATABASE; WAYBILL_DEADLINE if it was prepared
   *   longer than `maxLocalMs` ago
   */
  join(transaction: TransactionHandle): Promise<void>;
  /**
   * Call it after your COMMIT has been answered. False: the service will be told in the background, or asks.
   *
   * @throws WAYBILL_NOT_JOINED: no transaction has joined, or joining failed
   */
  commit(): Promise<boolean>;
  /**
   * Call it in your `catch`, whatever happened: asks the barrier how the local transaction ended – fencing it off if it never began – and reports
   * what is true. Never rejects. `undecided`: it is open, or the barrier could not be asked in time; a check-back goes on.
   */
  settle(): Promise<SettledHalfMessage>;
  /** Asks not to be checked back for so long, 100 ms to an hour. False: it is decided or suspended already, or the service did not answer. */
  extend(forMs: number): Promise<boolean>;
}

export interface HalfMessageParts {
  readonly id: string;
  readonly body: string;
  readonly producer: string;
  /** Null: prepared without a barrier. */
  readonly barrier: { readonly own: Barrier; readonly identity: string } | null;
  readonly reports: DecisionReports;
  readonly client: ServiceClient;
  readonly clock: Clock;
  readonly onEvent: OnEvent | undefined;
  /** Before the prepare was sent. */
  readonly since: PreparedSince;
  readonly maxLocalMs: number;
  readonly settleDeadlineMs: number;
  readonly callTimeoutMs: number;
}

/** By both clocks: a process that sleeps with its machine sees only the wall clock go on, and one whose clock is set back only the other. */
export interface PreparedSince {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** A half message, and what `send` needs of it besides. */
export interface OwnHalfMessage extends HalfMessage {
  /** Asks the barrier until it knows, or the deadline has passed. Fences. Reports nothing. */
  askBarrier(): Promise<SettledFate>;
}

export function preparedHalfMessage(parts: HalfMessageParts): OwnHalfMessage {
  const { id, body, producer, barrier, reports, client, clock, onEvent, since, maxLocalMs, settleDeadlineMs } = parts;
  let joining: "never" | "joined" | "failed" = "never";
  const ageMs = (): number => Math.max(clock.monotonicMs() - since.monotonicMs, clock.wallMs() - since.wallMs, 0);

  const askBarrier = async (): Promise<SettledFate> => {
    if (barrier === null) return { kind: "pending", why: "otherBarrier" };
    const untilMs = clock.monotonicMs() + settleDeadlineMs;
    for (let pauseMs = 20; ; pauseMs = Math.min(500, pauseMs * 2)) {
      const { fates } = await barrier.own.settle([{ id, ageMs: Math.ceil(ageMs()) }]);
      const fate = fates.get(id) ?? { kind: "pending", why: "unreached" };
      if (fate.kind !== "pending" || clock.monotonicMs() + pauseMs >= untilMs) return fate;
      await wait(clock, pauseMs);
    }
  };

  return {
    id,
    askBarrier,

    async join(transaction) {
      if (barrier === null)
        return throwConfigProblems("The producer", [{ option: "database", problem: "is needed: the barrier lies in it" }]);
      joining = "failed";
      if (ageMs() > maxLocalMs) throw tooLate(maxLocalMs);
      await barrier.own.join(transaction, { id, identity: barrier.identity });
      joining = "joined";
      emit(onEvent, { name: "producer.joined", producer, messageId: id });
    },

    async commit() {
      if (barrier !== null && joining !== "joined") throw notJoined(producer, id);
      return reports.commit({ id, body });
    },

    async settle() {
      const fate = await askBarrier();
      if (fate.kind === "committed") return { kind: "committed", isReported: await reports.commit({ id, body }) };
      if (fate.kind === "rolledBack") return { kind: "rolledBack", isReported: await reports.rollback({ id }) };
      return { kind: "undecided", isReported: false };
    },

    async extend(forMs) {
      const target = `/v1/producers/${producer}/half-messages/${id}/extend`;
      const answer = await client.call({ method: "POST", target, body: JSON.stringify({ forMs }) }, parts.callTimeoutMs);
      return answer.kind === "answered" && answer.status === 200;
    },
  };
}

function notJoined(producer: string, messageId: string): Error {
  const message = "No transaction has joined this half message, or joining failed: call join() first in it, and commit() after its COMMIT.";
  return waybillError("WAYBILL_NOT_JOINED", message, { producer, messageId });
}

function tooLate(maxLocalMs: number): Error {
  const operation = "joining a half message";
  const message = `It was prepared more than ${maxLocalMs} ms ago (maxLocalMs), and the barrier may not know it any more: roll back, and prepare a new one.`;
  return waybillError("WAYBILL_DEADLINE", message, { operation, deadlineMs: maxLocalMs });
}
