/**
 * Carries a schedule out. A fault counts only if it was seen to bite: a process that was there to be killed, a link that was there to be cut.
 *
 * Faults run beside each other, as they do in the world, but for those of the server: one of them at a time.
 */
import type { Fault as ObservedFault } from "@waybill/auditor";
import { systemClock, wait } from "@waybill/core";
import { redriveDeadLetters } from "@waybill/dead-letter";
import { namespace } from "@waybill/sql";
import { endSessions, type FaultProxy, type Seat } from "@waybill/testing";
import type { Destination } from "./destination.ts";
import type { Place, Server } from "./place.ts";
import type { Fault, PlannedFault, RelayTarget } from "./schedule.ts";

export interface RelaySeat {
  readonly seat: Seat;
  /** Its way to the database. */
  readonly proxy: FaultProxy;
}

export interface Stage {
  readonly relays: readonly RelaySeat[];
  readonly writers: readonly Seat[];
  /** The relay that told last that it has the lease. */
  holder(): number;
  readonly destination: Destination;
  readonly server: Server;
  readonly place: Place;
}

const endDeadlineMs = 10_000;

/** Resolves when the last fault is over. `onFault` is told each, with whether it bit. */
export async function carryOut(
  faults: readonly PlannedFault[],
  stage: Stage,
  signal: AbortSignal,
  onFault: (fault: Fault, observed: ObservedFault) => void,
): Promise<void> {
  const beganMs = performance.now();
  const running: Promise<void>[] = [];
  const serverQueue = { last: Promise.resolve() };
  for (const { atMs, fault } of faults) {
    await wait(systemClock, atMs - (performance.now() - beganMs), signal);
    if (signal.aborted) break;
    running.push(
      carryOutOne(fault, stage, serverQueue)
        .catch(() => false) // the database was away, or what was to be hit: it did not bite
        .then((isObserved) => onFault(fault, { kind: fault.kind, isObserved })),
    );
  }
  await Promise.all(running);
}

/** Answers whether it bit. */
function carryOutOne(fault: Fault, stage: Stage, serverQueue: { last: Promise<unknown> }): Promise<boolean> {
  const { writers, destination, place, server } = stage;
  const relay = (target: RelayTarget): RelaySeat => stage.relays[target === "holder" ? stage.holder() : target] as RelaySeat;
  const inTurn = (work: () => Promise<boolean>): Promise<boolean> => {
    const turn = serverQueue.last.then(work);
    serverQueue.last = turn.catch(() => undefined);
    return turn;
  };
  switch (fault.kind) {
    case "killRelay":
      return comesBack(relay(fault.relay).seat, (seat) => seat.kill(), fault.downMs);
    case "endRelay":
      return comesBack(relay(fault.relay).seat, async (seat) => (await seat.end(endDeadlineMs)) === 0, fault.downMs);
    case "stopRelay":
      return relay(fault.relay).seat.stop(fault.forMs);
    case "partitionRelay":
      return onLink(relay(fault.relay).proxy, "blackHole", fault.forMs);
    case "deafenRelay":
      return onLink(relay(fault.relay).proxy, "swallowReplies", fault.forMs);
    case "cutRelay":
      return Promise.resolve(relay(fault.relay).proxy.cutAll() > 0);
    case "killWriter":
      return comesBack(writers[fault.writer] as Seat, (seat) => seat.kill(), 0);
    case "stopWriter":
      return (writers[fault.writer] as Seat).stop(fault.forMs);
    case "rollBackMany":
      (writers[fault.writer] as Seat).tell(`rollBackMany ${fault.rows}`);
      return Promise.resolve(true);
    case "cutSessions":
      return cutSessions(place, fault.part);
    case "redrive":
      return redrive(place);
    case "destination":
      return inMood(destination, fault);
    case "killServer":
      return inTurn(() => killServer(server, fault.downMs));
    case "restartServer":
      return inTurn(() => restartServer(server));
    case "freezeServer":
      return inTurn(() => freezeServer(stage, fault.forMs));
    case "killBackend":
      return inTurn(() => killBackend(stage, fault.place));
  }
}

async function comesBack(seat: Seat, away: (seat: Seat) => Promise<boolean>, downMs: number): Promise<boolean> {
  const isObserved = await away(seat);
  await wait(systemClock, downMs);
  await seat.start();
  return isObserved;
}

async function onLink(proxy: FaultProxy, kind: "blackHole" | "swallowReplies", forMs: number): Promise<boolean> {
  const injected = proxy.inject(kind === "blackHole" ? { kind } : { kind, times: Number.MAX_SAFE_INTEGER });
  await wait(systemClock, forMs);
  const isObserved = injected.fired > 0;
  injected.lift();
  return isObserved;
}

async function inMood(destination: Destination, { mood, forMs }: Extract<Fault, { kind: "destination" }>): Promise<boolean> {
  const before = destination.received.length + destination.spoiled;
  const lift = destination.setMood(mood);
  await wait(systemClock, forMs);
  lift();
  return destination.received.length + destination.spoiled > before;
}

/** A third of our database's sessions, whoever's they are. */
const cutSessions = async ({ ask }: Place, part: number): Promise<boolean> =>
  (await ask((session) => endSessions(session, { part, of: 3 }))) > 0;

/** What is dead is sent again; whatever waits behind it follows. */
export async function redrive({ database }: Place): Promise<boolean> {
  const decided = await redriveDeadLetters(
    database,
    namespace(database.dialect),
    { origin: "relay" },
    { who: "torture", why: "the destination takes them now" },
  );
  return decided.rows > 0;
}

async function killServer({ started }: Server, downMs: number): Promise<boolean> {
  if (started === null) return false;
  await started.kill("SIGKILL");
  await wait(systemClock, downMs);
  await started.restart();
  return true;
}

async function restartServer({ started }: Server): Promise<boolean> {
  await started?.restart();
  return started !== null;
}

/** Where sessions are processes, one of them: it holds its locks and answers nobody. Elsewhere the whole server. */
async function freezeServer(stage: Stage, forMs: number): Promise<boolean> {
  const { started } = stage.server;
  if (started === null) return false;
  if (stage.place.dialect === "mysql") {
    await started.kill("SIGSTOP");
    await wait(systemClock, forMs);
    await started.kill("SIGCONT");
    return true;
  }
  const [pid] = await backends(stage.place);
  if (pid === undefined) return false;
  process.kill(pid, "SIGSTOP");
  await wait(systemClock, forMs);
  process.kill(pid, "SIGCONT");
  return true;
}

async function killBackend(stage: Stage, place: number): Promise<boolean> {
  if (stage.place.dialect === "mysql") return killServer(stage.server, 0);
  const pids = await backends(stage.place);
  const pid = pids[Math.floor(place * pids.length)];
  if (pid === undefined) return false;
  process.kill(pid, "SIGKILL");
  return true;
}

const backends = ({ ask }: Place): Promise<readonly number[]> =>
  ask(async (session) => {
    const rows = await session.run(
      "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' order by state_change desc",
    );
    return rows.map((row) => Number(row["pid"]));
  });
