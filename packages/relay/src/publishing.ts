/**
 * Publishes what is ready, many lanes side by side, each lane one call at a time.
 *
 *     ready lanes ──take──▶ call of one topic ──outcomes──▶ confirmed: finished
 *         ▲                                                 retry, unknown: lane, topic or everything waits, first of its key again
 *         └──────────────── lane goes on ◀──────────────────rejected: dead letter first, then the key's policy
 *
 * A call carries messages of one topic only, and a topic has a few calls at a time, so that one that hangs holds up nobody else.
 * What was spilled is confirmed like the rest, but its lane goes on only when the copy is deleted.
 * A crash between the receiver's word and the saved cursor publishes again; that is the edge of "at least once".
 */
import { afterRejection, backoffMs, isBraked, releasedBrake } from "@waybill/core";
import { type Batch, emptyBatch, ofLaneAtMost, takeFrom } from "./batch.ts";
import type { Bringing } from "./bringing.ts";
import type { Calling } from "./calling.ts";
import type { GivingUp } from "./giving-up.ts";
import { keyPolicyOf } from "./key-policy.ts";
import type { Entry, Lane, Topic } from "./lanes.ts";
import { laneOutcome, type Verdict } from "./outcomes.ts";
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";
import { notSent, publishApart } from "./taking-apart.ts";
import type { Waiting } from "./waiting.ts";

export interface Publishing {
  /** Begins whatever can begin now. Cheap when nothing can. */
  pump(): void;
  /** Publishes the first entry of a lane, alone, and deals with its outcome. */
  publishFirst(lane: Lane): Promise<void>;
  /** A rejection, by a lane's own message or a released one: null when the brake takes it for a failure of the topic. */
  judgeRejection(topic: Topic, reason: string): string | null;
  /** A message of the topic was confirmed: it has not failed any more, and rejections count anew. */
  noteSuccess(topic: Topic): void;
}

/** What publishing hands over when a lane's next step is not a publish. */
export interface LaneSteps {
  load(lane: Lane): void;
  /** Loads on, if something of it had to wait. */
  resumeLoading(): void;
  publishReleased(lane: Lane): Promise<void>;
}

export function createPublishing(
  session: Session,
  progress: Progress,
  calling: Calling,
  waiting: Waiting,
  givingUp: GivingUp,
  bringing: Bringing,
  steps: LaneSteps,
): Publishing {
  const { settings, lanes, cursor, clock } = session;
  let calls = 0;

  /** Runs a step that is not a publish; the lane is busy until it ends. */
  const run = (lane: Lane, inHand: number, step: Promise<void>): void => {
    lane.isBusy = true;
    lane.inHand = inHand;
    void step.then(() => free(lane)).then(pump, session.fail);
  };

  const free = (lane: Lane): void => {
    lane.isBusy = false;
    lane.inHand = 0;
    waiting.parkIfWaiting(lane);
    lanes.settle(lane);
  };

  /** Released rows of a lane are a call like any other; they are never taken together with others. */
  const publishReleased = (topic: Topic, lane: Lane): void => {
    topic.calls += 1;
    calls += 1;
    const done = (): void => {
      topic.calls -= 1;
      calls -= 1;
      listAgain(topic);
    };
    run(lane, 0, steps.publishReleased(lane).finally(done));
  };

  /** Takes the next batch of a topic, and sends its lanes with other work on their way. */
  const take = (topic: Topic): Batch => {
    const batch = emptyBatch();
    // A topic that failed proves itself with one message.
    const messagesMax = topic.failures > 0 ? 1 : settings.batchMax;
    const ofLaneMax = ofLaneAtMost(messagesMax, topic.ready.length, settings.callsPerTopicMax - topic.calls);
    let place = 0;
    while (
      place < topic.ready.length &&
      batch.messages.length < messagesMax &&
      batch.bytes < settings.batchBytesMax &&
      waiting.mayGo(topic)
    ) {
      const lane = topic.ready[place] as Lane;
      const step = lanes.step(lane, keyPolicyOf(settings, topic.name));
      if (step === "released" && batch.messages.length > 0) break;
      place += 1;
      lane.isListed = false;
      switch (step) {
        case "nothing":
          lanes.settle(lane);
          break;
        case "load":
          lane.isBusy = true;
          steps.load(lane);
          break;
        case "bring":
          run(lane, 0, bringing.bring(lane));
          break;
        case "hold":
          run(lane, lane.entries.length, givingUp.hold(lane));
          break;
        case "giveUp":
          run(lane, 1, givingUp.giveUp(lane, lane.entries[0]?.unreadable ?? "unreadable"));
          break;
        case "released":
          publishReleased(topic, lane);
          topic.ready.splice(0, place);
          return batch;
        case "publish":
          takeFrom(lane, batch, { messagesMax, ofLaneMax, bytesMax: settings.batchBytesMax });
          break;
      }
    }
    topic.ready.splice(0, place);
    return batch;
  };

  const pump = (): void => {
    if (session.isDraining || session.isSolo || session.ended.aborted || session.transportWaitsUntilMs > 0) return;
    for (const topic of lanes.readyTopics) {
      if (calls >= settings.callsMax) break;
      lanes.readyTopics.delete(topic);
      while (topic.ready.length > 0 && topic.calls < settings.callsPerTopicMax && calls < settings.callsMax && waiting.mayGo(topic)) {
        const batch = take(topic);
        if (batch.messages.length > 0) void call(topic, batch).then(pump, session.fail);
      }
      // Still ready, but without a free call: whoever ends one of its calls lists it again.
      if (topic.ready.length > 0 && topic.calls === 0 && topic.waitsUntilMs === 0) lanes.readyTopics.add(topic);
    }
    steps.resumeLoading();
  };

  const call = async (topic: Topic, batch: Batch): Promise<void> => {
    topic.calls += 1;
    calls += 1;
    const startedMs = clock.monotonicMs();
    session.report({ name: "relay.publishing", messages: batch.messages.length, bytes: batch.bytes });
    const mayGoOn = (): boolean => !session.isDraining && !topic.isStopped && topic.waitsUntilMs === 0;
    const outcomes = await publishApart(calling.publish, batch.messages, mayGoOn, (messages) =>
      session.report({ name: "relay.takenApart", topic: topic.name, messages }),
    );
    topic.calls -= 1;
    calls -= 1;
    if (outcomes === null || session.ended.aborted) return;

    let from = 0;
    let confirmed = 0;
    let rejected = 0;
    let failed = 0;
    let unknown = 0;
    const delaysMs: number[] = [];
    const copies: Entry[] = [];
    const ends: { readonly lane: Lane; readonly verdict: Verdict }[] = [];
    const nowMs = clock.monotonicMs() + session.databaseOffsetMs;
    for (let place = 0; place < batch.lanes.length; place += 1) {
      const lane = batch.lanes[place] as Lane;
      const to = from + (batch.counts[place] ?? 0);
      const outcome = laneOutcome(outcomes, from, to);
      // Also what is behind the one that stopped the lane: it may have left in one piece with it.
      for (let open = from + outcome.confirmed; open < to; open += 1) {
        const kind = outcomes[open]?.kind;
        if (kind === "unknown" || kind === "confirmed") (batch.entries[open] as Entry).mayBeStored = true;
      }
      for (let done = 0; done < outcome.confirmed; done += 1) {
        const entry = batch.entries[from + done] as Entry;
        if (settings.onEvent !== undefined) delaysMs.push(nowMs - entry.createdAtMs);
        confirm(entry);
        if (entry.isSpilled) copies.push(entry);
      }
      if (outcome.confirmed > 0) lane.waitsSinceMs = 0;
      confirmed += outcome.confirmed;
      const { verdict } = outcome;
      if (verdict.kind === "rejected") rejected += 1;
      if (verdict.kind === "failed" && verdict.mayBeStored) unknown += 1;
      else if (verdict.kind !== "done") failed += to - from - outcome.confirmed - (verdict.kind === "rejected" ? 1 : 0);
      const hasCopies = outcome.confirmed > 0 && batch.entries[from]?.isSpilled === true;
      if (hasCopies) ends.push({ lane, verdict });
      else settle(lane, verdict);
      from = to;
    }
    if (ends.length > 0) endCopies(copies, ends);
    if (confirmed > 0) {
      topic.confirmedCount += confirmed;
      progress.confirmed();
      waiting.transportSucceeded();
      noteSuccess(topic);
      session.isDirty = true;
    }
    listAgain(topic);
    session.report({
      name: "relay.published",
      confirmed,
      rejected,
      retry: failed,
      unknown,
      durationMs: clock.monotonicMs() - startedMs,
      delaysMs,
    });
  };

  /** A topic without a free call is in nobody's list; one of its calls has ended. */
  const listAgain = (topic: Topic): void => {
    if (topic.ready.length > 0 && topic.waitsUntilMs === 0) lanes.readyTopics.add(topic);
  };

  const confirm = (entry: Entry): void => {
    progress.survived(entry.id);
    progress.settled(entry);
    if (entry.isSpilled) return;
    cursor.finish(entry);
    lanes.leave(entry);
  };

  /** Deletes confirmed copies; then their lanes go on. */
  const endCopies = (copies: readonly Entry[], ends: readonly { readonly lane: Lane; readonly verdict: Verdict }[]): void => {
    const deleted = bringing.finish(copies).then((isDone) => {
      if (isDone) for (const { lane, verdict } of ends) settle(lane, verdict);
    });
    deleted.then(pump, session.fail);
  };

  /** Deals with the message a lane stopped at, and lets the lane go on. */
  const settle = (lane: Lane, verdict: Verdict): void => {
    lane.inHand = 0;
    const head = lane.entries[0];
    if (verdict.kind === "done" || head === undefined) {
      free(lane);
      return;
    }
    if (verdict.kind === "failed" && verdict.reason === notSent) return free(lane);
    progress.survived(head.id);
    progress.settled(head);
    if (verdict.kind === "rejected") {
      const reason = judgeRejection(lane.topic, verdict.reason);
      if (reason !== null) return run(lane, 1, givingUp.giveUp(lane, reason));
      waiting.topicFailed(lane.topic, 0);
      free(lane);
      return;
    }
    const isTopics = verdict.scope === "message" && verdict.mayBeStored && waiting.isTopicsFault(lane.topic, head.attempts === 0);
    const scope = isTopics ? "topic" : verdict.scope;
    const afterMs = failed(lane, head, { ...verdict, scope });
    if (afterMs === null) return run(lane, 1, givingUp.giveUp(lane, `attemptsExhausted:${verdict.reason}`));
    session.report({
      name: "relay.retrying",
      messageId: head.messageId,
      topic: lane.topic.name,
      attempt: head.attempts,
      afterMs,
      scope,
      reason: verdict.reason,
      mayBeStored: verdict.mayBeStored,
    });
    free(lane);
  };

  /** How long it waits; null: its attempts are used up. */
  const failed = (lane: Lane, head: Entry, verdict: Extract<Verdict, { kind: "failed" }>): number | null => {
    switch (verdict.scope) {
      case "topic":
        return waiting.topicFailed(lane.topic, verdict.afterMs);
      case "transport":
        return waiting.transportFailed(verdict.afterMs);
      case "message": {
        head.attempts += 1;
        if (head.attempts >= settings.attemptsMax) return null;
        const afterMs = Math.max(verdict.afterMs, backoffMs(settings.messageBackoff, head.attempts, settings.random));
        waiting.laneWaits(lane, afterMs);
        return afterMs;
      }
    }
  };

  const judgeRejection = (topic: Topic, reason: string): string | null => {
    if (isBraked(topic.brake, reason)) {
      session.report({ name: "relay.topicBraked", topic: topic.name, reason });
      return null;
    }
    topic.brake = afterRejection(topic.brake, reason);
    return reason;
  };

  const noteSuccess = (topic: Topic): void => {
    if (topic.waitsUntilMs === 0) waiting.topicSucceeded(topic);
    releaseBrake(topic);
  };

  const releaseBrake = (topic: Topic): void => {
    if (topic.brake.inARow === 0) return;
    if (topic.brake.code !== null && isBraked(topic.brake, topic.brake.code))
      session.report({ name: "relay.topicReleased", topic: topic.name });
    topic.brake = releasedBrake;
  };

  return {
    pump,
    judgeRejection,
    noteSuccess,
    async publishFirst(lane) {
      const batch = emptyBatch();
      takeFrom(lane, batch, { messagesMax: 1, ofLaneMax: 1, bytesMax: settings.batchBytesMax });
      await call(lane.topic, batch);
    },
  };
}
