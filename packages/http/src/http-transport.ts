/**
 * The transport over HTTP: one POST per message, 2xx is its confirm.
 *
 *     publish(batch) ─▶ by topic ─▶ by key ─▶ slot ─▶ gate ─▶ request ─▶ outcome
 *                          │          │        │       └ breaker, Retry-After
 *                          │          │        └ `concurrency` requests under way, over all calls
 *                          │          └ one message of a key at a time; after one that was not confirmed, none
 *                          └ a topic has connections, slots and a breaker of its own: a dead one stops no other
 *
 * Nothing outlives its call: at the call's deadline what is being sent is `unknown` and its socket destroyed. Nor is a request written
 * shortly before it, only to be cut off and repeated: what waits by then was not sent. A crash at any arrow leaves messages that were sent and not confirmed; they are published again with the same id.
 */
import {
  behindItsKey,
  type Clock,
  type ConfigProblem,
  emit,
  lanesByTopic,
  type OnEvent,
  type OutgoingMessage,
  type PublishOptions,
  type PublishOutcome,
  type Random,
  sign,
  systemClock,
  systemRandom,
  type Transport,
  throwConfigProblems,
  withDeadline,
  writeTimeMs,
} from "@waybill/core";
import { toRequest } from "./binary-mode.ts";
import { type CheckedDestination, checkDestination, type HttpDestination } from "./destination.ts";
import { type Exchange, exchange } from "./exchange.ts";
import { type Evidence, notSent, outcomeOf, rejectedAs } from "./outcome.ts";
import { retryAfterMs } from "./retry-after.ts";
import { type Route, routes } from "./routes.ts";

interface Surroundings {
  /** Default: the host's. Deadlines go by its monotonic time, the time in signatures is its wall time. */
  readonly clock?: Clock;
  readonly random?: Random;
  /** Told of `http.breakerOpened`, `http.breakerClosed` and `http.destinationGone`. */
  readonly onEvent?: OnEvent;
}

/** One destination for every topic, or one for each. A message whose topic is not listed waits: `retry`, scope `topic`. */
export type HttpTransportOptions = Surroundings & (HttpDestination | { readonly topics: Readonly<Record<string, HttpDestination>> });

/** More of an answer is not read: its status is what counts. */
const responseBytesMax = 65_536;

/** For errors about a message that has no destination. */
const here = "The HTTP transport";

/** A call's own limits, as every message of it meets them. */
interface Call {
  readonly deadlineAtMs: number;
  /** No request is written later than that: its answer could hardly come in time. */
  readonly writeUntilMs: number;
  readonly mayWrite: (() => boolean) | undefined;
}

/**
 * Makes a transport that posts messages as CloudEvents (binary mode), signed after Standard Webhooks.
 *
 * A message is confirmed by a 2xx, and by nothing else: the receiver must answer it after it has committed. A receiver that
 * answers earlier turns "at least once" into "at most once".
 *
 * @throws WAYBILL_CONFIG_INVALID lists everything that is wrong with the options
 */
export function httpTransport(options: HttpTransportOptions): Transport {
  const { clock = systemClock, random = systemRandom, onEvent } = options;
  const destinationOf = checkedDestinations(options);
  const ways = routes(clock, random);
  let calls = 0;
  let closing: Promise<void> | null = null;
  let onQuiet: (() => void) | null = null;

  /** Sends a message that has a slot. */
  const send = async (route: Route, message: OutgoingMessage, call: Call): Promise<PublishOutcome> => {
    const { name, destination, gate } = route;
    const request = toRequest(message);
    if ("problem" in request) return rejectedAs(name, request.problem, request.cause);
    if (closing !== null) return notSent(name, "closed", "transport");
    if (call.mayWrite?.() === false) return notSent(name, "leaseLost", "transport");
    const nowMs = clock.monotonicMs();
    if (nowMs >= call.writeUntilMs) return notSent(name, "deadline", "topic");
    const deadlineMs = Math.min(destination.deadlineMs, call.deadlineAtMs - nowMs);
    const writeMs = Math.min(writeTimeMs(destination.deadlineMs), call.writeUntilMs - nowMs);
    const passage = gate.enter(nowMs);
    if (passage.kind === "wait") return notSent(name, passage.reason, "topic", passage.afterMs);

    const content = { id: message.id, timestampMs: clock.wallMs(), body: request.body };
    const signature = destination.secrets.length === 0 ? {} : sign(destination.secrets, content);
    const post = { method: "POST", url: route.url, headers: { ...request.headers, ...signature }, body: request.body } as const;
    const ended = await exchange(route.connections, post, { deadlineMs, writeMs, responseBytesMax, mayWrite: call.mayWrite }, clock);

    const proved = outcomeOf(evidenceOf(ended), name);
    if (proved.kind === "retry" && proved.scope === "transport") {
      gate.abandon(passage);
      return proved;
    }
    const { outcome, change } = gate.note(passage, proved, clock.monotonicMs());
    if (ended.kind === "answered" && ended.status === 410) emit(onEvent, { name: "http.destinationGone", topic: message.topic });
    if (change === "opened") emit(onEvent, { name: "http.breakerOpened", topic: message.topic });
    if (change === "closed") emit(onEvent, { name: "http.breakerClosed", topic: message.topic });
    return outcome;
  };

  /** Waits for a slot and sends. Behind a closed gate nobody waits. */
  const publishOne = async (message: OutgoingMessage, call: Call): Promise<PublishOutcome> => {
    if (closing !== null) return notSent(here, "closed", "transport");
    const destination = destinationOf(message.topic);
    if (destination === null) return notSent(here, "topicUnknown", "topic");
    const route = ways.of(message.topic, destination);
    if (route === null) return rejectedAs(here, "topicInvalid");
    const passage = route.gate.look(clock.monotonicMs());
    if (passage.kind === "wait") return notSent(route.name, passage.reason, "topic", passage.afterMs);
    route.users += 1;
    try {
      if (!(await route.slots.take(call.writeUntilMs - clock.monotonicMs()))) return notSent(route.name, "deadline", "topic");
      try {
        return await send(route, message, call);
      } finally {
        route.slots.giveBack();
      }
    } finally {
      route.users -= 1;
    }
  };

  const publish = async (
    batch: readonly OutgoingMessage[],
    { deadlineMs, mayWrite }: PublishOptions,
  ): Promise<readonly PublishOutcome[]> => {
    const nowMs = clock.monotonicMs();
    const call: Call = { deadlineAtMs: nowMs + deadlineMs, writeUntilMs: nowMs + writeTimeMs(deadlineMs), mayWrite };
    const outcomes: PublishOutcome[] = batch.map(() => notSent(here, behindItsKey, "message"));

    const publishLane = async (lane: readonly number[]): Promise<void> => {
      for (const place of lane) {
        const message = batch[place];
        if (message === undefined) return;
        const outcome = await publishOne(message, call);
        outcomes[place] = outcome;
        if (outcome.kind !== "confirmed") return; // the rest of the lane is behind it, as it was from the start
      }
    };
    const publishTopic = async (topic: string, lanes: readonly (readonly number[])[]): Promise<void> => {
      const next = lanes.values();
      const runLanes = async (): Promise<void> => {
        for (const lane of next) await publishLane(lane);
      };
      // No more runners than slots: a thousand messages that wait need no thousand timers.
      const runners = Math.min(lanes.length, destinationOf(topic)?.concurrency ?? 1);
      await Promise.all(Array.from({ length: runners }, runLanes));
    };

    calls += 1;
    try {
      await Promise.all([...lanesByTopic(batch)].map(([topic, lanes]) => publishTopic(topic, lanes)));
    } finally {
      calls -= 1;
      if (calls === 0) onQuiet?.();
    }
    return outcomes;
  };

  const close = async (deadlineMs: number): Promise<void> => {
    if (calls > 0) {
      const quiet = new Promise<void>((resolve) => {
        onQuiet = resolve;
      });
      await withDeadline(clock, deadlineMs, quiet);
    }
    ways.destroy();
  };

  return {
    publish,
    close: ({ deadlineMs }) => {
      closing ??= close(deadlineMs);
      return closing;
    },
  };
}

function checkedDestinations(options: HttpTransportOptions): (topic: string) => CheckedDestination | null {
  const problems: ConfigProblem[] = [];
  const byTopic = new Map<string, CheckedDestination | null>();
  let everyTopic: CheckedDestination | null = null;
  if ("topics" in options) {
    for (const [topic, destination] of Object.entries(options.topics)) {
      byTopic.set(
        topic,
        checkDestination(destination, (name) => `topics.${topic}.${name}`, problems),
      );
    }
    if (byTopic.size === 0) problems.push({ option: "topics", problem: "must name at least one topic" });
  } else {
    everyTopic = checkDestination(options, (name) => name, problems);
  }
  throwConfigProblems(here, problems);
  return (topic) => byTopic.get(topic) ?? everyTopic;
}

function evidenceOf(ended: Exchange): Evidence {
  if (ended.kind !== "answered") return ended;
  const { status, headers } = ended;
  return { kind: "answered", status, retryAfterMs: retryAfterMs(headers["retry-after"], headers.date) };
}
