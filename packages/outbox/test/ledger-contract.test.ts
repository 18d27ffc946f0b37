import type { Connection } from "@waybill/sql";
import {
  forEachDatabase,
  type LedgerWriter,
  ledgerContract,
  mysqlLedgerWriter,
  postgresLedgerWriter,
  type TestDatabaseServer,
} from "@waybill/testing";
import { afterAll, describe, it } from "vitest";
import type { Ledger } from "../src/index.ts";
import { mysqlFixture } from "./mysql/mysql-fixture.ts";
import { outboxFixture } from "./outbox-fixture.ts";

/** What a case needs of a database, whatever its dialect. */
interface ContractDatabase {
  readonly ledger: Ledger;
  connect(): Promise<Connection>;
  begin(): Promise<LedgerWriter>;
  prepareOne(): Promise<{ readonly id: bigint; commit(): Promise<void>; rollback(): Promise<void> }>;
  clear(): Promise<void>;
  drop(): Promise<void>;
}

await forEachDatabase((server) =>
  describe(`the ledger on ${server.name}`, () => {
    // A database takes a while to make: one that a case is done with is emptied and given to the next.
    const made: ContractDatabase[] = [];
    const free: ContractDatabase[] = [];
    afterAll(() => Promise.all(made.map((fixture) => fixture.drop())));
    const take = async (): Promise<ContractDatabase> => {
      const before = free.pop();
      if (before !== undefined) return before;
      const fixture = server.dialect === "postgres" ? await onPostgres(server) : await onMysql(server);
      made.push(fixture);
      return fixture;
    };

    const cases = ledgerContract({
      create: async () => {
        const database = await take();
        return {
          ...database,
          dispose: async () => {
            await database.clear();
            free.push(database);
          },
        };
      },
      // The server on PostgreSQL's standard port may forbid two-phase commits; the embedded one is started with them.
      capabilities: { hasPreparedTransactions: server.name !== "postgres-local" },
    });
    for (const { name, run } of cases) it(name, run);
  }),
);

async function onPostgres(server: TestDatabaseServer): Promise<ContractDatabase> {
  const fixture = await outboxFixture(server);
  return {
    ...fixture,
    begin: () => postgresLedgerWriter({ url: fixture.url }),
    async prepareOne() {
      const client = await fixture.client();
      await client.query("begin");
      const { rows } = await client.query<{ id: string }>("insert into waybill_outbox (type, topic) values ('t', 'orders') returning id");
      await client.query("prepare transaction 'waybill-contract'");
      return {
        id: BigInt((rows[0] as { id: string }).id),
        commit: () => fixture.run("commit prepared 'waybill-contract'").then(() => undefined),
        rollback: () => fixture.run("rollback prepared 'waybill-contract'").then(() => undefined),
      };
    },
  };
}

async function onMysql(server: TestDatabaseServer): Promise<ContractDatabase> {
  const fixture = await mysqlFixture(server);
  return {
    ...fixture,
    begin: () => mysqlLedgerWriter({ url: fixture.url }),
    async prepareOne() {
      const client = await fixture.client();
      const [own] = await client.query("select uuid() as name");
      const { name } = (own as [{ name: string }])[0];
      await client.query(`xa start '${name}'`);
      const [inserted] = await client.query("insert into waybill_outbox (type, topic) values ('t', 'orders')");
      await client.query(`xa end '${name}'`);
      await client.query(`xa prepare '${name}'`);
      return {
        id: BigInt((inserted as { insertId: number }).insertId),
        commit: () => client.query(`xa commit '${name}'`).then(() => undefined),
        rollback: () => client.query(`xa rollback '${name}'`).then(() => undefined),
      };
    },
  };
}
