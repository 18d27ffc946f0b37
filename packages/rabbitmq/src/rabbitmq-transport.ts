/**
 * The transport over RabbitMQ: one publishing connection, a confirm channel per exchange, `mandatory` and persistent always.
 *
 *     publish(batch) ─▶ by topic ─▶ by key ─▶ place in the window ─▶ channel of the exchange ─▶ written ─▶ confirm ─▶ outcome
 *                          │          │         │                      └ opened and declared when first needed, on every new link
 *                          │          │         └ 500 messages and 4 MiB per exchange
 *                          │          └ one message of a key at a time; after one that was not confirmed, none
 *                          └ an exchange has a channel and a window of its own: trouble with one stops no other
 *
 * Nothing waits here for a broker that is away: while the connection is lost every message answers `retry` at once, with the time
 * of the next attempt. At the call's deadline what is written and unconfirmed is `unknown`, and what carries it is given up; so nothing
 * is written shortly before it, such as the rest of a key that has more messages than the call has time for. A crash at any arrow leaves messages that may be stored; they are published again with the same id.
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
  type Secret,
  systemClock,
  systemRandom,
  type Timer,
  type Transport,
  throwConfigProblems,
  topicProblem,
  withDeadline,
  writeTimeMs,
} from "@waybill/core";
import { checkConnection, type RabbitmqConnectionOptions } from "./address.ts";
import { brokerConnection } from "./connection.ts";
import { type DestinationOptions, destinations } from "./destination.ts";
import { type Call, type ExchangePublisher, exchangePublisher, type Publishing } from "./exchange-publisher.ts";
import type { Link } from "./link.ts";
import { linkError } from "./link-error.ts";
import { checkManagement, inspect, refusal } from "./management.ts";
import { failed, notSent, rejectedAs } from "./outcome.ts";
import { applyTopology, checkQueues, type RabbitmqQueue, type Topology, type TopologyMode } from "./topology.ts";

export interface RabbitmqTransportOptions extends RabbitmqConnectionOptions, DestinationOptions {
  /**
   * `ensure` (default): exchanges, and the queues below, are declared as they are first needed, on every new connection. `check`: they
   * must be there. `none`: neither. Whatever exists is never changed, and nothing is ever deleted.
   */
  readonly topology?: TopologyMode;
  /** Queues to declare or check together with the exchanges they are bound to. Default none: consumers declare theirs. */
  readonly queues?: readonly RabbitmqQueue[];
  /**
   * RabbitMQ's management API, such as `http://host:15672`; credentials that it does not have are the broker's. With it `start` also
   * looks at policies, and at every queue that the exchanges lead to, whoever declared it. Default none.
   */
  readonly managementUrl?: string | Secret;
  /**
   * Default false: the next message of a key is written when the one before it is confirmed. True: messages of a key follow each
   * other without waiting, which is faster by the number of them on their way, and a nack or a return in their middle inverts them:
   * a later one may be stored first.
   */
  readonly pipelineKeys?: boolean;
  /** Milliseconds that the broker may block us before the connection is reset. Default 600 000. */
  readonly blockedLimitMs?: number;
  /** Default: the host's. */
  readonly clock?: Clock;
  readonly random?: Random;
  /** Told of the `rabbitmq.` events. */
  readonly onEvent?: OnEvent;
}

export interface RabbitmqTransport extends Transport {
  /**
   * Connects, and declares or checks everything that the options name. Not needed for publishing, which does the same bit by bit;
   * for refusing to start with a configuration that cannot work.
   *
   * @throws WAYBILL_TOPOLOGY for an exchange or queue that is not as declared, or would lose messages
   * @throws WAYBILL_TRANSPORT if the broker cannot be reached, or lets us not in
   * @throws WAYBILL_CONFIG_INVALID if the driver is missing or too old
   */
  start(options: { readonly deadlineMs: number }): Promise<void>;
}

/** For errors about what has no exchange. */
const here = "(none)";

/** Exchanges with a channel at once. */
const channelsMax = 64;
/** For the broker to let go of an exchange's channel that is not used. */
const goodbyeMs = 2_000;
const lanesAtOnceMax = 500;

/**
 * Makes a transport that publishes to RabbitMQ.
 *
 * A message is confirmed when the broker has acked it and has not returned it: it lies in at least one queue, on disk, and in a
 * quorum queue on a majority of its nodes. What the queue does with it then is the queue's affair: see the linter.
 *
 * @throws WAYBILL_CONFIG_INVALID lists everything that is wrong with the options
 */
export function rabbitmqTransport(options: RabbitmqTransportOptions): RabbitmqTransport {
  const { topology: mode = "ensure", queues = [], pipelineKeys = false, blockedLimitMs = 600_000 } = options;
  const { clock = systemClock, random = systemRandom, onEvent } = options;
  const problems: ConfigProblem[] = [];
  const settings = checkConnection(options, problems);
  const to = destinations(options, problems);
  checkQueues(queues, (name) => `queues.${name}`, problems);
  if (!["ensure", "check", "none"].includes(mode)) problems.push({ option: "topology", problem: "must be ensure, check or none" });
  if (!Number.isInteger(blockedLimitMs) || blockedLimitMs < 1_000 || blockedLimitMs > 86_400_000)
    problems.push({ option: "blockedLimitMs", problem: "must be a whole number from 1000 to 86400000" });
  const management = settings === null ? null : checkManagement(options.managementUrl, settings, problems);
  throwConfigProblems("The RabbitMQ transport", problems);
  if (settings === null) throw new Error("problems were found and not thrown");

  const publishers = new Map<string, ExchangePublisher>();
  let calls = 0;
  let closing: Promise<void> | null = null;
  let isClosing = false;
  let onQuiet: (() => void) | null = null;

  /** A broker that blocks for longer than that is given up: everything on its way is unknown then. */
  const watchBlocked = (link: Link): void => {
    let timer: Timer | null = null;
    link.onBlocked((isBlocked) => {
      timer?.cancel();
      timer = isBlocked ? clock.setTimer(blockedLimitMs, () => link.reset("blockedLimit")) : null;
    });
    link.onEnd(() => timer?.cancel());
  };

  const connection = brokerConnection(settings, { role: "transport", clock, random, onEvent, onLink: watchBlocked });

  const topologyOf = (exchange: string): Topology => ({
    exchanges: [exchange],
    queues: queues.filter(({ bindings = [] }) => bindings.some((binding) => binding.exchange === exchange)),
  });

  /** null: as many exchanges as may have a channel are busy. */
  const publisherOf = (exchange: string): ExchangePublisher | null => {
    const known = publishers.get(exchange);
    if (known !== undefined) return known;
    if (publishers.size >= channelsMax) {
      const idle = [...publishers].find(([, publisher]) => publisher.isIdle);
      if (idle === undefined) return null;
      publishers.delete(idle[0]);
      idle[1].close(goodbyeMs).catch(() => undefined); // a link that is silent then is reset
    }
    const made = exchangePublisher({
      exchange,
      connection,
      topology: topologyOf(exchange),
      mode,
      clock,
      onEvent,
      isClosing: () => isClosing,
    });
    publishers.set(exchange, made);
    return made;
  };

  /** Answers when the message is on the wire or surely will not be: at once where it can. */
  const publishOne = (message: OutgoingMessage, call: Call): Publishing | Promise<Publishing> => {
    if (isClosing) return { outcome: notSent(here, failed("closed"), "transport") };
    if (topicProblem(message.topic) !== null) return { outcome: rejectedAs(here, failed("topicInvalid")) };
    const { exchange, routingKey } = to.routeOf(message);
    const publisher = publisherOf(exchange);
    if (publisher === null) return { outcome: notSent(exchange, failed("channelsBusy"), "topic") };
    return publisher.publish(message, routingKey, call);
  };

  const publish = async (
    batch: readonly OutgoingMessage[],
    { deadlineMs, mayWrite }: PublishOptions,
  ): Promise<readonly PublishOutcome[]> => {
    const call = openCall(clock, deadlineMs, mayWrite);
    const behind = notSent(here, failed(behindItsKey), "message");
    const outcomes: PublishOutcome[] = batch.map(() => behind);

    /** One message of a key after the other, each when the one before it is confirmed. */
    const publishLane = async (lane: readonly number[]): Promise<void> => {
      for (const place of lane) {
        const message = batch[place];
        if (message === undefined) return;
        const publishing = publishOne(message, call);
        const { outcome: known } = publishing instanceof Promise ? await publishing : publishing;
        const outcome = known instanceof Promise ? await known : known;
        outcomes[place] = outcome;
        if (outcome.kind !== "confirmed") return; // the rest of the lane is behind it, as it was from the start
      }
    };
    /** One after the other on the wire, until one is known not to be confirmed. */
    const publishPipelined = async (lane: readonly number[]): Promise<void> => {
      let hasFailed = false;
      const settled: Promise<void>[] = [];
      for (const place of lane) {
        const message = batch[place];
        if (message === undefined || hasFailed) break;
        const { outcome } = await publishOne(message, call);
        const note = (known: PublishOutcome): void => {
          outcomes[place] = known;
          if (known.kind !== "confirmed") hasFailed = true;
        };
        if (outcome instanceof Promise) settled.push(outcome.then(note));
        else note(outcome);
      }
      await Promise.all(settled);
    };
    const publishTopic = async (lanes: readonly (readonly number[])[]): Promise<void> => {
      const next = lanes.values();
      const runLanes = async (): Promise<void> => {
        for (const lane of next) await (pipelineKeys ? publishPipelined(lane) : publishLane(lane));
      };
      await Promise.all(Array.from({ length: Math.min(lanes.length, lanesAtOnceMax) }, runLanes));
    };

    calls += 1;
    try {
      await Promise.all([...lanesByTopic(batch).values()].map(publishTopic));
    } finally {
      call.end();
      calls -= 1;
      if (calls === 0) onQuiet?.();
    }
    return outcomes;
  };

  const close = async (deadlineMs: number): Promise<void> => {
    const deadlineAtMs = clock.monotonicMs() + deadlineMs;
    for (const publisher of publishers.values()) publisher.callOff();
    if (calls > 0) {
      const quiet = new Promise<void>((resolve) => {
        onQuiet = resolve;
      });
      await withDeadline(clock, deadlineMs, quiet);
    }
    await connection.close({ deadlineMs: Math.max(0, deadlineAtMs - clock.monotonicMs()) });
  };

  const start = async (deadlineMs: number): Promise<void> => {
    const connected = await connection.connect(deadlineMs);
    if (connected.kind === "failed") throw linkError(connected.failure);
    const { link } = connected;
    const wrong = await applyTopology(link, { exchanges: to.exchanges, queues }, mode, deadlineMs);
    if (wrong !== null) throw wrong.kind === "refused" ? wrong.error : linkError(wrong.failure);
    if (management === null) return;
    const bound = queues.flatMap(({ bindings = [] }) => bindings.map(({ exchange }) => exchange));
    const exchanges = [...new Set([...to.exchanges, ...bound])];
    const found = await inspect({ management, settings, exchanges, queues: queues.map(({ name }) => name), clock, deadlineMs });
    for (const { what, name, rule } of found)
      emit(onEvent, { name: "rabbitmq.topologyRisky", role: "transport", broker: link.broker, what, object: name, rule });
    const refused = refusal(found);
    if (refused !== null) throw refused;
  };

  return {
    publish,
    start: ({ deadlineMs }) => start(deadlineMs),
    close: ({ deadlineMs }) => {
      isClosing = true;
      closing ??= close(deadlineMs);
      return closing;
    },
  };
}

/** A call, and one timer for all of its messages. */
function openCall(clock: Clock, deadlineMs: number, mayWrite: (() => boolean) | undefined): Call & { end(): void } {
  const listeners = new Set<() => void>();
  let isOver = false;
  const timer = clock.setTimer(deadlineMs, () => {
    isOver = true;
    for (const listener of listeners) listener();
    listeners.clear();
  });
  return {
    writeUntilMs: clock.monotonicMs() + writeTimeMs(deadlineMs),
    mayWrite,
    onDeadline(listener) {
      if (isOver) listener();
      else listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    end: () => timer.cancel(),
  };
}
