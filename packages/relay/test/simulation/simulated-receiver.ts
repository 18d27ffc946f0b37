/**
 * A receiver that does with each message what its script says, and watches what comes when.
 *
 *     at each call            a lane is in one call at a time; calls, messages and bytes are bounded; nothing goes before the open dead letters of
 *                             its lane or, under `stop`, of its topic; nothing comes back before the receiver said
 *     at each first storing   everything before it in its lane was stored or discarded, or was dead once
 */
import {
  behindItsKey,
  type Clock,
  type FailureScope,
  type OutgoingMessage,
  type PublishOutcome,
  type Random,
  type Transport,
  wait,
  waybillError,
} from "@waybill/core";
import type { DeadLetter } from "@waybill/dead-letter";
import type { LedgerRow } from "@waybill/outbox";
import type { KeyPolicy } from "../../src/key-policy.ts";
import type { Link, SimulatedTables } from "./simulated-tables.ts";

export const bounds = { batchMax: 4, batchBytesMax: 2_000, callsMax: 3, callsPerTopicMax: 2, loadedMax: 8 } as const;
const laterMs = 60;

/** What becomes of one try of a message. `later`: the receiver says when it may come again. `spoils`: the call is rejected as a whole while others are in it. */
export type Try = "retry" | "later" | "retryTopic" | "retryTransport" | "unknown" | "unknownStored" | "rejected" | "spoils";

export interface NewMessage {
  readonly topic: string;
  readonly key: string | null;
  /** Its first tries; then it is confirmed. */
  readonly tries: readonly Try[];
  /** The relay dies of each try. */
  readonly isKiller: boolean;
  /** Its payload stays in the database until its turn. */
  readonly isLarge: boolean;
  readonly isReadable: boolean;
}

/** … and what became of it. */
export interface Message extends NewMessage {
  readonly row: LedgerRow;
  tried: number;
  /** Before this time no session but another one may send it. */
  notBeforeMs: number;
  notBeforeOf: number;
}

/** What it sees of the rest. */
export interface ReceiverSurroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly messages: ReadonlyMap<bigint, Message>;
  readonly tables: SimulatedTables;
  /** Of the session that runs. */
  policyOf(topic: string): KeyPolicy;
  /** How many sessions there were. */
  readonly sessions: number;
  violated(what: string): void;
}

export interface SimulatedReceiver {
  /** Answered as confirmed, to a relay that was alive. */
  readonly confirmed: ReadonlySet<bigint>;
  /** Under which session a try ended unknown. */
  readonly unknowns: ReadonlyMap<bigint, number>;
  refuse(topic: string, isRefused: boolean): void;
  /** Confirms whatever comes from now on. */
  heal(): void;
  /** Of the session that begins. The last one's calls are over. */
  transport(link: Link): Transport;
}

export function simulatedReceiver(around: ReceiverSurroundings): SimulatedReceiver {
  const { clock, random, messages, tables, policyOf, violated } = around;
  const refused = new Set<string>();
  const stored = new Set<bigint>();
  const confirmed = new Set<bigint>();
  const unknowns = new Map<bigint, number>();
  const inCall = new Set<string>();
  let calls = 0;
  let isHealed = false;

  const letterOf = (sequence: bigint): DeadLetter | undefined => tables.letters.find((letter) => letter.sequence === sequence);

  const laneOf = ({ topic, key, sequence }: OutgoingMessage): string => `${topic} ${key ?? `alone ${sequence}`}`;

  /** At the call of `message`. */
  const checkTurn = ({ topic, key, sequence }: OutgoingMessage): void => {
    const { notBeforeMs, notBeforeOf } = messages.get(sequence) as Message;
    if (notBeforeOf === around.sessions && clock.monotonicMs() < notBeforeMs) violated(`${sequence} is sent again too soon`);
    const own = letterOf(sequence);
    if (own !== undefined && own.state !== "released") violated(`${sequence} is sent though its letter is ${own.state}`);
    const policy = policyOf(topic);
    for (const letter of tables.letters) {
      if (letter.topic !== topic || letter.sequence === sequence) continue;
      const isUndecided = letter.state === "dead" || letter.state === "released";
      if (policy === "stop" && isUndecided && own === undefined) violated(`${sequence} is sent while ${letter.sequence} stops its topic`);
      if (key === null || letter.key !== key) continue;
      if (own !== undefined && letter.sequence < sequence && (letter.state === "dead" || letter.state === "held"))
        violated(`${sequence} is released before ${letter.sequence}, which is ${letter.state}`);
      // What was held keeps its place whatever the policy has become.
      const isOpen = isUndecided || letter.state === "held";
      if (own === undefined && isOpen && (policy !== "skip" || letter.reason === null))
        violated(`${sequence} is sent before ${letter.sequence} of its key, which is ${letter.state}`);
    }
  };

  const store = ({ topic, key, sequence }: OutgoingMessage): void => {
    const isFirst = !stored.has(sequence);
    stored.add(sequence);
    if (!isFirst || key === null) return;
    for (const { row } of messages.values()) {
      if (row.topic !== topic || row.key !== key || row.id >= sequence || !tables.rows.has(row.id) || stored.has(row.id)) continue;
      // Whether it may be passed by now is seen at the call: see `checkTurn`.
      const isExcused = letterOf(row.id)?.state === "discarded" || tables.wereDead.has(row.id);
      if (!isExcused) violated(`${sequence} is stored before ${row.id} of its key`);
    }
  };

  const failed = (kind: "rejected" | "retry" | "unknown", reason: string, scope: FailureScope = "message", afterMs = 0): PublishOutcome => {
    const error = waybillError("WAYBILL_TRANSPORT", "not confirmed", { system: "simulated", reason, brokerCode: null });
    return kind === "rejected" ? { kind, error } : { kind, error, scope, ...(afterMs === 0 ? {} : { afterMs }) };
  };

  const attempt = (message: OutgoingMessage, link: Link): PublishOutcome => {
    const known = messages.get(message.sequence) as Message;
    if (known.isKiller) link.kill();
    if (refused.has(message.topic)) return failed("retry", "refused", "topic");
    const end = isHealed ? undefined : known.tries[known.tried];
    known.tried += 1;
    if (end === "unknownStored" || end === undefined) store(message);
    switch (end) {
      case undefined:
        return { kind: "confirmed" };
      case "later":
        known.notBeforeMs = clock.monotonicMs() + laterMs;
        known.notBeforeOf = around.sessions;
        return failed("retry", "busy", "message", laterMs);
      case "retry":
      case "retryTopic":
      case "retryTransport":
        return failed("retry", "notStored", end === "retry" ? "message" : end === "retryTopic" ? "topic" : "transport");
      case "unknown":
      case "unknownStored":
        unknowns.set(message.sequence, around.sessions);
        return failed("unknown", "deadline");
      case "rejected":
      case "spoils":
        return failed("rejected", "tooLarge");
    }
  };

  const answer = (batch: readonly OutgoingMessage[], link: Link, mayWrite: () => boolean): readonly PublishOutcome[] => {
    const isSpoiling = ({ sequence }: OutgoingMessage): boolean => {
      const { tries, tried } = messages.get(sequence) as Message;
      return !isHealed && tries[tried] === "spoils";
    };
    if (batch.length > 1 && batch.some(isSpoiling)) return batch.map(() => failed("rejected", "tooLarge"));
    const stopped = new Set<string>();
    return batch.map((message) => {
      if (link.isDead || !mayWrite()) return failed("retry", "leaseLost", "transport");
      if (stopped.has(laneOf(message))) return failed("retry", behindItsKey);
      const outcome = attempt(message, link);
      if (outcome.kind !== "confirmed") stopped.add(laneOf(message));
      return outcome;
    });
  };

  const transportOver = (link: Link): Transport => {
    const never = <T>(): Promise<T> => new Promise(() => undefined);
    const pass = async (): Promise<void> => {
      const afterMs = Math.floor(random.fraction() * 8);
      if (afterMs > 0) await wait(clock, afterMs);
      if (link.isDead) await never();
    };
    return {
      async publish(batch, { mayWrite = () => true }) {
        if (link.isDead) return never();
        const ofTopic = batch[0]?.topic ?? "";
        const bytes = batch.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0);
        if (batch.length > bounds.batchMax && letterOf(batch[0]?.sequence ?? 0n) === undefined) violated("a call has too many messages");
        if (batch.length > 1 && bytes > bounds.batchBytesMax && letterOf(batch[0]?.sequence ?? 0n) === undefined)
          violated("a call has too many bytes");
        if (batch.some(({ topic }) => topic !== ofTopic)) violated("a call has messages of two topics");
        calls += 1;
        if (calls > bounds.callsMax) violated("there are too many calls");
        const lanes = new Set(batch.map(laneOf));
        for (const lane of lanes) {
          if (inCall.has(lane)) violated(`the lane ${lane} is in two calls`);
          inCall.add(lane);
        }
        batch.forEach(checkTurn);
        await pass();
        const outcomes = answer(batch, link, mayWrite);
        await pass();
        for (const [place, { kind }] of outcomes.entries())
          if (kind === "confirmed") confirmed.add((batch[place] as OutgoingMessage).sequence);
        calls -= 1;
        for (const lane of lanes) inCall.delete(lane);
        return outcomes;
      },
      close: () => Promise.resolve(),
    };
  };

  return {
    confirmed,
    unknowns,
    refuse(topic, isRefused) {
      if (isRefused) refused.add(topic);
      else refused.delete(topic);
    },
    heal() {
      isHealed = true;
      refused.clear();
    },
    transport(link) {
      calls = 0;
      inCall.clear();
      return transportOver(link);
    },
  };
}
