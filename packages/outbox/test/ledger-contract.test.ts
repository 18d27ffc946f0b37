import { forEachPostgres, ledgerContract, postgresLedgerWriter } from "@waybill/testing";
import { afterAll, describe, it } from "vitest";
import { type OutboxFixture, outboxFixture } from "./outbox-fixture.ts";

forEachPostgres((server) =>
  describe(`the ledger on ${server.name}`, () => {
    // A database takes a while to make: one that a case is done with is emptied and given to the next.
    const made: OutboxFixture[] = [];
    const free: OutboxFixture[] = [];
    afterAll(() => Promise.all(made.map((fixture) => fixture.drop())));
    const take = async (): Promise<OutboxFixture> => {
      const before = free.pop();
      if (before !== undefined) return before;
      const fixture = await outboxFixture(server);
      made.push(fixture);
      return fixture;
    };

    const cases = ledgerContract({
      create: async () => {
        const fixture = await take();
        return {
          ledger: fixture.ledger,
          connect: fixture.connect,
          begin: () => postgresLedgerWriter({ url: fixture.url }),
          prepareOne: () => prepareOne(fixture),
          dispose: async () => {
            await fixture.clear();
            free.push(fixture);
          },
        };
      },
      // The server on the standard port may forbid two-phase commits; the embedded one is started with them.
      capabilities: { hasPreparedTransactions: server.name === "postgres-embedded" },
    });
    for (const { name, run } of cases) it(name, run);
  }),
);

async function prepareOne(fixture: OutboxFixture) {
  const client = await fixture.client();
  await client.query("begin");
  const { rows } = await client.query<{ id: string }>("insert into waybill_outbox (type, topic) values ('t', 'orders') returning id");
  await client.query("prepare transaction 'waybill-contract'");
  return {
    id: BigInt((rows[0] as { id: string }).id),
    commit: () => fixture.run("commit prepared 'waybill-contract'").then(() => undefined),
    rollback: () => fixture.run("rollback prepared 'waybill-contract'").then(() => undefined),
  };
}
