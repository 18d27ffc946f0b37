/**
 * What the barrier asks of its three tables: the port that `postgres/barrier-tables.ts` and `mysql/barrier-tables.ts` implement. Each
 * method is one step; in which order they make an answer binding is told in `settle.ts`.
 */
import type { Connection, Namespace, OwnedTx, Tx } from "@waybill/sql";
import { mysqlBarrierTables } from "./mysql/barrier-tables.ts";
import { postgresBarrierTables } from "./postgres/barrier-tables.ts";

export type Fate = "committed" | "fenced";

/** Half messages by id, with their fates; ids whose fate is not known are missing. `identity` null: the barrier has none. */
export interface KnownFates {
  readonly identity: string | null;
  readonly fates: ReadonlyMap<string, Fate>;
}

/** How long a fence may wait, in milliseconds. MySQL waits for no lock less than a second. */
export interface FenceLimits {
  readonly lockTimeoutMs: number;
  readonly statementMs: number;
}

/** What became of a join. `otherBarrier`: nothing was written, for the identity is another one. `nested`: it was written inside a savepoint. */
export type Joined = "joined" | "otherBarrier" | "nested";

export interface BarrierTables {
  /** How many ids one transaction fences. */
  readonly fencedTogether: number;
  /** The barrier's identity; null without one. `foreignEngines`: so many of its tables take part in no transaction. */
  readIdentity(connection: Connection, deadlineMs: number): Promise<{ readonly identity: string | null; readonly foreignEngines: number }>;
  /** Inserts 'committed' into somebody's transaction. Throws the database's error where the fate is known already. */
  join(tx: Tx, producer: string, id: string, identity: string): Promise<Joined>;
  /** Reads what is committed, at least what was committed before the call. */
  readFates(
    statements: Pick<Connection, "query"> | OwnedTx,
    producer: string,
    ids: readonly string[],
    deadlineMs?: number,
  ): Promise<KnownFates>;
  /** Throws the database's error at once if an open transaction holds the row. Does nothing where waiting for it can be cut short. */
  lookAtFate(connection: Connection, producer: string, id: string, deadlineMs: number): Promise<void>;
  /** Begins a fence: isolation, waits, durability. The first call in its transaction. */
  limitFence(tx: OwnedTx, limits: FenceLimits): Promise<void>;
  /** Inserts 'fenced' for each id, at most `fencedTogether`. On MySQL throws the database's error where the fate is known already. */
  fence(tx: OwnedTx, producer: string, ids: readonly string[]): Promise<void>;
  /** How many milliseconds ago the horizon lies; null without one. */
  readHorizon(statements: Pick<Connection, "query"> | OwnedTx): Promise<number | null>;
  /** Raises the horizon to so many milliseconds ago; false without one. */
  raiseHorizon(tx: OwnedTx, retentionMs: number): Promise<boolean>;
  /** Deletes up to `rowsMax` of a producer's rows from before the horizon and answers how many. */
  purge(tx: OwnedTx, producer: string, rowsMax: number): Promise<number>;
}

export function barrierTables(space: Namespace): BarrierTables {
  return space.dialect === "postgres" ? postgresBarrierTables(space) : mysqlBarrierTables(space);
}
