/**
 * Removes what has served its time, in bounded steps.
 *
 *     decided ──retention──▶ bodies, deliveries and attempts go, the row stays as tombstone ──tombstone──▶ the row goes: its id is forgotten
 *                    └── something is not delivered: looked at again in a day · something is dead: when dead ones have served theirs
 *
 * Nothing undecided and nothing undelivered is ever removed: undecided rows have no time at which they go. A crash at any arrow leaves whole
 * transactions; any replica goes on.
 */
import { emit, wait } from "@waybill/core";
import { committedValue, type Database, type Namespace, type OwnedTx } from "@waybill/sql";
import { codeOf } from "./code-of.ts";
import { mysqlPurgeTable } from "./mysql/purge-table.ts";
import type { ServiceRules } from "./options.ts";
import { postgresPurgeTable } from "./postgres/purge-table.ts";
import type { HalfMessageKey } from "./table.ts";

/** A decided half message whose time has come. */
export interface DueRow extends HalfMessageKey {
  readonly isTombstone: boolean;
}

/** What is left to do of a half message's deliveries. */
export interface DeliveriesLeft extends HalfMessageKey {
  readonly isOpen: boolean;
  /** Milliseconds since the last one died; null: none did. */
  readonly deadForMs: number | null;
}

export interface PurgeTable {
  /** Locks at most so many rows that are due, the oldest first; passes over what another replica has locked. */
  findDue(tx: OwnedTx, rowsMax: number): Promise<readonly DueRow[]>;
  deliveriesLeft(tx: OwnedTx, keys: readonly HalfMessageKey[]): Promise<readonly DeliveriesLeft[]>;
  /** Bodies, deliveries, attempts. */
  removeContent(tx: OwnedTx, keys: readonly HalfMessageKey[]): Promise<void>;
  /** Leaves tombstones, until so long after the decision. */
  bury(tx: OwnedTx, keys: readonly HalfMessageKey[], tombstoneMs: number): Promise<void>;
  postpone(tx: OwnedTx, key: HalfMessageKey, byMs: number): Promise<void>;
  removeRows(tx: OwnedTx, keys: readonly HalfMessageKey[]): Promise<void>;
  /** Answers how many went, of the oldest so many. */
  removeLog(tx: OwnedTx, olderThanMs: number, rowsMax: number): Promise<number>;
  removeNonces(tx: OwnedTx, rowsMax: number): Promise<number>;
}

export interface PurgeOptions {
  readonly rules: Pick<ServiceRules, "clock" | "onEvent" | "purgeEveryMs" | "tombstoneMs" | "deadRetentionMs" | "logRetentionMs">;
  readonly database: Database;
  readonly space: Namespace;
}

export interface Purge {
  /** Removes all that is due, then waits; until the signal. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** One bounded step of each kind; answers how many rows of one kind it found at most. A kind that fails is told, and the others go on. Never rejects. */
  step(): Promise<number>;
}

const rowsMax = 1_000;
const lookAgainMs = 86_400_000;
/** The table refuses to give up younger entries; asking a little later spares a refusal that would stop the rest. */
const logRetentionMinMs = 30 * 86_400_000 + 60_000;

export function createPurge({ rules, database, space }: PurgeOptions): Purge {
  const table: PurgeTable = space.dialect === "mysql" ? mysqlPurgeTable(space) : postgresPurgeTable(space);
  const { clock, onEvent, purgeEveryMs, tombstoneMs, deadRetentionMs, logRetentionMs } = rules;

  const removeDue = async (tx: OwnedTx): Promise<number> => {
    const due = await table.findDue(tx, rowsMax);
    const tombstones = due.filter(({ isTombstone }) => isTombstone);
    const decided = due.filter(({ isTombstone }) => !isTombstone);
    if (tombstones.length > 0) await table.removeRows(tx, tombstones);
    if (decided.length === 0) return due.length;
    const postponed = new Set<string>();
    for (const left of await table.deliveriesLeft(tx, decided)) {
      const youngMs = left.deadForMs === null ? 0 : deadRetentionMs - left.deadForMs;
      if (!left.isOpen && youngMs <= 0) continue;
      postponed.add(`${left.producer}/${left.id}`);
      await table.postpone(tx, left, left.isOpen ? lookAgainMs : youngMs);
    }
    const finished = decided.filter(({ producer, id }) => !postponed.has(`${producer}/${id}`));
    if (finished.length > 0) {
      await table.removeContent(tx, finished);
      await table.bury(tx, finished, tombstoneMs);
    }
    return due.length;
  };

  const step = async (): Promise<number> => {
    let most = 0;
    const removeLog = (tx: OwnedTx): Promise<number> => table.removeLog(tx, Math.max(logRetentionMs, logRetentionMinMs), rowsMax);
    const removeNonces = (tx: OwnedTx): Promise<number> => table.removeNonces(tx, rowsMax);
    for (const [kind, work] of [
      ["halfMessages", removeDue],
      ["log", removeLog],
      ["nonces", removeNonces],
    ] as const) {
      const operation = `purge of ${kind}`;
      try {
        most = Math.max(most, committedValue(operation, await database.unitOfWork(work, { operation })));
      } catch (error) {
        // The database is away, or busy, or refuses: what was due stays due.
        emit(onEvent, { name: "halfMessage.purgeFailed", kind, code: codeOf(error) });
      }
    }
    return most;
  };

  return {
    step,
    async run(signal) {
      while (!signal.aborted) {
        if ((await step()) < rowsMax) await wait(clock, purgeEveryMs, signal);
      }
    },
  };
}
