/**
 * Takes messages from queues of a RabbitMQ and hands them over one by one, each as soon as what is before it of its key is done.
 *
 *     queue ──prefetch──▶ channel of its own ──▶ lanes ──▶ handle ──▶ COMMIT ──▶ done ──▶ ack on that channel
 *                                                  └────── again: it stays here, and its key behind it
 *
 * An ack goes out only after `handle` has said `done`, that is after the inbox has committed. Whatever happens before – a crash at any
 * arrow, a lost connection, a channel that the broker closes – the broker delivers the message again, and the inbox knows it.
 *
 * What is held here is bounded by number (`prefetch` of each queue) and by bytes: a queue with large messages begins again with half its
 * prefetch until all fit. One connection of its own for the source: an alarm of the broker's blocks those who publish, and whoever
 * consumes must go on acking.
 */
import {
  type Clock,
  type ConfigProblem,
  emit,
  type OnEvent,
  type Random,
  type Source,
  type SourceEvent,
  systemClock,
  systemRandom,
  throwConfigProblems,
  waybillError,
} from "@waybill/core";
import { checkConnection, type RabbitmqConnectionOptions } from "./address.ts";
import { brokerConnection } from "./connection.ts";
import { createHandlerLine } from "./handler-line.ts";
import { createQueueConsumer, type QueueConsumer } from "./queue-consumer.ts";
import { checkQueues, type RabbitmqQueue, type TopologyMode } from "./topology.ts";

export interface RabbitmqSourceOptions extends RabbitmqConnectionOptions {
  /** The queues to take from, as they should be; `topicQueues` makes those that fit the transport's defaults. 1 to 200. */
  readonly queues: readonly RabbitmqQueue[];
  /**
   * `ensure` (default) declares queues, bindings and their exchanges. `check`: the queues must be there, whoever declared them. `none`
   * leaves even that to the first attempt to consume.
   *
   * Of a queue that is not declared here `deliveryLimit` says after how many deliveries its broker deletes a message; default 20, as
   * RabbitMQ 4 has it. A message that comes near it becomes a dead letter of the inbox before.
   */
  readonly topology?: TopologyMode;
  /**
   * Deliveries that each queue may have with us at once. Default 100, and at most 1 000 over all queues. More: more that comes again
   * after a lost connection; fewer: a round trip to the broker between handlers. The inbox's own `prefetch` should not be less.
   */
  readonly prefetch?: number;
  /** Bytes of messages held at once, over all queues. Default 64 MiB. One message of each queue is held, however large. */
  readonly bytesMax?: number;
  /**
   * The longest that a handler may take, in milliseconds; name the inbox's `handlerDeadlineMs`. Default 60 000. A queue of which nothing
   * has ended for twice that begins again with a new channel, and after four times it ends `consume` with an error. Keep it below half
   * of the broker's `consumer_timeout`, 30 minutes by default.
   */
  readonly handlerDeadlineMs?: number;
  /**
   * A queue with messages ready of which none has come for so long begins again with a new channel; and as often its lag is told. Milliseconds. Default
   * 30 000.
   */
  readonly nothingDeliveredMs?: number;
  /** What handlers get when `consume` is told to end, in milliseconds; then it ends without them. Default 15 000. */
  readonly stopDeadlineMs?: number;
  readonly onEvent?: OnEvent;
  readonly clock?: Clock;
  readonly random?: Random;
}

const heldMax = 1_000;
const queuesMax = 200;
const closeDeadlineMs = 2_000;

/**
 * Makes a source. It opens nothing until it is consumed, and may be consumed again after it has ended.
 *
 * `consume` rejects when waiting does not help: the broker refuses us or the topology at first (WAYBILL_TRANSPORT, WAYBILL_TOPOLOGY), or
 * a handler hangs (WAYBILL_TRANSPORT, reason `handlerStuck`). A broker that is away, at first or later, is waited for.
 *
 * @throws WAYBILL_CONFIG_INVALID with every problem
 */
export function rabbitmqSource(options: RabbitmqSourceOptions): Source {
  const { queues, topology = "ensure", clock = systemClock, random = systemRandom, onEvent } = options;
  const { prefetch = 100, bytesMax = 67_108_864 } = options;
  const { handlerDeadlineMs = 60_000, nothingDeliveredMs = 30_000, stopDeadlineMs = 15_000 } = options;
  const problems: ConfigProblem[] = [];
  const settings = checkConnection(options, problems);
  checkQueues(queues, (name) => `queues.${name}`, problems);
  if (queues.length < 1 || queues.length > queuesMax) problems.push({ option: "queues", problem: `must be 1 to ${queuesMax}` });
  if (!["ensure", "check", "none"].includes(topology)) problems.push({ option: "topology", problem: "ensure, check or none" });
  problems.push(
    ...wholeNumber("prefetch", prefetch, 1, heldMax),
    ...wholeNumber("bytesMax", bytesMax, 1, 2 ** 40),
    ...wholeNumber("handlerDeadlineMs", handlerDeadlineMs, 1, 86_400_000),
    ...wholeNumber("nothingDeliveredMs", nothingDeliveredMs, 1, 86_400_000),
    ...wholeNumber("stopDeadlineMs", stopDeadlineMs, 0, 86_400_000),
  );
  throwConfigProblems("The RabbitMQ source", problems);
  if (settings === null) throw new Error("What is not checked was refused.");
  let isConsuming = false;

  return {
    async consume(handle, { signal }) {
      if (isConsuming) throw inUse();
      if (signal.aborted) return;
      isConsuming = true;
      const ended = new AbortController();
      const stop = AbortSignal.any([signal, ended.signal]);
      const connection = brokerConnection(settings, { role: "source", clock, random, onEvent });
      const line = createHandlerLine(clock);
      const consumers: QueueConsumer[] = queues.map((queue) =>
        createQueueConsumer({
          queue,
          topology,
          connection,
          handle,
          line,
          prefetch: Math.max(1, Math.min(prefetch, Math.floor(heldMax / queues.length))),
          consumerName: settings.connectionName,
          handlerDeadlineMs,
          nothingDeliveredMs,
          stopDeadlineMs,
          clock,
          random,
          report: (step) => emit(onEvent, { system: "rabbitmq", group: queue.name, ...step } as SourceEvent),
          onTaken: () => keepWithin(consumers, bytesMax),
        }),
      );
      try {
        const runs = consumers.map((consumer) => consumer.run(stop));
        // One that cannot go on ends all: half a source looks healthy and is not.
        for (const run of runs) run.catch(() => ended.abort());
        for (const run of await Promise.allSettled(runs)) if (run.status === "rejected") throw run.reason;
      } finally {
        await connection.close({ deadlineMs: closeDeadlineMs });
        isConsuming = false;
      }
    },
  };
}

/** More bytes than may be: the queue that holds most of them, and more than one message, gives some back. */
function keepWithin(consumers: readonly QueueConsumer[], bytesMax: number): void {
  const bytes = consumers.reduce((sum, { bytesHeld }) => sum + bytesHeld, 0);
  if (bytes <= bytesMax) return;
  const [largest] = consumers.filter(({ held }) => held > 1).sort((left, right) => right.bytesHeld - left.bytesHeld);
  largest?.shrink();
}

function inUse(): Error {
  const problem = { option: "consume", problem: "is under way: a source has one consumer at a time" };
  return waybillError("WAYBILL_CONFIG_INVALID", `The RabbitMQ source: ${problem.option} ${problem.problem}.`, { problems: [problem] });
}

function wholeNumber(option: string, value: number, min: number, max: number): readonly ConfigProblem[] {
  if (Number.isInteger(value) && value >= min && value <= max) return [];
  return [{ option, problem: `must be a whole number from ${min} to ${max}` }];
}
