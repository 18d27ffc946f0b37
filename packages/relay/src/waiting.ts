/**
 * Who waits, and until when: one lane, one topic, or everything. Whatever waits is parked, so that it costs no memory but its ids.
 *
 *     topic: going ──failure──▶ backs off ──due──▶ proves itself with one message ──confirmed──▶ going
 *                                   ▲                          └── failure ──┐
 *                                   └────────────────────────────────────────┘   from breakerFailuresMax in a row on: its breaker is open
 *
 * The breaker is that same backoff, made known: an alarm, a gauge, and messages that end unknown for their own sake are taken for the
 * topic's failures, so that an outage uses up nobody's attempts. To open it, such messages must be several: each counts once, for one
 * that fails for ever is its own trouble. A topic that is stopped waits for a decision instead of a time.
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
  /** A message of the topic ended unknown for its own sake, `isFirst` for the first time. True: it is to be taken for a failure of the topic. */
  isTopicsFault(topic: Topic, isFirst: boolean): boolean;
  /** Nothing of the topic but what was released is published from now on. */
  stopTopic(topic: Topic): void;
  /** What stopped the topic has been decided. */
  resumeTopic(topic: Topic): void;
  /** The transport failed: everything waits. Answers how long. */
  transportFailed(afterMs: number): number;
  transportSucceeded(): void;
  /** True if the lane, or its topic, waits. */
  isWaiting(lane: Lane): boolean;
  /** Parks what waits in this lane, if its topic or the lane itself does. */
  parkIfWaiting(lane: Lane): void;
}

/** `onGoing`: something that waited may be published again. */
export function createWaiting(session: Session, progress: Progress, kick: () => void, onGoing: () => void): Waiting {
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

  const isWaiting = (lane: Lane): boolean => lane.topic.waitsUntilMs > 0 || lane.waitsUntilMs > 0 || lane.topic.isStopped;

  /** What a busy lane has in hand is left to whoever has it. */
  const parkAll = (topic: Topic): void => {
    let parked = 0;
    for (const lane of lanes.all()) if (lane.topic === topic) parked += park(lane);
    reportParked(topic, parked);
  };

  const isOpen = (topic: Topic): boolean => topic.failures >= settings.breakerFailuresMax;

  return {
    isWaiting,
    mayGo: (topic) => session.transportWaitsUntilMs === 0 && topic.waitsUntilMs === 0 && (topic.failures === 0 || topic.calls === 0),
    laneWaits(lane, afterMs) {
      const nowMs = clock.monotonicMs();
      lane.waitsUntilMs = nowMs + afterMs;
      if (lane.waitsSinceMs === 0) lane.waitsSinceMs = nowMs;
      reportParked(lane.topic, park(lane));
      session.after(afterMs, () => {
        lane.waitsUntilMs = 0;
        lanes.settle(lane);
        kick();
      });
    },
    topicFailed(topic, afterMs) {
      if (topic.waitsUntilMs > 0) return topic.waitsUntilMs - clock.monotonicMs();
      const nowMs = clock.monotonicMs();
      const wasOpen = isOpen(topic);
      topic.failures += 1;
      const waitMs = Math.max(afterMs, backoffMs(settings.topicBackoff, topic.failures, random));
      topic.waitsUntilMs = nowMs + waitMs;
      if (topic.waitsSinceMs === 0) topic.waitsSinceMs = nowMs;
      lanes.readyTopics.delete(topic);
      parkAll(topic);
      if (isOpen(topic) && !wasOpen) session.report({ name: "relay.breakerOpened", topic: topic.name, failures: topic.failures });
      session.after(waitMs, () => {
        topic.waitsUntilMs = 0;
        onGoing();
        if (topic.ready.length > 0) lanes.readyTopics.add(topic);
        kick();
      });
      return waitMs;
    },
    topicSucceeded(topic) {
      if (isOpen(topic)) session.report({ name: "relay.breakerClosed", topic: topic.name });
      if (topic.failures > 0) onGoing();
      topic.failures = 0;
      topic.unknowns = 0;
      if (!topic.isStopped) topic.waitsSinceMs = 0;
    },
    isTopicsFault(topic, isFirst) {
      if (isFirst) topic.unknowns += 1;
      if (isOpen(topic)) return true;
      if (topic.failures + topic.unknowns < settings.breakerFailuresMax) return false;
      // It opens with the failure that the caller is about to report.
      topic.failures = settings.breakerFailuresMax - 1;
      return true;
    },
    stopTopic(topic) {
      if (topic.isStopped) return;
      topic.isStopped = true;
      if (topic.waitsSinceMs === 0) topic.waitsSinceMs = clock.monotonicMs();
      parkAll(topic);
      session.report({ name: "relay.topicStopped", topic: topic.name });
    },
    resumeTopic(topic) {
      if (!topic.isStopped) return;
      topic.isStopped = false;
      if (topic.failures === 0) topic.waitsSinceMs = 0;
      session.report({ name: "relay.topicResumed", topic: topic.name });
      for (const lane of lanes.all()) if (lane.topic === topic) lanes.settle(lane);
      onGoing();
      kick();
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
        onGoing();
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
