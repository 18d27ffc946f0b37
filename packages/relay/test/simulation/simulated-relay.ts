/**
 * A relay on simulated tables, time and receiver, and somebody who watches it. Everything between the ports is the product's own: the session
 * with its lanes, its reading, publishing, giving up, spilling, releasing and publishing alone.
 *
 * The watcher knows what was committed, what the receiver stored and confirmed, and what stands in the tables. What it demands:
 *
 *     at each save of the cursor   what is at or below its last id and in no range was confirmed, or stands in the dead letters or the spill
 *     at each call                 see `simulatedReceiver`
 *     at the end                   everything committed was confirmed or discarded, and nothing is left in cursor, spill and memory
 */
import type { Random } from "@waybill/core";
import type { DeadLetter } from "@waybill/dead-letter";
import { type Database, namespace } from "@waybill/sql";
import { type ManualClock, manualClock } from "@waybill/testing";
import { type KeyPolicies, keyPolicyOf } from "../../src/key-policy.ts";
import { relaySettings } from "../../src/options.ts";
import { type RunningSession, runSession, type SessionEnd } from "../../src/run-session.ts";
import { reporter } from "../../src/session.ts";
import { type SoloStart, soloStart } from "../../src/solo.ts";
import { bounds, type Message, type NewMessage, simulatedReceiver } from "./simulated-receiver.ts";
import { type Link, reader, type SimulatedTables, simulatedTables } from "./simulated-tables.ts";

export interface SimulatedRelay {
  readonly clock: ManualClock;
  /** The first demand that was not met; null: all were. */
  readonly violation: string | null;
  /** The names of all that was reported. */
  readonly reported: ReadonlySet<string>;
  /** Appends in a transaction of its own, or in one that stays open. False: an open transaction has the key. */
  append(message: NewMessage, staysOpen: boolean): boolean;
  /** Ends the open transaction that began first. */
  end(isCommitted: boolean): boolean;
  decide(place: number, to: "released" | "discarded"): boolean;
  /** The receiver refuses a topic from now on, or takes it again. */
  refuse(topic: string, isRefused: boolean): void;
  kill(): void;
  cut(): void;
  /** An orderly stop; who follows has these policies. */
  stop(policies: KeyPolicies): void;
  /** Lets time pass. */
  advance(ms: number): Promise<void>;
  /** Heals everything, decides everything, and waits until nothing is left to do. Answers what is, if it takes more than `withinMs`. */
  settle(withinMs: number): Promise<string | null>;
}

const attemptsMax = 3;
/** Who was given up for this is not put on its way again in the end. */
const hopeless: ReadonlySet<string> = new Set(["malformedHeaders", "killsTheRelay"]);

export function simulatedRelay(policiesAtStart: KeyPolicies, random: Random): SimulatedRelay {
  let policies = policiesAtStart;
  let nextPolicies = policiesAtStart;
  const clock = manualClock();
  const messages = new Map<bigint, Message>();
  const open: Message[] = [];
  const reported = new Set<string>();
  let violation: string | null = null;
  let sessions = 0;
  let current: { readonly link: Link; readonly stop: AbortController; running: RunningSession | null } | null = null;

  const violated = (what: string): void => {
    violation ??= `${what}, at ${clock.monotonicMs()} ms in session ${sessions}`;
  };
  const letterOf = (sequence: bigint): DeadLetter | undefined => tables.letters.find((letter) => letter.sequence === sequence);
  const isDone = (id: bigint): boolean => receiver.confirmed.has(id) || letterOf(id) !== undefined;

  const tables: SimulatedTables = simulatedTables(clock, random, {
    saved({ lastId, ranges }, openIds) {
      for (let id = 1n; id <= lastId; id += 1n) {
        if (ranges.some(({ low, high }) => low <= id && id <= high)) continue;
        if (openIds.has(id)) violated(`the open transaction of ${id} was forgotten`);
        if (tables.rows.has(id) && !isDone(id) && !tables.copies.has(id)) violated(`${id} was finished in the cursor and nowhere else`);
      }
    },
    copyDeleted(id) {
      if (!isDone(id)) violated(`the copy of ${id} was deleted before its end`);
    },
    letterInserted({ sequence, mayBeStored }) {
      if (receiver.unknowns.get(sequence) === sessions && !mayBeStored)
        violated(`${sequence} may be stored, and its dead letter does not say so`);
    },
  });

  const receiver = simulatedReceiver({
    clock,
    random,
    messages,
    tables,
    policyOf: (topic) => keyPolicyOf(policies, topic),
    get sessions() {
      return sessions;
    },
    violated,
  });

  const begin = (owner: string, wasSolo: boolean, unsettledBefore: SoloStart | null): void => {
    policies = nextPolicies;
    const link = tables.connect();
    const stop = new AbortController();
    const mine: NonNullable<typeof current> = { link, stop, running: null };
    current = mine;
    sessions += 1;
    const settings = relaySettings({
      ...bounds,
      ...policies,
      onEvent: ({ name }) => void reported.add(name),
      database: { dialect: "postgres" } as Database,
      transport: receiver.transport(link),
      clock,
      random,
      attemptsMax,
      breakerFailuresMax: 3,
      pollMinMs: 5,
      pollMaxMs: 40,
      saveMs: 30,
      spillAfterMs: 150,
      publishDeadlineMs: 1_000,
      leaseMs: 600_000,
      drainMs: 100,
      messageBackoff: { firstMs: 10, maxMs: 80 },
      topicBackoff: { firstMs: 10, maxMs: 80 },
      outageBackoff: { firstMs: 10, maxMs: 40 },
    });
    const { ledger, deadLetters, spill, row } = tables;
    const report = reporter(settings.onEvent, "default", "default");
    const parts = { settings, space: namespace("postgres"), ledger, row, deadLetters, spill, reader };
    const acquiredFromMs = clock.monotonicMs();
    const acquisition = tables.acquire(owner);
    const solo = soloStart(acquisition, owner, wasSolo, unsettledBefore);
    let unsettled: SoloStart | null = solo;
    const onSettled = (): void => {
      unsettled = null;
    };
    const run = async (): Promise<SessionEnd> => {
      const facts = await ledger.facts(link.connections.lookUp, { deadlineMs: 1_000 });
      const start = { parts, connections: link.connections, acquisition, acquiredFromMs, facts, owner, solo, onSettled, report };
      return runSession(start, stop.signal, (started) => {
        mine.running = started;
      });
    };
    const follow = (wasAlone: boolean): void => {
      if (link.isDead || current !== mine) return;
      if (stop.signal.aborted) begin(`${owner}+`, false, null);
      else begin(owner, wasAlone, unsettled);
    };
    run().then(
      (end) => {
        if (end.kind === "failed" && !link.isDead && !isExpected(end.cause)) violated(`the session failed: ${String(end.cause)}`);
        follow(end.kind === "failed" && end.wasSolo);
      },
      () => follow(wasSolo),
    );
  };
  const isExpected = (cause: unknown): boolean =>
    cause === "connectionLost" || cause === "transportOutage" || String(cause).includes("was cut");

  /** Whoever died is followed by another process. */
  const replaceDead = (): void => {
    if (current === null || current.link.isDead) begin(`relay ${sessions + 1}`, false, null);
  };

  const checkMemory = (): void => {
    const running = current?.running;
    if (current?.link.isDead !== false || running === null || running === undefined) return;
    const { lanes } = running.session;
    const topics = [...lanes.topics.values()];
    const bound = bounds.loadedMax / 2;
    for (const topic of topics) {
      if (topic.calls > bounds.callsPerTopicMax) violated(`${topic.name} has too many calls`);
    }
    if (lanes.loadedCount - lanes.broughtCount > bound * topics.length) violated(`${lanes.loadedCount} messages are loaded`);
    if (lanes.broughtCount > bound + 1 && !running.session.isSolo) violated(`${lanes.broughtCount} messages were brought`);
  };

  const advance = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 10) {
      replaceDead();
      await clock.advance(Math.min(left, 10));
      checkMemory();
    }
  };

  const whatIsLeft = (): string | null => {
    for (const id of tables.rows.keys())
      if (letterOf(id)?.state !== "discarded" && !receiver.confirmed.has(id)) return `${id} was neither confirmed nor discarded`;
    const { saved } = tables;
    const highest = [...tables.rows.keys()].reduce((one, other) => (other > one ? other : one), 0n);
    if (saved.lastId < highest || saved.ranges.length > 0) return `the cursor is at ${saved.lastId} with ${saved.ranges.length} ranges`;
    if (tables.copies.size > 0) return `${tables.copies.size} copies are left`;
    const lanes = current?.running?.session.lanes;
    if (lanes === undefined) return "no session runs";
    return lanes.loadedCount + lanes.parkedCount + lanes.spilledCount === 0 ? null : "something is left in memory";
  };

  begin("relay 1", false, null);

  return {
    clock,
    get violation() {
      return violation;
    },
    reported,
    append(message, staysOpen) {
      const { topic, key, isLarge, isReadable } = message;
      // Transactions of one key exclude each other: the order per key is that of their commits.
      if (key !== null && open.some((one) => one.topic === topic && one.key === key)) return false;
      const id = tables.nextId();
      const payload = Buffer.alloc(isLarge ? 1_500 : 200);
      const row = { id, messageId: `m${id}`, type: "t", topic, key, headers: isReadable ? null : "[", payload, isText: false };
      const made: Message = {
        ...message,
        row: { ...row, leftBytes: isLarge ? payload.length : null, createdAtMs: 0 },
        tried: 0,
        notBeforeMs: 0,
        notBeforeOf: 0,
      };
      messages.set(id, made);
      if (staysOpen) open.push(made);
      else tables.commit(made.row);
      return true;
    },
    end(isCommitted) {
      const first = open.shift();
      if (first === undefined) return false;
      if (isCommitted) tables.commit(first.row);
      else tables.rollBack(first.row.id);
      return true;
    },
    decide(place, to) {
      const undecided = tables.letters.filter(({ state }) => state === "dead" || (to === "discarded" && state === "held"));
      const letter = undecided[place % Math.max(1, undecided.length)];
      return letter !== undefined && tables.decide(letter, to);
    },
    refuse: receiver.refuse,
    kill: () => current?.link.kill(),
    cut: () => current?.link.cut(),
    stop(following) {
      nextPolicies = following;
      current?.stop.abort();
    },
    advance,
    async settle(withinMs) {
      receiver.heal();
      for (const one of open.splice(0)) tables.commit(one.row);
      const untilMs = clock.monotonicMs() + withinMs;
      for (;;) {
        for (const letter of tables.letters)
          if (letter.state === "dead") tables.decide(letter, hopeless.has(letter.reason ?? "") ? "discarded" : "released");
        await advance(200);
        const left = whatIsLeft();
        if (left === null || clock.monotonicMs() >= untilMs || violation !== null) {
          current?.link.kill();
          current?.stop.abort();
          return left;
        }
      }
    },
  };
}
