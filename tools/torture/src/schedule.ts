/**
 * What is done to a run and when, decided before it starts: one seed, one schedule.
 */
import { type DealtFault, dealFaults, seededRandom } from "@waybill/testing";

/** Which relay: whichever holds the lease then, or one by its place. */
export type RelayTarget = "holder" | number;

/** What the destination does to what it is sent. */
export type Mood = "hang" | "slow" | "refuse" | "doubt";

export type Fault =
  /** kill -9. */
  | { readonly kind: "killRelay"; readonly relay: RelayTarget; readonly downMs: number }
  /** SIGSTOP, SIGCONT. */
  | { readonly kind: "stopRelay"; readonly relay: RelayTarget; readonly forMs: number }
  /** SIGTERM: the relay ends by itself and hands its lease over. */
  | { readonly kind: "endRelay"; readonly relay: RelayTarget; readonly downMs: number }
  /** Nothing passes between the relay and its database; what waited passes later. */
  | { readonly kind: "partitionRelay"; readonly relay: RelayTarget; readonly forMs: number }
  /** The relay's statements arrive, and no answer comes back. */
  | { readonly kind: "deafenRelay"; readonly relay: RelayTarget; readonly forMs: number }
  /** All its connections are reset. */
  | { readonly kind: "cutRelay"; readonly relay: RelayTarget }
  | { readonly kind: "killWriter"; readonly writer: number }
  | { readonly kind: "stopWriter"; readonly writer: number; readonly forMs: number }
  /** Many rows inserted by one transaction and rolled back. */
  | { readonly kind: "rollBackMany"; readonly writer: number; readonly rows: number }
  /** The database ends a part of our sessions, writers' and relays'. */
  | { readonly kind: "cutSessions"; readonly part: number }
  /** What is in the dead letters is sent again. */
  | { readonly kind: "redrive" }
  | { readonly kind: "destination"; readonly mood: Mood; readonly forMs: number }
  /** Only with a server of our own, as all that follows. */
  | { readonly kind: "killServer"; readonly downMs: number }
  | { readonly kind: "restartServer" }
  | { readonly kind: "freezeServer"; readonly forMs: number }
  /** kill -9 to one backend, where sessions are processes: the server throws all others out and recovers. Elsewhere to the server. */
  | { readonly kind: "killBackend"; readonly place: number };

export type PlannedFault = DealtFault<Fault>;

export interface Schedule {
  readonly relays: number;
  /** Writers' processes. */
  readonly writers: number;
  /** Connections of each of them. */
  readonly connections: number;
  /** Ascending by time. */
  readonly faults: readonly PlannedFault[];
}

export interface ScheduleOptions {
  readonly minutes: number;
  /** The server may be killed. */
  readonly isServerOurs: boolean;
  /** A relay's lease: what is stopped is stopped for a part of it, or for longer. */
  readonly leaseMs: number;
}

/** How often each lies in a minute's deck. */
const deck: Readonly<Record<Fault["kind"], number>> = {
  killRelay: 3,
  stopRelay: 3,
  endRelay: 1,
  partitionRelay: 4,
  deafenRelay: 1,
  cutRelay: 1,
  killWriter: 1,
  stopWriter: 1,
  rollBackMany: 1,
  cutSessions: 1,
  redrive: 3,
  destination: 4,
  killServer: 1,
  restartServer: 0.5,
  freezeServer: 0.5,
  killBackend: 0.5,
};

const needsOurServer: ReadonlySet<Fault["kind"]> = new Set(["killServer", "restartServer", "freezeServer", "killBackend"]);

export function createSchedule(seed: number, { minutes, isServerOurs, leaseMs }: ScheduleOptions): Schedule {
  const random = seededRandom(seed);
  const below = (end: number): number => Math.floor(random.fraction() * end);
  const between = (low: number, high: number): number => low + below(high - low);
  const relays = 2 + below(2);
  const writers = 3;
  const connections = 3 + below(3);

  const moods: readonly Mood[] = ["hang", "slow", "refuse", "doubt"];
  // The holder is hit most often: nothing changes hands when a standby dies.
  const relay = (): RelayTarget => (random.fraction() < 0.7 ? "holder" : below(relays));
  const faultOf = (kind: Fault["kind"], minute: number): Fault => {
    switch (kind) {
      case "killRelay":
      case "endRelay":
        return { kind, relay: relay(), downMs: between(0, 3_000) };
      // Mostly so long that another has taken over when what waited in the dark arrives: that is what the fence is for.
      case "partitionRelay":
        return { kind, relay: relay(), forMs: Math.round(leaseMs * (1 + random.fraction() * 2.5)) };
      case "stopRelay":
      case "deafenRelay":
        return { kind, relay: relay(), forMs: Math.round(leaseMs * (0.5 + random.fraction() * 2.5)) };
      case "cutRelay":
        return { kind, relay: relay() };
      case "killWriter":
        return { kind, writer: below(writers) };
      case "stopWriter":
        return { kind, writer: below(writers), forMs: between(1_000, 6_000) };
      case "rollBackMany":
        return { kind, writer: below(writers), rows: minute % 5 === 2 ? 1_000_000 : between(5_000, 100_000) };
      case "cutSessions":
        return { kind, part: below(3) };
      case "destination":
        return { kind, mood: moods[below(moods.length)] as Mood, forMs: between(300, 4_000) };
      case "killServer":
        return { kind, downMs: between(0, 2_500) };
      case "freezeServer":
        return { kind, forMs: between(500, Math.round(2 * leaseMs)) };
      case "killBackend":
        return { kind, place: random.fraction() };
      case "redrive":
      case "restartServer":
        return { kind };
    }
  };

  const spared = isServerOurs ? deck : { ...deck, ...Object.fromEntries([...needsOurServer].map((kind) => [kind, 0])) };
  return { relays, writers, connections, faults: dealFaults({ random, deck: spared, minutes, make: faultOf }) };
}
