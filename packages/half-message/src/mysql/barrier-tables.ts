import { type Connection, type Namespace, tableOf } from "@waybill/sql";
import type { BarrierTables } from "../barrier-tables.ts";
import { knownFates } from "../known-fates.ts";
import { checkIdentity } from "./statements/barrier-check-identity.ts";
import { fenceBarrier } from "./statements/barrier-fence.ts";
import { joinBarrier } from "./statements/barrier-join.ts";
import { askServer, limitFence } from "./statements/barrier-limit-fence.ts";
import { lookAtFate } from "./statements/barrier-look-at-fate.ts";
import { purgeBarrier } from "./statements/barrier-purge.ts";
import { raiseHorizon } from "./statements/barrier-raise-horizon.ts";
import { readFates } from "./statements/barrier-read-fates.ts";
import { readHorizon } from "./statements/barrier-read-horizon.ts";
import { readIdentity } from "./statements/barrier-read-identity.ts";

/** The barrier on MySQL and MariaDB. */
export function mysqlBarrierTables(space: Namespace): BarrierTables {
  const barrier = tableOf(space, "barrier");
  const identities = tableOf(space, "barrier_identity");
  const horizons = tableOf(space, "barrier_horizon");
  const names = ["barrier", "barrier_identity", "barrier_horizon"].map((name) => `${space.prefix}${name}`);
  const sql = {
    checkIdentity: checkIdentity(identities),
    fence: fenceBarrier(barrier),
    join: joinBarrier(barrier, identities),
    look: { maria: lookAtFate(barrier, true), mysql: lookAtFate(barrier, false) },
    purge: purgeBarrier(barrier, horizons),
    raiseHorizon: raiseHorizon(horizons),
    readHorizon: readHorizon(horizons),
    readIdentity: readIdentity(identities),
  };
  const flavours = new WeakMap<Connection, "maria" | "mysql">();
  const flavourOf = async (connection: Connection, deadlineMs: number): Promise<"maria" | "mysql"> => {
    const known = flavours.get(connection);
    if (known !== undefined) return known;
    const [row] = await connection.query(askServer, [], { deadlineMs });
    const flavour = /mariadb/i.test(String(row?.["version"])) ? "maria" : "mysql";
    flavours.set(connection, flavour);
    return flavour;
  };
  return {
    // A duplicate key ends the transaction of the fence that met it: one id a transaction.
    fencedTogether: 1,

    async readIdentity(connection, deadlineMs) {
      const [row] = await connection.query(sql.readIdentity, [space.schema, ...names], { deadlineMs });
      if (row === undefined) return { identity: null, foreignEngines: 0 };
      return { identity: String(row["identity"]), foreignEngines: Number(row["foreign_engines"]) };
    },

    async join(tx, producer, id, identity) {
      await tx.query(sql.join, [producer, id, identity]);
      return (await tx.query(sql.checkIdentity, [identity])).length === 1 ? "joined" : "otherBarrier";
    },

    async readFates(statements, producer, ids, deadlineMs) {
      const text = readFates(barrier, identities, ids.length);
      return knownFates(await statements.query(text, [producer, ...ids], deadlineMs === undefined ? {} : { deadlineMs }));
    },

    async lookAtFate(connection, producer, id, deadlineMs) {
      const flavour = await flavourOf(connection, deadlineMs);
      await connection.query(sql.look[flavour], [producer, id], { deadlineMs });
    },

    async limitFence(tx) {
      await tx.execute(limitFence, []);
    },

    async fence(tx, producer, ids) {
      for (const id of ids) await tx.execute(sql.fence, [producer, id]);
    },

    async readHorizon(statements) {
      const [row] = await statements.query(sql.readHorizon, []);
      return row === undefined ? null : Number(row["horizon_age_ms"]);
    },

    async raiseHorizon(tx, retentionMs) {
      return (await tx.execute(sql.raiseHorizon, [retentionMs])) === 1;
    },

    purge: (tx, producer, rowsMax) => tx.execute(sql.purge, [producer, rowsMax]),
  };
}
