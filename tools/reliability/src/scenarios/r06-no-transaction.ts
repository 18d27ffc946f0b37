/** R06. `append` is given what is no open transaction: a pool, a bare knex, a transaction that is over, a session without one. It refuses, and no row is there. */
import { isWaybillError, newMessageId } from "@waybill/core";
import { append } from "@waybill/outbox";
import type { TransactionHandle } from "@waybill/sql";
import knexOf from "knex";
import { createPool } from "mysql2/promise";
import pg from "pg";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { beginNotes, noted, openSession } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

export const noTransaction = scenario({
  code: "R06",
  title: "append refuses whatever is no open transaction, and writes nothing",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { rounds: 10 },
  full: { rounds: 100 },
  async play(rig, { rounds }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received });
    const { url, dialect } = delivery.place;
    const knex = knexOf({ client: dialect === "postgres" ? "pg" : "mysql2", connection: url, pool: { min: 0, max: 2 } });
    rig.defer(() => knex.destroy());
    const pool = dialect === "postgres" ? new pg.Pool({ connectionString: url }) : createPool(url);
    rig.defer(() => pool.end());
    const session = await openSession(rig, delivery);
    await delivery.relay.start();
    /** The compiler refuses most of these; a caller without it is refused when it runs. */
    const given = async (): Promise<Readonly<Record<string, unknown>>> => {
      const committed = await knex.transaction();
      await committed.raw("select 1");
      await committed.commit();
      const gone = await knex.transaction();
      await gone.raw("select 1");
      await gone.rollback();
      return {
        "a pool": pool,
        "a bare knex": knex,
        "a knex transaction that has committed": committed,
        "a knex transaction that was rolled back": gone,
        "a session without a transaction": session.handle,
        "a handle of the other dialect": { dialect: "other", query: () => Promise.resolve([]) },
        nothing: undefined,
      };
    };
    let refused = 0;
    for (let round = 0; round < rounds; round += 1) {
      for (const [what, handle] of Object.entries(await given())) {
        const message = noted({ key: null }, newMessageId());
        const code = await append(handle as TransactionHandle, message).then(
          () => "none",
          (error: unknown) => (isWaybillError(error) ? error.code : "another error"),
        );
        rig.demand(`append with ${what}: ${code}`, code === "WAYBILL_NOT_IN_TRANSACTION" || code === "WAYBILL_CONFIG_INVALID");
        refused += 1;
      }
      await (await beginNotes(delivery, session, [{ key: "key" }])).commit();
    }
    await delivery.isQuiet();
    const { ledger } = await delivery.end();
    rig.demand(`${ledger.length} rows in the ledger of ${rounds}`, ledger.length === rounds);
    rig.effort("handles that were refused", refused, 7 * rounds);
  },
});
