import { createLedger, type Ledger, outboxMigrations } from "@waybill/outbox";
import { type Connection, migrateUp, namespace, openDatabase } from "@waybill/sql";
import { Client } from "pg";
import { describe, expect, it } from "vitest";
import {
  forEachPostgres,
  type LedgerFixture,
  ledgerContract,
  postgresLedgerWriter,
  type TestServer,
  testDatabase,
  testServers,
} from "../src/index.ts";

async function ledgerFixture(server: TestServer): Promise<LedgerFixture> {
  const own = await testDatabase({ server: server.name });
  const database = openDatabase({ url: own.url });
  await migrateUp(database, namespace("postgres"), [outboxMigrations]);
  const connections: Connection[] = [];
  return {
    ledger: createLedger({ space: namespace("postgres") }),
    async connect() {
      const connection = await database.connect({ purpose: "contract" });
      connections.push(connection);
      return connection;
    },
    begin: () => postgresLedgerWriter({ url: own.url }),
    prepareOne: () => prepareOne(own.url),
    async dispose() {
      await Promise.all(connections.map((connection) => connection.close()));
      await database.close();
      await own.drop();
    },
  };
}

async function prepareOne(url: string): Promise<{ id: bigint; commit(): Promise<void>; rollback(): Promise<void> }> {
  const name = "waybill_contract";
  const id = await run(
    url,
    "begin; insert into waybill_outbox (type, topic) values ('contract.sample.v1', 'contract') returning id",
    `prepare transaction '${name}'`,
  );
  return {
    id: BigInt(id),
    commit: async () => void (await run(url, `commit prepared '${name}'`)),
    rollback: async () => void (await run(url, `rollback prepared '${name}'`)),
  };
}

/** Runs statements on a connection of their own, and answers the first value that any of them answers. */
async function run(url: string, ...statements: readonly string[]): Promise<string> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    let first: string | undefined;
    for (const statement of statements) {
      for (const { rows } of [await client.query(statement)].flat()) first ??= rows?.[0] && String(Object.values(rows[0])[0]);
    }
    return first ?? "";
  } finally {
    await client.end();
  }
}

forEachPostgres((server) => {
  describe(`the ledger on ${server.name} ${server.version} keeps the contract`, () => {
    // Ours allows prepared transactions; a server that was here before us usually does not.
    const capabilities = { hasPreparedTransactions: server.name === "postgres-embedded" };
    for (const { name, run: runCase } of ledgerContract({ create: () => ledgerFixture(server), capabilities })) it(name, runCase);
  });
});

describe("the ledger contract notices a ledger that", () => {
  const [server] = testServers();

  async function brokenCase(name: string, spoil: (ledger: Ledger) => Ledger): Promise<unknown> {
    const cases = ledgerContract({
      create: async () => {
        const fixture = await ledgerFixture(server as TestServer);
        return { ...fixture, ledger: spoil(fixture.ledger) };
      },
      deadlineMs: 1_000,
    });
    const wanted = cases.find((one) => one.name.startsWith(name));
    if (wanted === undefined) throw new Error(`No case begins with "${name}".`);
    return wanted.run().then(
      () => "passed",
      () => "failed",
    );
  }

  it("forgets its holes", async () => {
    const spoil = (ledger: Ledger): Ledger => ({
      ...ledger,
      read: (connection, request) => ledger.read(connection, { ...request, holes: [] }),
    });
    expect(await brokenCase("an id whose transaction is still open is a hole", spoil)).toBe("failed");
    expect(await brokenCase("everything is read once", spoil)).toBe("failed");
  });

  it("reads holes and range with two statements", async () => {
    const spoil = (ledger: Ledger): Ledger => ({
      ...ledger,
      async read(connection, request) {
        const holes = await ledger.read(connection, { ...request, areHolesOnly: true });
        const beyond = await ledger.read(connection, { ...request, holes: [] });
        return { rows: [...holes.rows, ...beyond.rows], areHolesCut: false };
      },
    });
    expect(await brokenCase("a read that ends among the holes", spoil)).toBe("failed");
  });

  it("takes a hole for dead because a look found nobody, or because it is old", async () => {
    const spoil = (ledger: Ledger): Ledger => ({ ...ledger, beginHoleProof: () => ({ look: async (_, holes) => holes }) });
    expect(await brokenCase("an id is never proved dead while its transaction is open", spoil)).toBe("failed");
  });

  it("never proves a hole dead", async () => {
    const spoil = (ledger: Ledger): Ledger => ({ ...ledger, beginHoleProof: () => ({ look: async () => [] }) });
    expect(await brokenCase("a rolled-back id is proved dead", spoil)).toBe("failed");
  });

  it("parses what it stores", async () => {
    const spoil = (ledger: Ledger): Ledger => ({
      ...ledger,
      async read(connection, request) {
        const batch = await ledger.read(connection, request);
        return {
          ...batch,
          rows: batch.rows.map((row) => ({
            ...row,
            payload: row.payload !== null && row.isText ? Buffer.from(Buffer.from(row.payload).toString().trim()) : row.payload,
          })),
        };
      },
    });
    expect(await brokenCase("rows are read in the order of their ids", spoil)).toBe("failed");
  });
});
