import type { Clock, Random } from "@waybill/core";
import { type Connections, connections } from "./connections.ts";
import type { CheckedDestination } from "./destination.ts";
import { type DestinationGate, destinationGate } from "./destination-gate.ts";
import { type Slots, slots } from "./slots.ts";

/** A topic's way out and how it is: its URL, connections, slots and breaker, shared with no other topic. */
export interface Route {
  readonly destination: CheckedDestination;
  readonly url: URL;
  /** For errors: the origin, without path and query. */
  readonly name: string;
  readonly connections: Connections;
  readonly slots: Slots;
  readonly gate: DestinationGate;
  /** How many messages are on their way through it. */
  users: number;
}

export interface Routes {
  /** The route of a topic that `destination` serves; null if the topic does not fit its URL. */
  of(topic: string, destination: CheckedDestination): Route | null;
  /** Ends what is under way and closes every connection. */
  destroy(): void;
}

/** Topics without traffic are forgotten beyond this number, together with their connections. */
const routesMax = 1_000;

export function routes(clock: Clock, random: Random): Routes {
  const byTopic = new Map<string, Route>();

  const forgetIdle = (): void => {
    for (const [topic, route] of byTopic) {
      if (route.users > 0 || !route.gate.isBlank(clock.monotonicMs())) continue;
      route.connections.destroy("closed");
      byTopic.delete(topic);
    }
  };

  return {
    of(topic, destination) {
      const known = byTopic.get(topic);
      if (known !== undefined) return known;
      const url = destination.urlOf(topic);
      if (url === null) return null;
      if (byTopic.size >= routesMax) forgetIdle();
      const { guard, tls, concurrency } = destination;
      const made: Route = {
        destination,
        url,
        name: url.origin,
        connections: connections(guard, { isTls: url.protocol === "https:", tls, socketsMax: concurrency }),
        slots: slots(clock, concurrency),
        gate: destinationGate(random),
        users: 0,
      };
      byTopic.set(topic, made);
      return made;
    },
    destroy() {
      for (const route of byTopic.values()) route.connections.destroy("closed");
      byTopic.clear();
    },
  };
}
