/**
 * Two nodes of a Galera cluster, a writer on one and a relay on the other. Locks stay on their node, so whoever looks for them sees nothing
 * of a transaction that is open elsewhere. Optional: needs galera-4 and rsync.
 */
import { type Connection, openDatabase } from "@waybill/sql";
import { startGalera, waitUntil } from "@waybill/testing";
import mysql, { type Connection as Client } from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { HoleProof, IdRange } from "../../src/index.ts";
import { insertRow, type MysqlFixture, mysqlFixture, payloadsOf, range } from "./mysql-fixture.ts";

const deadlineMs = 20_000;

const galera = await startGalera().catch((error: unknown) => {
  if (process.env["CI"] === "true" && process.env["WAYBILL_TEST_ALL"] === "1") throw error;
  console.warn(`SKIPPED: the fence on Galera – ${error instanceof Error ? error.message : "it could not be started"}`);
  return null;
});
afterAll(() => galera?.stop(), 60_000);

describe.skipIf(galera === null)("the fence on Galera", () => {
  let fixture: MysqlFixture;
  let connection: Connection;
  let proof: HoleProof;
  let writer: Client;
  const elsewhere = async (): Promise<Client> => {
    const url = new URL(galera?.nodes[1].url ?? "");
    url.pathname = new URL(fixture.url).pathname;
    return mysql.createConnection({ uri: url.href });
  };

  beforeAll(async () => {
    fixture = await mysqlFixture({ ownUrl: galera?.nodes[0].url ?? "" });
    connection = await fixture.connect();
  }, 120_000);
  afterAll(() => fixture?.drop());
  beforeEach(async () => {
    await fixture.clear();
    writer = await elsewhere();
    writer.on("error", () => undefined);
    // A node answers before the other has emptied its table; what is written there meanwhile would be undone.
    await writer.query("set session wsrep_sync_wait = 1");
    await writer.query("select id from waybill_outbox limit 1");
    proof = fixture.ledger.beginHoleProof({ fenceAfterMs: 0 });
  });

  const read = async (lastId: number, holes: readonly IdRange[]): Promise<readonly unknown[]> =>
    payloadsOf(await fixture.ledger.read(connection, { lastId: BigInt(lastId), holes, rowsMax: 100, areHolesOnly: false, deadlineMs }));

  /** A writer on the other node with an id, and a later row of that node that the relay's node has read. */
  const openElsewhere = async (): Promise<{ readonly slow: number; readonly fast: number }> => {
    await writer.beginTransaction();
    const [inserted] = await writer.query(insertRow, ["k", "slow"]);
    const other = await elsewhere();
    const [later] = await other.query(insertRow, ["k", "fast"]);
    other.destroy();
    await waitUntil(async () => (await read(0, [])).includes("fast"), { what: "the later row has come over", deadlineMs });
    const [slow, fast] = [inserted, later].map((header) => (header as { insertId: number }).insertId) as [number, number];
    expect(fast).toBeGreaterThan(slow);
    // Nobody locks the id, on this node.
    expect(await connection.query(`select id from waybill_outbox where id = ${slow} for update nowait`, [])).toEqual([]);
    return { slow, fast };
  };

  it("a writer on the other node that commits in time is read", async () => {
    const { slow, fast } = await openElsewhere();
    await fixture.ledger.beginHoleProof().look(connection, [range(slow, slow)], { deadlineMs });
    await writer.commit();
    await waitUntil(async () => (await read(fast, [range(slow, slow)])).length === 1, { what: "the row has come over", deadlineMs });
    expect(await read(fast, [range(slow, slow)])).toEqual(["slow"]);
  });

  it("a writer on the other node that is fenced is told at its commit, and its message is not lost in silence", async () => {
    const { slow, fast } = await openElsewhere();
    await proof.look(connection, [range(slow, slow)], { deadlineMs });
    await expect(writer.commit()).rejects.toMatchObject({ errno: 1213 });
    expect(await read(fast, [range(slow, slow)])).toEqual(["fence"]);
  });

  it("ids that the nodes leave out between them end, too, and the facts warn of them", async () => {
    const { fast } = await openElsewhere();
    await writer.rollback();
    const holes = [range(1, fast - 1)];
    await proof.look(connection, holes, { deadlineMs });
    const { rows } = await fixture.ledger.read(connection, { lastId: BigInt(fast), holes, rowsMax: 100, areHolesOnly: false, deadlineMs });
    expect(rows).toHaveLength(fast - 1);
    const facts = await fixture.ledger.facts(connection, { deadlineMs });
    expect(facts.unsafe).toBeNull();
    expect(facts.warnings.join()).toMatch(/auto_increment_increment is 2.*wsrep_on/);
  });

  it("a relay's connection to a node is known by its port", async () => {
    const url = new URL(galera?.nodes[1].url ?? "");
    url.pathname = new URL(fixture.url).pathname;
    const other = openDatabase({ url: url.href });
    try {
      const there = await fixture.ledger.facts(await other.connect({ purpose: "test" }), { deadlineMs });
      const here = await fixture.ledger.facts(connection, { deadlineMs });
      expect(there.serverIdentity).not.toBe(here.serverIdentity);
      expect(there.ledgerIdentity).toBe(here.ledgerIdentity);
    } finally {
      await other.close();
    }
  });
});
