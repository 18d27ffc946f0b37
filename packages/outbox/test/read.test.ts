import { type Connection, namespace, tableOf } from "@waybill/sql";
import { forEachPostgres, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createLedger, type IdRange, type LedgerBatch, storedPayload } from "../src/index.ts";
import { readIds } from "../src/postgres/statements/read-ids.ts";
import { readWithHoles } from "../src/postgres/statements/read-with-holes.ts";
import { readWithoutHoles } from "../src/postgres/statements/read-without-holes.ts";
import { insertRow, type OutboxFixture, outboxFixture } from "./outbox-fixture.ts";

const deadlineMs = 5_000;
const outbox = tableOf(namespace("postgres"), "outbox");
const range = (low: bigint, high: bigint): IdRange => ({ low, high });
const payloads = ({ rows }: LedgerBatch) => rows.map(storedPayload);
const ids = ({ rows }: LedgerBatch) => rows.map(({ id }) => id);

forEachPostgres((server) =>
  describe(`reading the ledger on ${server.name}`, () => {
    let fixture: OutboxFixture;
    let connection: Connection;

    beforeAll(async () => {
      fixture = await outboxFixture(server);
      connection = await fixture.connect();
    });
    afterAll(() => fixture.drop());
    beforeEach(() => fixture.clear());

    const read = (lastId: bigint, holes: readonly IdRange[], rowsMax = 100, on = connection): Promise<LedgerBatch> =>
      fixture.ledger.read(on, { lastId, holes, rowsMax, areHolesOnly: false, deadlineMs });

    it("rows come in id order, nothing parsed but id and time", async () => {
      await fixture.run(
        `insert into waybill_outbox (message_id, type, topic, key, headers, payload) values
         ('0192a4b6-0000-7000-8000-000000000001', 'shop.order.placed.v1', 'orders', 'order-1', '{"ce-source":"/order-service"}', '{"a": 1.0}')`,
      );
      await fixture.run("insert into waybill_outbox (type, topic, payload_bytes) values ('t', 'orders', '\\x00ff80')");
      await fixture.run("insert into waybill_outbox (type, topic) values ('t', 'orders')");
      const { rows, areHolesCut } = await read(0n, []);
      const [{ now }] = (await fixture.run("select date_part('epoch', now()) * 1000 as now")) as [{ now: number }];
      expect(areHolesCut).toBe(false);
      expect(rows[0]).toEqual({
        id: 1n,
        messageId: "0192a4b6-0000-7000-8000-000000000001",
        type: "shop.order.placed.v1",
        topic: "orders",
        key: "order-1",
        headers: '{"ce-source":"/order-service"}',
        payload: Buffer.from('{"a": 1.0}'),
        isText: true,
        leftBytes: null,
        createdAtMs: expect.any(Number),
      });
      expect(Math.abs((rows[0]?.createdAtMs ?? 0) - now)).toBeLessThan(10_000);
      expect(rows[1]).toMatchObject({ id: 2n, key: null, headers: null, payload: Buffer.from([0, 255, 128]), isText: false });
      expect(rows[2]).toMatchObject({ id: 3n, payload: null, leftBytes: null });
    });

    it("a row whose time is out of every calendar is read like any other, and stops nobody", async () => {
      const times = ["infinity", "-infinity", "294276-12-31", "4713-01-01 BC", "2026-01-02 03:04:05.678+00"];
      for (const time of times) {
        await fixture.run(
          "insert into waybill_outbox (type, topic, payload, created_at) values ('t', 'orders', $1, $1::text::timestamptz)",
          [time],
        );
      }
      const all = [1n, 2n, 3n, 4n, 5n];
      const first = Date.parse("0000-01-01T00:00:00.000Z");
      const last = Date.parse("9999-12-31T23:59:59.999Z");
      for (const rows of [
        (await read(0n, [])).rows,
        (await read(5n, [range(1n, 5n)])).rows,
        await fixture.ledger.readIds(connection, all, { deadlineMs }),
      ]) {
        expect(rows.map(({ id }) => id)).toEqual(all);
        expect(rows.map(({ createdAtMs }) => createdAtMs)).toEqual([last, first, last, first, Date.UTC(2026, 0, 2, 3, 4, 5, 678)]);
      }
    });

    it("an id whose transaction is still open is a hole and is read when it commits", async () => {
      const writer = await fixture.client();
      await writer.query("begin");
      await writer.query(insertRow, ["k", "slow"]);
      await fixture.run(insertRow, ["k", "fast"]);
      expect(payloads(await read(0n, []))).toEqual(["fast"]);
      expect(payloads(await read(2n, [range(1n, 1n)]))).toEqual([]);
      await writer.query("commit");
      expect(payloads(await read(2n, [range(1n, 1n)]))).toEqual(["slow"]);
    });

    it("what was read is not read again, and the first rows of everything else come first", async () => {
      for (let index = 1; index <= 20; index += 1) await fixture.run(insertRow, ["k", String(index)]);
      const batch = await read(15n, [range(2n, 3n), range(7n, 7n), range(11n, 12n)], 7);
      expect(ids(batch)).toEqual([2n, 3n, 7n, 11n, 12n, 16n, 17n]);
      expect(batch.areHolesCut).toBe(false);
    });

    /** Lets T1 fill the hole 1, and T2 append the next row of its key, right after each statement that reads the ledger. */
    async function raceBetweenStatements(reading: (on: Connection) => Promise<readonly (string | Uint8Array | null)[]>) {
      const first = await fixture.client();
      await first.query("begin");
      await first.query(insertRow, ["k", "first"]);
      await fixture.run(insertRow, ["other", "last read"]);
      let isDone = false;
      const interposed: Connection = {
        ...connection,
        readRows: async (sql, values, reader, options) => {
          const rows = await connection.readRows(sql, values, reader, options);
          if (!isDone && sql.includes("waybill_outbox")) {
            isDone = true;
            await first.query("commit");
            await fixture.run(insertRow, ["k", "second"]);
          }
          return rows;
        },
      };
      const seen = await reading(interposed);
      expect(isDone).toBe(true);
      return seen;
    }

    it("a row that commits while we read is never overtaken by a later one of its key", async () => {
      const seen = await raceBetweenStatements(async (on) => payloads(await read(2n, [range(1n, 1n)], 100, on)));
      expect(seen).toEqual([]);
      expect(payloads(await read(2n, [range(1n, 1n)]))).toEqual(["first", "second"]);
    });

    it("the race is real: reading holes and the rest in two statements turns two messages around", async () => {
      const seen = await raceBetweenStatements(async (on) => [
        ...payloads(await read(2n ** 62n, [range(1n, 1n)], 100, on)),
        ...payloads(await read(2n, [], 100, on)),
      ]);
      expect(seen).toEqual(["second"]);
    });

    /** Fills the holes 1 to 30 with one key's rows, and commits a later row of the key after them. */
    async function fillHoles(): Promise<void> {
      const writer = await fixture.client();
      await writer.query("begin");
      await writer.query(
        "insert into waybill_outbox (type, topic, key, payload) select 't', 'orders', 'k', 'early ' || n from generate_series(1, 30) n order by n",
      );
      await fixture.run(insertRow, ["other", "last read"]);
      await writer.query("commit");
      await fixture.run(insertRow, ["k", "late"]);
    }

    it("nothing beyond the last id is read when the limit cuts the search among the holes", async () => {
      await fillHoles();
      const batch = await read(31n, [range(1n, 30n)], 10);
      expect(payloads(batch)).toEqual(Array.from({ length: 10 }, (_, index) => `early ${index + 1}`));
      expect(batch.areHolesCut).toBe(true);
      const whole = await read(31n, [range(11n, 30n)], 21);
      expect(payloads(whole).at(-1)).toBe("late");
      expect(whole.areHolesCut).toBe(false);
    });

    it("a reader that wants holes only gets nothing beyond the last id", async () => {
      await fillHoles();
      const holesOnly = { lastId: 31n, areHolesOnly: true, deadlineMs };
      const whole = await fixture.ledger.read(connection, { ...holesOnly, holes: [range(1n, 30n)], rowsMax: 100 });
      expect([whole.rows.length, whole.areHolesCut]).toEqual([30, false]);
      const cut = await fixture.ledger.read(connection, { ...holesOnly, holes: [range(1n, 30n)], rowsMax: 10 });
      expect([cut.rows.length, cut.areHolesCut]).toEqual([10, true]);
      expect(await fixture.ledger.read(connection, { ...holesOnly, holes: [], rowsMax: 10 })).toEqual({ rows: [], areHolesCut: false });
    });

    it("the gate is needed: without it the later row arrives among the first", async () => {
      await fillHoles();
      const ungated = readWithHoles(outbox, "text").replace(/limit greatest\(0, .*\)\)/, "limit $2::bigint");
      expect(ungated).not.toBe(readWithHoles(outbox, "text"));
      const rows = await connection.queryText(ungated, ["31", "10", ["1"], ["30"]]);
      expect(rows.map((columns) => columns[7])).toContain("late");
    });

    it("large payloads stay in the database until they are asked for", async () => {
      const sizes = [16_384, 16_385, 900_000];
      for (const size of sizes) await fixture.run(insertRow, ["k", "x".repeat(size)]);
      await fixture.run("insert into waybill_outbox (type, topic, payload_bytes) values ('t', 'orders', $1)", [Buffer.alloc(20_000, 7)]);
      const { rows } = await read(0n, []);
      expect(rows.map(({ payload, leftBytes }) => [payload?.length ?? null, leftBytes])).toEqual([
        [16_384, null],
        [null, 16_385],
        [null, 900_000],
        [null, 20_000],
      ]);
      const whole = await fixture.ledger.readIds(connection, [2n, 4n, 99n], { deadlineMs });
      expect(whole.map((row) => [row.id, storedPayload(row), row.leftBytes])).toEqual([
        [2n, "x".repeat(16_385), null],
        [4n, Buffer.alloc(20_000, 7), null],
      ]);
      expect(await fixture.ledger.readIds(connection, [], { deadlineMs })).toEqual([]);
    });

    it("bytes come out as they went in, whatever the role says about bytea_output", async () => {
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
      await fixture.run("insert into waybill_outbox (type, topic, payload_bytes) values ('t', 'orders', $1)", [bytes]);
      const escaping = await fixture.connect();
      await escaping.query("set bytea_output = 'escape'", []);
      expect(payloads(await read(0n, [], 10, escaping))).toEqual([bytes]);
    });

    it("a row is the same in binary form and as text", async () => {
      await fixture.run(insertRow, ["k", "grüße 🎈"]);
      await fixture.run(
        "insert into waybill_outbox (type, topic, payload_bytes) values ('t', 'orders', '\\x00ff0a'), ('t', 'orders', null)",
      );
      await fixture.run(insertRow, ["k", "x".repeat(20_000)]);
      const asText: Connection = { ...connection, hasBinaryRows: false };
      expect(connection.hasBinaryRows).toBe(true);
      for (const holes of [[], [range(1n, 2n)]]) {
        const last = holes.length === 0 ? 0n : 2n;
        const { rows } = await read(last, holes);
        expect(rows).toHaveLength(4);
        expect((await read(last, holes, 10, asText)).rows).toEqual(rows);
      }
      const rows = await fixture.ledger.readIds(connection, [1n, 2n, 3n, 4n], { deadlineMs });
      expect(rows.map(({ payload }) => payload?.length ?? null)).toEqual([12, 3, null, 20_000]);
      expect(await fixture.ledger.readIds(asText, [1n, 2n, 3n, 4n], { deadlineMs })).toEqual(rows);
    });

    it("a million ids of a rolled-back insert are one range, and reading past them is quick", async () => {
      const writer = await fixture.client();
      await writer.query("begin");
      await writer.query("select setval('waybill_outbox_id_seq', 900000)");
      await writer.query("rollback");
      await fixture.run(insertRow, ["k", "after"]);
      expect(ids(await read(0n, []))).toEqual([900_001n]);
      expect(ids(await read(900_001n, [range(1n, 900_000n)]))).toEqual([]);
    });

    it("rows are found through partitions and the default partition alike", async () => {
      for (const id of [1_000_000, 1_000_001, 2_500_000, 3_000_001, 9_999_999]) {
        await fixture.run("select setval('waybill_outbox_id_seq', $1, false)", [id]);
        await fixture.run(insertRow, ["k", String(id)]);
      }
      expect(payloads(await read(1_000_001n, [range(1n, 1_000_000n)]))).toEqual(["1000000", "2500000", "3000001", "9999999"]);
    });

    it.each(["before", "after"])("every plan is index scans, %s the tables were analysed", async (when) => {
      await fixture.run(
        "insert into waybill_outbox (type, topic, payload) select 't', 'orders', repeat('x', 200) from generate_series(1, 3000)",
      );
      if (when === "after") await fixture.run("analyze waybill_outbox");
      const client = await fixture.client();
      await client.query("set plan_cache_mode = force_generic_plan; set jit = off");
      await client.query(`prepare plain as ${readWithoutHoles(outbox, "text")}`);
      await client.query(`prepare holes (bigint, bigint, bigint[], bigint[]) as ${readWithHoles(outbox, "text")}`);
      await client.query(`prepare by_id as ${readIds(outbox, "text")}`);
      for (const call of ["plain(10, 500)", "holes(2000, 500, '{1,50,90}', '{3,60,1500}')", "by_id('{1,5,9}')"]) {
        const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(`explain (format json) execute ${call}`);
        const nodes = nodeTypes((rows[0] as { "QUERY PLAN": [{ Plan: PlanNode }] })["QUERY PLAN"][0].Plan);
        expect(nodes, call).not.toContain("Seq Scan");
        expect(nodes, call).not.toContain("Sort");
        expect(
          nodes.some((node) => node.startsWith("Bitmap")),
          call,
        ).toBe(false);
        expect(nodes, call).toContain("Index Scan");
      }
    });

    it("a read beyond its deadline is given up, and its connection with it", async () => {
      const doomed = await fixture.connect();
      await read(0n, [], 10, doomed);
      const blocker = await fixture.client();
      await blocker.query("begin; lock table waybill_outbox in access exclusive mode");
      await expect(
        fixture.ledger.read(doomed, { lastId: 0n, holes: [], rowsMax: 10, areHolesOnly: false, deadlineMs: 50 }),
      ).rejects.toMatchObject({ code: "WAYBILL_DEADLINE" });
      await waitUntil(() => doomed.lost.aborted, { what: "the connection is gone" });
      await blocker.query("rollback");
    });

    it("facts tell server, ledger, counter and clock, and find nothing wrong", async () => {
      const before = await fixture.ledger.facts(connection, { deadlineMs });
      expect(before).toMatchObject({ isReadOnly: false, highestId: 0n, unsafe: null });
      expect(before.serverIdentity).toMatch(/^\d+\/[0-9A-F]{8}$/);
      expect(before.ledgerIdentity).toMatch(/^[0-9a-f-]{36}$/);
      await fixture.run(insertRow, ["k", "1"]);
      const after = await fixture.ledger.facts(connection, { deadlineMs });
      expect(after).toMatchObject({ highestId: 1n, serverIdentity: before.serverIdentity, ledgerIdentity: before.ledgerIdentity });
      expect(after.nowMs).toBeGreaterThanOrEqual(before.nowMs);
    });

    it("facts name a sequence that steps or caches, and a stream without a row", async () => {
      await fixture.run("alter sequence waybill_outbox_id_seq cache 20 increment by 2");
      const { unsafe } = await fixture.ledger.facts(connection, { deadlineMs });
      await fixture.run("alter sequence waybill_outbox_id_seq cache 1 increment by 1");
      expect(unsafe).toMatch(/step by 2.*cached by 20/);
      await fixture.run("begin; update waybill_stream set name = 'other'; commit");
      expect((await fixture.ledger.facts(connection, { deadlineMs })).unsafe).toMatch(/no row/);
      await fixture.run("update waybill_stream set name = 'default'");
    });

    it("facts tell a read-only session", async () => {
      const readOnly = await fixture.connect();
      await readOnly.query("set default_transaction_read_only = on", []);
      expect((await fixture.ledger.facts(readOnly, { deadlineMs })).isReadOnly).toBe(true);
    });

    it("two ledgers of different names share a connection", async () => {
      await fixture.run("create schema other");
      await fixture.run("create table other.waybill_outbox (like waybill_outbox)");
      const other = createLedger({ space: namespace("postgres", { schema: "other" }) });
      await fixture.run(insertRow, ["k", "here"]);
      expect(payloads(await other.read(connection, { lastId: 0n, holes: [], rowsMax: 10, areHolesOnly: false, deadlineMs }))).toEqual([]);
      expect(payloads(await read(0n, []))).toEqual(["here"]);
    });
  }),
);

interface PlanNode {
  readonly "Node Type": string;
  readonly Plans?: readonly PlanNode[];
}

function nodeTypes(node: PlanNode): string[] {
  return [node["Node Type"], ...(node.Plans ?? []).flatMap(nodeTypes)];
}
