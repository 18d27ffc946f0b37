/**
 * What is known of topics: how many partitions they have, and which of them nobody serves now.
 *
 *     never asked, asked 60 s ago, or in doubt ──▶ ask (once for all who want to know) ──▶ found: its partitions, for 60 s
 *                                                                                   └─▶ refused: asked again after a backoff, up to 5 s
 *     no broker answers, or none takes our credentials ──▶ nobody is asked before a backoff, whatever the topic
 *
 * Brokers are asked over a connection that sends nothing, so that no producer hears of a topic that is not there.
 */
import { type BackoffPolicy, backoffMs, type Clock, type PublishOutcome, type Random, withDeadline } from "@waybill/core";
import { notSent, topicRefused } from "./outcome.ts";
import type { KafkaProducerClient, KafkaTopicDescription } from "./producer-client.ts";

export interface TopicsOptions {
  readonly client: KafkaProducerClient;
  readonly clock: Clock;
  readonly random: Random;
  /** The number of partitions is not what it was, or the topic is gone (null): whoever sends must begin anew. */
  readonly onChange: (topic: string, from: number, to: number | null) => void;
}

export type TopicAnswer =
  | { readonly kind: "found"; readonly partitions: number }
  | { readonly kind: "failed"; readonly outcome: PublishOutcome };

export interface Topics {
  /** By the deadline. What was known of a topic stands while brokers do not answer. */
  ask(topic: string, deadlineMs: number): Promise<TopicAnswer>;
  /** Something of the topic is not as we thought: the next caller asks the broker. */
  doubt(topic: string): void;
  /** A send could not reach any broker, or could. */
  noteReach(isReached: boolean, outcome?: PublishOutcome): void;
  /** One partition after the other, for keyless messages. */
  nextPartition(topic: string, partitions: number): number;
}

interface Known {
  partitions: number | null;
  /** When to ask next; before, what is known stands. */
  askAtMs: number;
  failures: number;
  /** Why nothing is known. */
  refusal: PublishOutcome | null;
  asking: Promise<KafkaTopicDescription> | null;
  rotation: number;
}

const freshMs = 60_000;
const askDeadlineMs = 5_000;
const backoff: BackoffPolicy = { firstMs: 100, maxMs: 5_000 };
/** Topics beyond are forgotten, oldest first; they are asked about again. */
const topicsMax = 10_000;

export function createTopics({ client, clock, random, onChange }: TopicsOptions): Topics {
  const known = new Map<string, Known>();
  let silence: { failures: number; untilMs: number; outcome: PublishOutcome } | null = null;

  const of = (topic: string): Known => {
    const found = known.get(topic);
    if (found !== undefined) return found;
    const started: Known = {
      partitions: null,
      askAtMs: 0,
      failures: 0,
      refusal: null,
      asking: null,
      rotation: Math.floor(random.fraction() * 1_000),
    };
    known.set(topic, started);
    for (const oldest of known.keys()) {
      if (known.size <= topicsMax) break;
      known.delete(oldest);
    }
    return started;
  };

  const noteReach: Topics["noteReach"] = (isReached, outcome) => {
    if (isReached || outcome === undefined) {
      silence = null;
      return;
    }
    const nowMs = clock.monotonicMs();
    if (silence !== null && nowMs < silence.untilMs) return; // under way before: one failure, not many
    const failures = (silence?.failures ?? 0) + 1;
    silence = { failures, untilMs: nowMs + backoffMs(backoff, failures, random), outcome };
  };

  const learn = (topic: string, state: Known, description: KafkaTopicDescription): void => {
    const nowMs = clock.monotonicMs();
    const before = state.partitions;
    switch (description.kind) {
      case "found":
        noteReach(true);
        Object.assign(state, { partitions: description.partitions, askAtMs: nowMs + freshMs, failures: 0, refusal: null });
        if (before !== null && before !== description.partitions) onChange(topic, before, description.partitions);
        return;
      case "refused":
        noteReach(true);
        state.failures += 1;
        Object.assign(state, { partitions: null, askAtMs: nowMs + backoffMs(backoff, state.failures, random) });
        state.refusal = topicRefused(description.code, state.askAtMs - nowMs);
        if (before !== null) onChange(topic, before, null);
        return;
      case "unreachable":
        state.failures += 1;
        state.askAtMs = nowMs + backoffMs(backoff, state.failures, random);
        // A topic that is known can do without the answer; its sends tell whether brokers are there.
        if (before !== null) return;
        state.refusal = notSent(description.reason, "topic", description.cause);
        noteReach(false, notSent(description.reason, "transport", description.cause));
    }
  };

  const asked = (topic: string, state: Known): Promise<KafkaTopicDescription> => {
    state.asking ??= client
      .describeTopic(topic, { deadlineMs: askDeadlineMs })
      .then((description) => {
        learn(topic, state, description);
        return description;
      })
      .finally(() => {
        state.asking = null;
      });
    return state.asking;
  };

  return {
    async ask(topic, deadlineMs) {
      const state = of(topic);
      const nowMs = clock.monotonicMs();
      if (silence !== null && nowMs < silence.untilMs) return { kind: "failed", outcome: later(silence.outcome, silence.untilMs - nowMs) };
      if (nowMs >= state.askAtMs) {
        const answered = await withDeadline(clock, deadlineMs, asked(topic, state));
        if (answered.kind === "late" && state.partitions === null) return { kind: "failed", outcome: notSent("deadline", "topic") };
        if (answered.kind === "settled" && answered.value.kind === "unreachable" && state.partitions === null && silence !== null)
          return { kind: "failed", outcome: silence.outcome };
      }
      if (state.partitions !== null) return { kind: "found", partitions: state.partitions };
      return {
        kind: "failed",
        outcome: state.refusal === null ? notSent("deadline", "topic") : later(state.refusal, state.askAtMs - clock.monotonicMs()),
      };
    },
    doubt(topic) {
      of(topic).askAtMs = 0;
    },
    noteReach,
    nextPartition(topic, partitions) {
      const state = of(topic);
      state.rotation += 1;
      return state.rotation % partitions;
    },
  };
}

/** The same outcome, and when it may be tried again. */
function later(outcome: PublishOutcome, afterMs: number): PublishOutcome {
  return outcome.kind === "retry" ? { ...outcome, afterMs: Math.max(1, Math.ceil(afterMs)) } : outcome;
}
