/**
 * Exchanges and queues: how they are declared so that nothing in them is lost, and what is refused because it would be.
 *
 * What a queue of ours is, always: durable, of type quorum, with a delivery limit that no message reaches (a limit that is reached
 * deletes the message; the default of RabbitMQ 4 is 20, and −1 means "delete after the first delivery" on 3.10). Where messages of a
 * key must keep their order, one consumer is active at a time. With a length limit a full queue refuses (`reject-publish`) instead
 * of deleting its oldest. Messages it gives up go to a dead-letter queue that we declare with it.
 *
 * `ensure` declares; the broker then compares with what is there and refuses a difference (406), which we report with the argument
 * that differs. `check` only asks whether the names exist. Nothing is ever deleted or changed.
 */
import { type ConfigProblem, type WaybillError, waybillError } from "@waybill/core";
import type { DriverTable } from "./driver.ts";
import type { Called, ChannelEnd, Link, LinkChannel } from "./link.ts";

/** `ensure`: declare what is missing. `check`: it must be there. `none`: neither; an unroutable message waits all the same. */
export type TopologyMode = "ensure" | "check" | "none";

/** Which messages of an exchange a queue gets. */
export interface RabbitmqBinding {
  readonly exchange: string;
  /** `orders`, `orders.3`; in a topic exchange `*` is one word and `#` any number of them. */
  readonly routingKey: string;
}

/** A queue, as it should be. Whatever is not said here has the value under which nothing is lost. */
export interface RabbitmqQueue {
  readonly name: string;
  readonly bindings?: readonly RabbitmqBinding[];
  /** Default true: one consumer is active at a time, so that messages of a key keep their order. */
  readonly isKeyed?: boolean;
  /** Most messages, and most bytes, in the queue. Beyond it the queue refuses. Soft: a burst may go over it. Default none. */
  readonly lengthMax?: number;
  readonly lengthBytesMax?: number;
  /** Milliseconds after which a message leaves the queue unread. Needs `deadLetter`, or it would be gone. Default none. */
  readonly messageTtlMs?: number;
  /**
   * Deliveries after which a message leaves the queue. Default 1 000 000 000: never, for how often a message is tried is the inbox's
   * affair, which keeps it. Any other needs `deadLetter`.
   */
  readonly deliveryLimit?: number;
  /** Where messages go that the queue gives up: both are declared and bound. */
  readonly deadLetter?: { readonly exchange: string; readonly queue: string };
  /** Further arguments, such as `x-quorum-initial-group-size`. None that this declaration sets itself. */
  readonly arguments?: Readonly<Record<string, string | number | boolean>>;
}

/** What belongs to one exchange: it is declared before the queues that are bound to it. */
export interface Topology {
  /** Durable topic exchanges. The default exchange (`""`) and those named `amq.` are the broker's own and only used. */
  readonly exchanges: readonly string[];
  readonly queues: readonly RabbitmqQueue[];
}

/** Never reached, and accepted by every version; −1 is not (see above). */
export const deliveryLimitNever = 1_000_000_000;

const nameBytesMax = 255;

/** These have options of their own, or would make a queue that loses messages. */
const ownArguments: ReadonlySet<string> = new Set([
  "x-queue-type",
  "x-single-active-consumer",
  "x-max-length",
  "x-max-length-bytes",
  "x-overflow",
  "x-message-ttl",
  "x-delivery-limit",
  "x-dead-letter-exchange",
  "x-dead-letter-routing-key",
  "x-dead-letter-strategy",
  "x-expires",
]);

/** Checks declarations. What is wrong goes to `problems`, under the name that `option` makes of it. */
export function checkQueues(queues: readonly RabbitmqQueue[], option: (name: string) => string, problems: ConfigProblem[]): void {
  const names = new Set<string>();
  for (const queue of queues) {
    const complain = (name: string, problem: string): void =>
      void problems.push({ option: option(`${queue.name === "" ? '""' : queue.name}.${name}`), problem });
    const nameRule = nameProblem(queue.name);
    if (nameRule !== null) complain("name", nameRule);
    if (names.has(queue.name)) complain("name", "is declared twice");
    names.add(queue.name);
    for (const { exchange, routingKey } of queue.bindings ?? []) {
      if (exchange === "") complain("bindings", "the default exchange has every queue under its name already");
      const rule = exchange === "" ? null : (nameProblem(exchange) ?? (Buffer.byteLength(routingKey) > nameBytesMax ? tooLong : null));
      if (rule !== null) complain("bindings", rule);
    }
    const isCount = (value: number | undefined): boolean => value === undefined || (Number.isSafeInteger(value) && value >= 1);
    if (!isCount(queue.lengthMax)) complain("lengthMax", "must be a whole number above 0");
    if (!isCount(queue.lengthBytesMax)) complain("lengthBytesMax", "must be a whole number above 0");
    if (!isCount(queue.messageTtlMs)) complain("messageTtlMs", "must be a whole number above 0");
    if (!isCount(queue.deliveryLimit))
      complain("deliveryLimit", "must be a whole number above 0: some versions delete a message at its first delivery for -1");
    if (queue.messageTtlMs !== undefined && queue.deadLetter === undefined)
      complain("messageTtlMs", "needs deadLetter: messages that expire without one are lost");
    if (queue.deliveryLimit !== undefined && queue.deliveryLimit < deliveryLimitNever && queue.deadLetter === undefined)
      complain("deliveryLimit", "needs deadLetter: messages that reach the limit without one are lost");
    if (queue.deadLetter !== undefined) {
      const rule = nameProblem(queue.deadLetter.exchange) ?? nameProblem(queue.deadLetter.queue);
      if (rule !== null) complain("deadLetter", rule);
      if (queue.deadLetter.queue === queue.name) complain("deadLetter", "must be another queue");
    }
    for (const name of Object.keys(queue.arguments ?? {})) if (ownArguments.has(name)) complain("arguments", argumentProblem(name));
  }
}

const tooLong = `has at most ${nameBytesMax} bytes`;

function nameProblem(name: string): string | null {
  if (name === "") return "must have a name: one that the broker makes up is lost with the connection";
  if (Buffer.byteLength(name) > nameBytesMax) return tooLong;
  return name.startsWith("amq.") ? "must not begin with amq.: those names are the broker's" : null;
}

function argumentProblem(name: string): string {
  switch (name) {
    case "x-overflow":
      return "must not hold x-overflow: with a length limit it is reject-publish, for drop-head deletes messages that were confirmed";
    case "x-expires":
      return "must not hold x-expires: a queue that expires takes its messages along";
    case "x-queue-type":
      return "must not hold x-queue-type: it is quorum, which keeps what was confirmed when a node dies";
    default:
      return `must not hold ${name}: it has an option of its own`;
  }
}

/** The arguments a queue is declared with. */
export function queueArguments(queue: RabbitmqQueue): DriverTable {
  const { isKeyed = true, lengthMax, lengthBytesMax, messageTtlMs, deliveryLimit = deliveryLimitNever, deadLetter } = queue;
  const isLimited = lengthMax !== undefined || lengthBytesMax !== undefined;
  return {
    "x-queue-type": "quorum",
    "x-delivery-limit": deliveryLimit,
    ...(isKeyed ? { "x-single-active-consumer": true } : {}),
    ...(lengthMax === undefined ? {} : { "x-max-length": lengthMax }),
    ...(lengthBytesMax === undefined ? {} : { "x-max-length-bytes": lengthBytesMax }),
    ...(messageTtlMs === undefined ? {} : { "x-message-ttl": messageTtlMs }),
    // A dead letter is handed over at least once only by a queue that refuses when it is full.
    ...(isLimited || deadLetter !== undefined ? { "x-overflow": "reject-publish" } : {}),
    ...(deadLetter === undefined
      ? {}
      : {
          "x-dead-letter-exchange": deadLetter.exchange,
          "x-dead-letter-routing-key": queue.name,
          "x-dead-letter-strategy": "at-least-once",
        }),
    ...queue.arguments,
  };
}

/**
 * Declares or checks a topology on a link. Idempotent; done again on every new link, for the broker may have lost it.
 *
 * null: all is as it should be. Otherwise the first thing that is not, which an operator must put right, or the link's own end.
 */
export async function applyTopology(
  link: Link,
  topology: Topology,
  mode: TopologyMode,
  deadlineMs: number,
): Promise<TopologyFailure | null> {
  if (mode === "none" || (topology.exchanges.length === 0 && topology.queues.length === 0)) return null;
  const opened = await link.openChannel(deadlineMs);
  if (opened.kind === "failed") return { kind: "unreachable", failure: opened.failure };
  const channel = opened.value;
  for (const step of stepsOf(topology, mode)) {
    const called = await step.run(channel, deadlineMs);
    if (called.kind === "done") continue;
    const { failure } = called;
    channel.close(deadlineMs).catch(() => undefined); // still open, if only the answer did not come
    if (failure.brokerCode === null || failure.isLinkLost) return { kind: "unreachable", failure };
    return { kind: "refused", error: topologyRefused(step, failure), failure };
  }
  await channel.close(deadlineMs);
  return null;
}

/** `refused`: the broker has said no. `unreachable`: nobody said anything; the next link tries again. */
export type TopologyFailure =
  | { readonly kind: "refused"; readonly error: WaybillError<"WAYBILL_TOPOLOGY">; readonly failure: ChannelEnd }
  | { readonly kind: "unreachable"; readonly failure: ChannelEnd };

interface Step {
  readonly what: "exchange" | "queue" | "binding";
  readonly name: string;
  run(channel: LinkChannel, deadlineMs: number): Promise<Called<unknown>>;
}

function stepsOf({ exchanges, queues }: Topology, mode: "ensure" | "check"): readonly Step[] {
  const deadLetters = queues.flatMap(({ deadLetter }) => (deadLetter === undefined ? [] : [deadLetter]));
  const bound = queues.flatMap(({ bindings = [] }) => bindings.map(({ exchange }) => exchange));
  const allExchanges = [...new Set([...exchanges, ...bound, ...deadLetters.map(({ exchange }) => exchange)])];
  const steps: Step[] = allExchanges.filter((name) => name !== "").map((name) => exchangeStep(name, mode));
  for (const { exchange, queue } of deadLetters) {
    // Dead letters are kept for a human: any order, any number of readers.
    const declared: RabbitmqQueue = { name: queue, isKeyed: false, bindings: [{ exchange, routingKey: "#" }] };
    steps.push(queueStep(declared, mode), ...bindingSteps(declared, mode));
  }
  for (const queue of queues) steps.push(queueStep(queue, mode), ...bindingSteps(queue, mode));
  return steps;
}

function exchangeStep(name: string, mode: "ensure" | "check"): Step {
  const isBrokersOwn = name.startsWith("amq.");
  return {
    what: "exchange",
    name,
    run: (channel, deadlineMs) =>
      channel.call(
        (driver) =>
          mode === "check" || isBrokersOwn ? driver.checkExchange(name) : driver.assertExchange(name, "topic", { durable: true }),
        deadlineMs,
      ),
  };
}

function queueStep(queue: RabbitmqQueue, mode: "ensure" | "check"): Step {
  const { name } = queue;
  return {
    what: "queue",
    name,
    run: (channel, deadlineMs) =>
      channel.call(
        (driver) =>
          mode === "check" ? driver.checkQueue(name) : driver.assertQueue(name, { durable: true, arguments: queueArguments(queue) }),
        deadlineMs,
      ),
  };
}

/** The protocol cannot ask whether a binding is there; a message without one comes back and waits. */
function bindingSteps({ name, bindings = [] }: RabbitmqQueue, mode: "ensure" | "check"): readonly Step[] {
  if (mode === "check") return [];
  return bindings.map(({ exchange, routingKey }) => ({
    what: "binding",
    name: `${exchange} to ${name}`,
    run: (channel, deadlineMs) => channel.call((driver) => driver.bindQueue(name, exchange, routingKey), deadlineMs),
  }));
}

function topologyRefused({ what, name }: Step, { brokerCode, cause }: ChannelEnd): WaybillError<"WAYBILL_TOPOLOGY"> {
  // The broker names the argument in its text, and nowhere else.
  const argument = cause instanceof Error ? (/inequivalent arg '([^']{1,100})'/.exec(cause.message)?.[1] ?? null) : null;
  const found =
    argument !== null
      ? `exists with another ${argument}; change the declaration, or the ${what}, which Waybill never does`
      : brokerCode === "404"
        ? "does not exist; create it, or let topology be ensure"
        : brokerCode === "403"
          ? "may not be declared or used by this user; grant it"
          : "cannot be declared";
  return waybillError(
    "WAYBILL_TOPOLOGY",
    `RabbitMQ ${what} ${name} ${found}.`,
    { system: "rabbitmq", what, name, argument, brokerCode },
    cause,
  );
}
