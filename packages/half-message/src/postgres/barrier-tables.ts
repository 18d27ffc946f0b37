import { type Namespace, tableOf } from "@waybill/sql";
import type { BarrierTables } from "../barrier-tables.ts";
import { knownFates } from "../known-fates.ts";
import { fenceBarrier } from "./statements/barrier-fence.ts";
import { joinBarrier } from "./statements/barrier-join.ts";
import { limitFence, readCommitted } from "./statements/barrier-limit-fence.ts";
import { purgeBarrier } from "./statements/barrier-purge.ts";
import { raiseHorizon } from "./statements/barrier-raise-horizon.ts";
import { readFates } from "./statements/barrier-read-fates.ts";
import { readHorizon } from "./statements/barrier-read-horizon.ts";
import { readIdentity } from "./statements/barrier-read-identity.ts";

/** The barrier on PostgreSQL. */
export function postgresBarrierTables(space: Namespace): BarrierTables {
  const barrier = tableOf(space, "barrier");
  const identities = tableOf(space, "barrier_identity");
  const horizons = tableOf(space, "barrier_horizon");
  const sql = {
    fence: fenceBarrier(barrier),
    join: joinBarrier(barrier, identities),
    purge: purgeBarrier(barrier, horizons),
    raiseHorizon: raiseHorizon(horizons),
    readFates: readFates(barrier, identities),
    readHorizon: readHorizon(horizons),
    readIdentity: readIdentity(identities),
  };
  return {
    fencedTogether: Number.POSITIVE_INFINITY,

    async readIdentity(connection, deadlineMs) {
      const [row] = await connection.query(sql.readIdentity, [], { deadlineMs });
      return { identity: row === undefined ? null : String(row["identity"]), foreignEngines: 0 };
    },

    async join(tx, producer, id, identity) {
      const [row] = await tx.query(sql.join, [producer, id, identity]);
      if (row === undefined) return "otherBarrier";
      return row["is_top_level"] === false ? "nested" : "joined";
    },

    async readFates(statements, producer, ids, deadlineMs) {
      return knownFates(await statements.query(sql.readFates, [producer, ids], deadlineMs === undefined ? {} : { deadlineMs }));
    },

    // A fence waits here no longer than it is told.
    lookAtFate: () => Promise.resolve(),

    async limitFence(tx, { lockTimeoutMs, statementMs }) {
      await tx.query(readCommitted, []);
      await tx.query(limitFence, [String(lockTimeoutMs), String(Math.ceil(statementMs))]);
    },

    async fence(tx, producer, ids) {
      await tx.execute(sql.fence, [producer, ids]);
    },

    async readHorizon(statements) {
      const [row] = await statements.query(sql.readHorizon, []);
      return row === undefined ? null : Number(row["horizon_age_ms"]);
    },

    async raiseHorizon(tx, retentionMs) {
      return (await tx.query(sql.raiseHorizon, [retentionMs])).length === 1;
    },

    purge: (tx, producer, rowsMax) => tx.execute(sql.purge, [producer, rowsMax]),
  };
}
