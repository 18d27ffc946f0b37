/**
 * The tables of one subscription, kept in memory behind the ports through which a session uses them. A statement takes effect at one moment
 * between its sending and its answer; statements of one connection keep their order; a unit of work is one such moment. A link that dies
 * takes with it what was sent and has not taken effect, and every answer.
 */
import { type Clock, type Random, wait } from "@waybill/core";
import type { DeadLetter, DeadLetters, Reader } from "@waybill/dead-letter";
import { type IdRange, type Ledger, type LedgerRow, rangesFromIds } from "@waybill/outbox";
import type { Connection, Outcome, OwnedTx } from "@waybill/sql";
import type { SessionConnections } from "../../src/session.ts";
import { type Spill, type SpilledHead, spillDigest, type ToSpill } from "../../src/spill.ts";
import type { Acquisition, CursorToSave, Fence, SubscriptionRow } from "../../src/subscriptions.ts";

export const reader: Reader = { origin: "relay", name: "default/default" };

type Letter = { -readonly [Name in keyof DeadLetter]: DeadLetter[Name] };

/** The connections of one session. */
export interface Link {
  readonly connections: SessionConnections;
  readonly isDead: boolean;
  /** Its process is gone. */
  kill(): void;
  /** The server ended its sessions: what has no answer yet may have happened. */
  cut(): void;
}

export interface SimulatedTables {
  readonly ledger: Ledger;
  readonly deadLetters: DeadLetters;
  readonly spill: Spill;
  readonly row: SubscriptionRow;
  /** Rows of committed transactions, by id. */
  readonly rows: ReadonlyMap<bigint, LedgerRow>;
  readonly letters: readonly DeadLetter[];
  /** Given up for a reason of their own, once at least. */
  readonly wereDead: ReadonlySet<bigint>;
  readonly copies: ReadonlyMap<bigint, ToSpill>;
  readonly saved: CursorToSave;
  /** An id of a transaction that is open from now on. */
  nextId(): bigint;
  commit(row: LedgerRow): void;
  rollBack(id: bigint): void;
  /** What an operator does with a letter: false if its state is not one of these any more. */
  decide(letter: DeadLetter, to: "released" | "discarded"): boolean;
  connect(): Link;
  acquire(owner: string): Acquisition;
}

/** Told of what may lose a message, at the moment it takes effect. */
export interface TablesWatch {
  saved(cursor: CursorToSave, openIds: ReadonlySet<bigint>): void;
  copyDeleted(sequence: bigint): void;
  letterInserted(letter: DeadLetter): void;
}

export function simulatedTables(clock: Clock, random: Random, watch: TablesWatch): SimulatedTables {
  const rows = new Map<bigint, LedgerRow>();
  const openIds = new Set<bigint>();
  const wereDead = new Set<bigint>();
  const letters: Letter[] = [];
  const copies = new Map<bigint, ToSpill>();
  const steps = new WeakMap<object, <T>(effect: () => T) => Promise<T>>();
  let highestId = 0n;
  let saved: CursorToSave = { lastId: 0n, ranges: [], progressed: false, soloId: null, soloDeaths: new Map(), isDurable: true };
  let fence: { epoch: bigint; owner: string | null } = { epoch: 0n, owner: null };

  const step = <T>(statements: object, effect: () => T): Promise<T> => {
    const send = steps.get(statements);
    if (send === undefined) throw new Error("a statement on a connection that is none of ours");
    return send(effect);
  };
  const isOurs = ({ epoch, owner }: Fence): boolean => fence.epoch === epoch && fence.owner === owner;
  const never = <T>(): Promise<T> => new Promise(() => undefined);
  const unused = (): never => {
    throw new Error("no session of a relay does this");
  };
  const byId = (one: LedgerRow, other: LedgerRow): number => (one.id < other.id ? -1 : 1);
  const isIn = (ranges: readonly IdRange[], id: bigint): boolean => ranges.some(({ low, high }) => low <= id && id <= high);

  const ledger: Ledger = {
    holesMax: 100_000,
    read: (connection, { lastId, holes, rowsMax, areHolesOnly }) =>
      step(connection, () => {
        const all = [...rows.values()].sort(byId);
        const ofHoles = all.filter(({ id }) => id <= lastId && isIn(holes, id));
        const found = areHolesOnly ? ofHoles : [...ofHoles, ...all.filter(({ id }) => id > lastId)];
        const inline = (row: LedgerRow): LedgerRow => (row.leftBytes === null ? row : { ...row, payload: null });
        return { rows: found.slice(0, rowsMax).map(inline), areHolesCut: ofHoles.length > rowsMax };
      }),
    readIds: (connection, ids) =>
      step(connection, () => ids.flatMap((id) => rows.get(id) ?? []).map((row) => ({ ...row, leftBytes: null }))),
    lookAhead: (connection, { afterId, topic, rowsMax }) =>
      step(connection, () => {
        const ahead = [...rows.values()]
          .filter(({ id }) => id > afterId)
          .sort(byId)
          .slice(0, rowsMax);
        return { toId: ahead.at(-1)?.id ?? null, hasOtherTopics: ahead.some((row) => row.topic !== topic) };
      }),
    facts: (connection) =>
      step(connection, () => ({
        isReadOnly: false,
        highestId,
        removedTo: 0n,
        unsafe: null,
        warnings: [],
        serverIdentity: "server",
        ledgerIdentity: "ledger",
        nowMs: clock.monotonicMs(),
      })),
    // Whatever nobody can write any more: also a row that came meanwhile, which the read after this answer brings.
    beginHoleProof: () => ({
      look: (connection, holes) =>
        step(connection, () => {
          const ids: bigint[] = [];
          for (const { low, high } of holes) for (let id = low; id <= high; id += 1n) if (!openIds.has(id)) ids.push(id);
          return rangesFromIds(ids);
        }),
    }),
  };

  const isOpen = ({ state }: Letter): boolean => state === "dead" || state === "held" || state === "released";
  const openOf = (topic: string, key: string): Letter[] =>
    letters
      .filter((letter) => letter.topic === topic && letter.key === key && isOpen(letter))
      .sort((one, other) => (one.sequence < other.sequence ? -1 : 1));
  const letterOf = (sequence: bigint): Letter | undefined => letters.find((letter) => letter.sequence === sequence);

  const deadLetters: DeadLetters = {
    table: "waybill_dead_letter" as DeadLetters["table"],
    async insert(_tx, _reader, added) {
      for (const one of added) {
        if (letterOf(one.sequence) !== undefined) continue;
        const letter = { ...one, origin: reader.origin, reader: reader.name, givenUpAtMs: clock.monotonicMs() };
        letters.push({ ...letter, state: one.reason === null ? "held" : "dead" });
        watch.letterInserted(letters.at(-1) as DeadLetter);
        if (one.reason !== null) wereDead.add(one.sequence);
      }
    },
    summary: (statements) =>
      step(statements, () => ({
        hasOpenRows: letters.some(isOpen),
        highestSequence: letters.reduce<bigint | null>(
          (highest, { sequence }) => (highest === null || sequence > highest ? sequence : highest),
          null,
        ),
      })),
    undecidedTopics: (statements) =>
      step(statements, () => [
        ...new Set(letters.filter(({ state }) => state === "dead" || state === "released").map(({ topic }) => topic)),
      ]),
    lookUp: (statements, _reader, sequences, lanes) =>
      step(statements, () => ({
        finished: letters
          .filter(({ sequence }) => sequences.includes(sequence))
          .map(({ sequence, messageId }) => ({ sequence, messageId })),
        openLanes: lanes.flatMap(({ topic, key }) => {
          const open = openOf(topic, key);
          return open.length === 0 ? [] : [{ topic, key, hasHeld: open.some(({ reason }) => reason === null) }];
        }),
      })),
    findReleased: (statements, _reader, lanesMax) =>
      step(statements, () => {
        const keyed = new Map(
          letters.filter(isOpen).flatMap(({ topic, key }) => (key === null ? [] : [[`${topic} ${key}`, { topic, key }]])),
        );
        const heads = [...keyed.values()].flatMap(({ topic, key }) => openOf(topic, key)[0] ?? []);
        const ofKeys = heads.filter(({ state }) => state !== "dead");
        const singles = letters.filter(({ key, state }) => key === null && state === "released");
        return [...ofKeys, ...singles]
          .slice(0, lanesMax)
          .map(({ topic, key, sequence, messageId }) => ({ topic, key, sequence, messageId }));
      }),
    async takeReleased(_tx, _reader, { topic, key, sequence }, rowsMax) {
      if (key === null) return letters.filter((letter) => letter.sequence === sequence && letter.state === "released");
      const open = openOf(topic, key);
      const firstDead = open.findIndex(({ state }) => state === "dead");
      const taken = open.slice(0, firstDead === -1 ? rowsMax : Math.min(firstDead, rowsMax));
      for (const letter of taken) letter.state = "released";
      return taken.map((letter) => ({ ...letter }));
    },
    async finish(_tx, _reader, { sequence }) {
      const letter = letterOf(sequence);
      if (letter?.state !== "released") return false;
      letter.state = "done";
      return true;
    },
    async refuse(_tx, _reader, { sequence, topic, key }, { reason, attempts, mayBeStored }) {
      const letter = letterOf(sequence);
      if (letter?.state !== "released") return false;
      for (const behind of key === null ? [] : openOf(topic, key))
        if (behind.sequence > sequence && behind.state === "released" && behind.reason === null) behind.state = "held";
      Object.assign(letter, {
        state: "dead",
        reason,
        attempts: letter.attempts + attempts,
        mayBeStored: letter.mayBeStored || mayBeStored,
      });
      wereDead.add(sequence);
      return true;
    },
    claim: unused,
    releaseTypes: unused,
    // Asked about what was not confirmed, which has a reader of its own and is none of this: its loop waits for ever.
    counts: never,
    takeReleasedAnyhow: unused,
    removeFrom: unused,
    hasAny: unused,
    removeDecided: unused,
  };

  const headOf = (copy: ToSpill): SpilledHead => ({ ...copy, createdAtMs: 0, bytes: rows.get(copy.sequence)?.payload?.length ?? 0 });
  /** In the order of lanes, then of sequences. */
  const headsBehind = (topic: string, lane: Uint8Array, after: bigint | null): SpilledHead[] =>
    [...copies.values()]
      .map((copy) => ({ copy, digest: spillDigest(copy.topic, copy.key) }))
      .filter(({ copy, digest }) => {
        const order = Buffer.compare(digest, lane);
        return copy.topic === topic && (order > 0 || (order === 0 && after !== null && copy.sequence > after));
      })
      .sort((one, other) => Buffer.compare(one.digest, other.digest) || (one.copy.sequence < other.copy.sequence ? -1 : 1))
      .map(({ copy }) => headOf(copy));

  const spill: Spill = {
    highestSequence: (statements) =>
      step(statements, () =>
        [...copies.keys()].reduce<bigint | null>((highest, id) => (highest === null || id > highest ? id : highest), null),
      ),
    nextTopic: (statements, after) =>
      step(statements, () => {
        const digests = [...copies.values()].map(({ topic, key }) => ({ topic, digest: spillDigest(topic, key) }));
        digests.sort((one, other) => Buffer.compare(one.digest, other.digest));
        return digests.find(({ digest }) => after === null || Buffer.compare(digest, after) > 0)?.topic ?? null;
      }),
    heads: (statements, topic, after, rowsMax) =>
      step(statements, () => headsBehind(topic, after?.lane ?? new Uint8Array(), after?.sequence ?? null).slice(0, rowsMax)),
    headsOfLane: (statements, { topic, key }, after, rowsMax) =>
      step(statements, () =>
        [...copies.values()]
          .filter((copy) => copy.topic === topic && copy.key === key && (after === null || copy.sequence > after))
          .sort((one, other) => (one.sequence < other.sequence ? -1 : 1))
          .slice(0, rowsMax)
          .map(headOf),
      ),
    read: (statements, sequences) =>
      step(statements, () =>
        sequences.flatMap((id) => (copies.has(id) ? (rows.get(id) ?? []) : [])).map((row) => ({ ...row, leftBytes: null })),
      ),
    lookUp: (statements, sequences, lanes) =>
      step(statements, () => ({
        spilled: sequences.flatMap((id) => copies.get(id) ?? []),
        lanes: lanes.flatMap(({ topic, key }, place) =>
          [...copies.values()].some((copy) => copy.topic === topic && copy.key === key) ? [place] : [],
        ),
      })),
    async copy(_tx, messages) {
      for (const message of messages)
        if (rows.has(message.sequence) && !copies.has(message.sequence)) copies.set(message.sequence, message);
      return messages.filter(({ sequence }) => copies.has(sequence));
    },
    async delete(_tx, messages) {
      for (const { sequence } of messages) {
        if (!copies.delete(sequence)) continue;
        watch.copyDeleted(sequence);
      }
    },
    clear: unused,
    deleteInLedger: unused,
  };

  const row: SubscriptionRow = {
    ensure: unused,
    view: unused,
    acquire: unused,
    stop: unused,
    settleAcquisition: (connection, ours, { soloDeaths }) =>
      step(connection, () => {
        if (!isOurs(ours)) return false;
        saved = { ...saved, soloId: null, soloDeaths: new Map(soloDeaths) };
        return true;
      }),
    renew: (connection, ours) => step(connection, () => isOurs(ours)),
    save: (connection, ours, _leaseMs, _identity, cursor) =>
      step(connection, () => {
        if (!isOurs(ours)) return false;
        saved = { ...cursor, soloDeaths: new Map(cursor.soloDeaths) };
        watch.saved(saved, openIds);
        return true;
      }),
    release: (connection, ours) =>
      step(connection, () => {
        if (!isOurs(ours)) return false;
        fence = { ...fence, owner: null };
        return true;
      }),
    yield: () => Promise.resolve(true),
    lock: (_tx, ours) => Promise.resolve(isOurs(ours)),
  };

  const connect = (): Link => {
    const lost = new AbortController();
    let isDead = false;
    const pass = async (): Promise<void> => {
      // Mostly a moment, now and then so long that others overtake it.
      const afterMs = Math.floor(random.fraction() ** 4 * 40);
      if (afterMs > 0) await wait(clock, afterMs);
      if (isDead) await never();
      if (lost.signal.aborted) throw new Error("the connection was cut");
    };
    const open = (): Connection => {
      let turn: Promise<unknown> = Promise.resolve();
      const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
        const mine = turn.then(work);
        turn = mine.catch(() => undefined);
        return mine;
      };
      const unitOfWork = <T>(work: (tx: OwnedTx) => Promise<T>): Promise<Outcome<T>> =>
        inTurn(async () => {
          try {
            await pass();
          } catch (error) {
            return { kind: "rolledBack", error: error as Error };
          }
          const value = await work({} as OwnedTx);
          return pass().then(
            () => ({ kind: "committed", value }),
            (error: Error) => ({ kind: "unknown", error }),
          );
        });
      // Upkeep and delayed messages ask by statements of their own, and are none of this: they wait for ever.
      const made = { unitOfWork, lost: lost.signal, query: never, execute: never, close: () => Promise.resolve() };
      const connection = made as unknown as Connection;
      steps.set(connection, (effect) =>
        inTurn(async () => {
          await pass();
          const value = effect();
          await pass();
          return value;
        }),
      );
      return connection;
    };
    return {
      connections: { read: open(), lookUp: open(), save: open(), upkeep: open() },
      get isDead() {
        return isDead;
      },
      kill() {
        isDead = true;
      },
      cut: () => lost.abort(),
    };
  };

  return {
    ledger,
    deadLetters,
    spill,
    row,
    rows,
    letters,
    wereDead,
    copies,
    get saved() {
      return saved;
    },
    nextId() {
      highestId += 1n;
      openIds.add(highestId);
      return highestId;
    },
    commit(committed) {
      openIds.delete(committed.id);
      rows.set(committed.id, committed);
    },
    rollBack: (id) => void openIds.delete(id),
    decide(letter, to) {
      const found = letterOf(letter.sequence);
      if (found === undefined || !(found.state === "dead" || (to === "discarded" && found.state === "held"))) return false;
      found.state = to;
      return true;
    },
    connect,
    acquire(owner) {
      const acquisition: Acquisition = {
        epoch: fence.epoch + 1n,
        cursor: { lastId: saved.lastId, ranges: saved.ranges },
        ownerBefore: fence.owner,
        progressedBefore: saved.progressed,
        soloIdBefore: saved.soloId,
        soloDeaths: new Map(saved.soloDeaths),
        serverIdentity: "server",
        ledgerIdentity: "ledger",
      };
      fence = { epoch: acquisition.epoch, owner };
      saved = { ...saved, progressed: false };
      return acquisition;
    },
  };
}
