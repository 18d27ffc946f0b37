/**
 * Who waits, and until when: one lane, one topic, or everything. Whatever waits is parked, so that it costs no memory but its ids.
 */
import { backoffMs } from "@waybill/core";
import type { Lane, Topic } from "./lanes.ts";
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";

/** Failures of the transport in a row after which the lease is handed over: another relay may reach the receiver. */
const outageFailuresMax = 7;

export interface Waiting {
  /** True if messages of the topic may be sent now. */
  mayGo(topic: Topic): boolean;
  /** The lane waits; `afterMs` is how long. */
  laneWaits(lane: Lane, afterMs: number): void;
  /** The topic failed: it waits with backoff, at least `afterMs`. Answers how long. */
  topicFailed(topic: Topic, afterMs: number): number;
  topicSucceeded(topic: Topic): void;
  /** The transport failed: everything waits. Answers how long. */
  transportFailed(afterMs: number): number;
  transportSucceeded(): void;
  /** True if the lane, or its topic, waits. */
  isWaiting(lane: Lane): boolean;
  /** Parks what waits in this lane, if its topic or the lane itself does. */
  parkIfWaiting(lane: Lane): void;
}

export function createWaiting(session: Session, progress: Progress, kick: () => void): Waiting {
  const { settings, lanes, clock } = session;
  const { random } = settings;

  const park = (lane: Lane): number => {
    let parked = 0;
    for (let place = lane.inHand; place < lane.entries.length; place += 1) {
      const entry = lane.entries[place];
      if (entry === undefined) break;
      progress.settled(entry);
      if (entry.row === null) continue;
      lanes.park(entry);
      parked += 1;
    }
    return parked;
  };

  const reportParked = (topic: Topic, messages: number): void => {
    if (messages > 0) session.report({ name: "relay.parked", messages, topics: [topic.name] });
  };

  const isWaiting = (lane: Lane): boolean => lane.topic.waitsUntilMs > 0 || lane.waitsUntilMs > 0;

  return {
    isWaiting,
    mayGo: (topic) => session.transportWaitsUntilMs === 0 && topic.waitsUntilMs === 0 && (topic.failures === 0 || topic.calls === 0),
    laneWaits(lane, afterMs) {
      lane.waitsUntilMs = clock.monotonicMs() + afterMs;
      reportParked(lane.topic, park(lane));
      session.after(afterMs, () => {
        lane.waitsUntilMs = 0;
        lanes.settle(lane);
        kick();
      });
    },
    topicFailed(topic, afterMs) {
      if (topic.waitsUntilMs > 0) return topic.waitsUntilMs - clock.monotonicMs();
      topic.failures += 1;
      const waitMs = Math.max(afterMs, backoffMs(settings.topicBackoff, topic.failures, random));
      topic.waitsUntilMs = clock.monotonicMs() + waitMs;
      lanes.readyTopics.delete(topic);
      let parked = 0;
      // What a busy lane has in hand is left to whoever has it.
      for (const lane of lanes.all()) if (lane.topic === topic) parked += park(lane);
      reportParked(topic, parked);
      session.after(waitMs, () => {
        topic.waitsUntilMs = 0;
        if (topic.ready.length > 0) lanes.readyTopics.add(topic);
        kick();
      });
      return waitMs;
    },
    topicSucceeded(topic) {
      topic.failures = 0;
    },
    transportFailed(afterMs) {
      const nowMs = clock.monotonicMs();
      if (session.transportWaitsUntilMs > 0) return session.transportWaitsUntilMs - nowMs;
      session.transportFailures += 1;
      const waitMs = Math.max(afterMs, backoffMs(settings.outageBackoff, session.transportFailures, random));
      if (session.transportFailures >= outageFailuresMax) session.fail("transportOutage");
      session.transportWaitsUntilMs = nowMs + waitMs;
      session.after(waitMs, () => {
        session.transportWaitsUntilMs = 0;
        kick();
      });
      return waitMs;
    },
    transportSucceeded() {
      session.transportFailures = 0;
    },
    parkIfWaiting(lane) {
      if (isWaiting(lane)) reportParked(lane.topic, park(lane));
    },
  };
}
