/** What is done to a chaos run and when, decided before it starts: one seed, one schedule. */
import { type DealtFault, dealFaults, seededRandom } from "@waybill/testing";

/** Which relay or consumer: the one at work then, or one by its place. */
export type Target = "busy" | number;
export type Kind = "writer" | "relay" | "consumer";

/** What happens to a link. `cut…`: at a COMMIT; `swallow`: it is heard and nobody answers. */
export type LinkHarm = "blackHole" | "reset" | "refuse" | "cutBefore" | "cutAfter" | "cutReply" | "swallow" | "slice" | "delay";

export type ChaosFault =
  /** kill -9, and back after a while. */
  | { readonly kind: "kill"; readonly of: Kind; readonly which: Target; readonly downMs: number }
  /** SIGTERM: it ends by itself. Writers are never asked to. */
  | { readonly kind: "end"; readonly of: "relay" | "consumer"; readonly which: Target; readonly downMs: number }
  /** SIGSTOP, SIGCONT. */
  | { readonly kind: "stop"; readonly of: Kind; readonly which: Target; readonly forMs: number }
  /** The way of one of them to its database. */
  | { readonly kind: "databaseLink"; readonly of: Kind; readonly which: Target; readonly harm: LinkHarm; readonly forMs: number }
  /** The way of all of them to the broker. */
  | {
      readonly kind: "brokerLink";
      readonly of: "relay" | "consumer";
      readonly harm: "blackHole" | "reset" | "refuse" | "slice" | "delay";
      readonly forMs: number;
    }
  /** A database ends a part of its sessions. */
  | { readonly kind: "endSessions"; readonly at: "source" | "target"; readonly part: number }
  /** Of RabbitMQ: the broker closes all connections. Of Kafka the doors do. */
  | { readonly kind: "closeConnections" }
  /** Only with servers of our own, as what follows. */
  | { readonly kind: "killDatabase"; readonly downMs: number }
  | { readonly kind: "restartDatabase" }
  | { readonly kind: "killBroker"; readonly downMs: number }
  | { readonly kind: "restartBroker" };

export type PlannedFault = DealtFault<ChaosFault>;

export interface ChaosScheduleOptions {
  readonly minutes: number;
  readonly isDatabaseOurs: boolean;
  readonly isBrokerOurs: boolean;
  /** The ways to the broker can be broken. */
  readonly hasDoors: boolean;
  readonly relays: number;
  readonly consumers: number;
  readonly writers: number;
  readonly leaseMs: number;
}

/** How often each lies in a minute's deck. */
const deck = {
  killWriter: 1,
  stopWriter: 0.5,
  writerLink: 3,
  killRelay: 2,
  endRelay: 0.5,
  stopRelay: 1.5,
  relayLink: 3,
  killConsumer: 2,
  endConsumer: 0.5,
  stopConsumer: 1,
  consumerLink: 3,
  relaysBroker: 1.5,
  consumersBroker: 1.5,
  endSessions: 1,
  closeConnections: 0.5,
  killDatabase: 0.7,
  restartDatabase: 0.3,
  killBroker: 0.4,
  restartBroker: 0.4,
} as const;

export type ChaosKind = keyof typeof deck;

export function createChaosSchedule(seed: number, options: ChaosScheduleOptions): readonly PlannedFault[] {
  const { minutes, leaseMs } = options;
  const random = seededRandom(seed);
  const below = (end: number): number => Math.floor(random.fraction() * end);
  const between = (low: number, high: number): number => low + below(high - low);
  const anyOf = <const Item>(items: readonly Item[]): Item => items[below(items.length)] as Item;
  // Who is at work is hit most often: nothing changes hands when a standby dies.
  const target = (count: number): Target => (random.fraction() < 0.7 ? "busy" : below(count));
  const outage = (): number => Math.round(leaseMs * (0.3 + random.fraction() * 1.7));
  /** A COMMIT that is cut somewhere is what a link can do worst, so it comes most often. */
  const harm = (): LinkHarm =>
    anyOf(["cutBefore", "cutAfter", "cutReply", "cutReply", "swallow", "blackHole", "reset", "refuse", "slice", "delay"]);
  const brokerHarm = () => anyOf(["blackHole", "reset", "refuse", "slice", "delay"]);

  const make = (kind: ChaosKind): ChaosFault => {
    switch (kind) {
      case "killWriter":
        return { kind: "kill", of: "writer", which: below(options.writers), downMs: between(0, 1_000) };
      case "stopWriter":
        return { kind: "stop", of: "writer", which: below(options.writers), forMs: between(500, 5_000) };
      case "writerLink":
        return { kind: "databaseLink", of: "writer", which: below(options.writers), harm: harm(), forMs: between(500, 4_000) };
      case "killRelay":
        return { kind: "kill", of: "relay", which: target(options.relays), downMs: between(0, 3_000) };
      case "endRelay":
        return { kind: "end", of: "relay", which: target(options.relays), downMs: between(0, 3_000) };
      case "stopRelay":
        return { kind: "stop", of: "relay", which: target(options.relays), forMs: outage() };
      case "relayLink":
        return { kind: "databaseLink", of: "relay", which: target(options.relays), harm: harm(), forMs: outage() };
      case "killConsumer":
        return { kind: "kill", of: "consumer", which: target(options.consumers), downMs: between(0, 3_000) };
      case "endConsumer":
        return { kind: "end", of: "consumer", which: target(options.consumers), downMs: between(0, 3_000) };
      case "stopConsumer":
        return { kind: "stop", of: "consumer", which: target(options.consumers), forMs: between(1_000, 8_000) };
      case "consumerLink":
        return { kind: "databaseLink", of: "consumer", which: target(options.consumers), harm: harm(), forMs: between(500, 4_000) };
      case "relaysBroker":
        return { kind: "brokerLink", of: "relay", harm: brokerHarm(), forMs: between(500, 4_000) };
      case "consumersBroker":
        return { kind: "brokerLink", of: "consumer", harm: brokerHarm(), forMs: between(500, 4_000) };
      case "endSessions":
        return { kind: "endSessions", at: anyOf(["source", "target"]), part: below(3) };
      case "killDatabase":
        return { kind, downMs: between(0, 2_500) };
      case "killBroker":
        return { kind, downMs: between(0, 2_500) };
      case "closeConnections":
      case "restartDatabase":
      case "restartBroker":
        return { kind };
    }
  };
  const spared: Readonly<Record<ChaosKind, number>> = {
    ...deck,
    ...(options.isDatabaseOurs ? {} : { killDatabase: 0, restartDatabase: 0 }),
    ...(options.isBrokerOurs ? {} : { killBroker: 0, restartBroker: 0, closeConnections: 0 }),
    ...(options.hasDoors ? {} : { relaysBroker: 0, consumersBroker: 0 }),
  };
  return dealFaults({ random, deck: spared, minutes, make });
}

/** As it is counted: `kill relay`, `cutReply consumer`. */
export function nameOfFault(fault: ChaosFault): string {
  switch (fault.kind) {
    case "kill":
    case "end":
    case "stop":
      return `${fault.kind} ${fault.of}`;
    case "databaseLink":
      return `${fault.harm} ${fault.of}`;
    case "brokerLink":
      return `${fault.harm} ${fault.of}s' broker`;
    case "endSessions":
      return `${fault.kind} ${fault.at}`;
    default:
      return fault.kind;
  }
}
