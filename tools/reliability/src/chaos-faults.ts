/**
 * Carries a chaos schedule out. A fault counts only if it was seen to bite: a process that was there to be killed, a link on which something was cut.
 *
 * Faults run beside each other, as they do in the world, but for those of a server: one of them at a time.
 */
import { endSessions, type Fault, type FaultProxy } from "@waybill/testing";
import { type ChaosFault, type LinkHarm, nameOfFault, type PlannedFault, type Target } from "./chaos-schedule.ts";
import type { Load, LoadPart } from "./load.ts";
import type { Rig } from "./rig.ts";

const endDeadlineMs = 20_000;

/** Resolves when the last fault is over. */
export async function carryOut(faults: readonly PlannedFault[], rig: Rig, load: Load): Promise<void> {
  const beganMs = performance.now();
  const running: Promise<void>[] = [];
  let serverFault: Promise<unknown> = Promise.resolve();
  const inTurn = (work: () => Promise<boolean>): Promise<boolean> => {
    const turn = serverFault.then(work);
    serverFault = turn.catch(() => undefined);
    return turn;
  };
  for (const { atMs, fault } of faults) {
    await rig.pause(atMs - (performance.now() - beganMs));
    if (rig.signal.aborted) break;
    running.push(
      carryOutOne(fault, rig, load, inTurn)
        .catch(() => false) // the server was away, or what was to be hit: it did not bite
        .then((isObserved) => rig.fault(nameOfFault(fault), isObserved)),
    );
  }
  await Promise.all(running);
}

/** Answers whether it bit. */
function carryOutOne(
  fault: ChaosFault,
  rig: Rig,
  load: Load,
  inTurn: (work: () => Promise<boolean>) => Promise<boolean>,
): Promise<boolean> {
  const { database, broker } = rig.servers;
  switch (fault.kind) {
    case "kill":
      return comesBack(rig, partOf(load, fault.of, fault.which), (part) => part.seat.kill().then(Boolean), fault.downMs);
    case "end":
      return comesBack(rig, partOf(load, fault.of, fault.which), async (part) => (await part.seat.end(endDeadlineMs)) === 0, fault.downMs);
    case "stop":
      return partOf(load, fault.of, fault.which).seat.stop(fault.forMs);
    case "databaseLink":
      return onLink(rig, partOf(load, fault.of, fault.which).link, fault.harm, fault.forMs);
    case "brokerLink": {
      const link = fault.of === "relay" ? load.relaysBroker : load.consumersBroker;
      return link === null ? Promise.resolve(false) : onLink(rig, link, fault.harm, fault.forMs);
    }
    case "endSessions":
      return load[fault.at].ask(async (session) => (await endSessions(session, { part: fault.part, of: 3 })) > 0);
    case "closeConnections":
      return inTurn(async () => {
        if (broker.ctl !== null) return await broker.ctl("close_all_connections", "chaos"), true;
        return (load.relaysBroker?.cutAll() ?? 0) + (load.consumersBroker?.cutAll() ?? 0) > 0;
      });
    case "killDatabase":
      return inTurn(() => killServer(rig, database.started, fault.downMs));
    case "killBroker":
      return inTurn(() => killServer(rig, broker.started, fault.downMs));
    case "restartDatabase":
      return inTurn(() => restartServer(database.started));
    case "restartBroker":
      return inTurn(() => restartServer(broker.started));
  }
}

function partOf(load: Load, of: "writer" | "relay" | "consumer", which: Target): LoadPart {
  if (which === "busy") return of === "consumer" ? load.busyConsumer() : load.holder();
  const parts = { writer: load.writers, relay: load.relays, consumer: load.consumers }[of];
  return parts[which % parts.length] as LoadPart;
}

async function comesBack(rig: Rig, part: LoadPart, away: (part: LoadPart) => Promise<boolean>, downMs: number): Promise<boolean> {
  const isObserved = await away(part);
  await rig.pause(downMs);
  await part.seat.start();
  return isObserved;
}

/** A COMMIT on its way: what all three of them send. */
const pattern = "commit";
const always = Number.MAX_SAFE_INTEGER;

const faultOf: Readonly<Record<Exclude<LinkHarm, "reset">, Fault>> = {
  blackHole: { kind: "blackHole" },
  refuse: { kind: "refuse" },
  cutBefore: { kind: "cut", at: "beforeRequest", pattern, times: 3 },
  cutAfter: { kind: "cut", at: "afterRequest", pattern, times: 3 },
  cutReply: { kind: "cut", at: "beforeReply", pattern, times: 3 },
  swallow: { kind: "swallowReplies", pattern, times: always },
  slice: { kind: "slice", bytes: 64 },
  delay: { kind: "latency", delayMs: 150 },
};

async function onLink(rig: Rig, link: FaultProxy, harm: LinkHarm, forMs: number): Promise<boolean> {
  if (harm === "reset") return link.cutAll() > 0;
  const injected = link.inject(faultOf[harm]);
  // New links only come to be refused when old ones are gone.
  if (harm === "refuse") link.cutAll();
  await rig.pause(forMs);
  injected.lift();
  // What was swallowed leaves a link whose answers never come: it is of no use any more to anybody.
  if (harm === "swallow") link.cutAll();
  return injected.fired > 0;
}

type Started = Rig["servers"]["database"]["started"];

async function killServer(rig: Rig, started: Started, downMs: number): Promise<boolean> {
  if (started === null) return false;
  await started.kill("SIGKILL");
  await rig.pause(downMs);
  await started.restart();
  return true;
}

async function restartServer(started: Started): Promise<boolean> {
  await started?.restart();
  return started !== null;
}
