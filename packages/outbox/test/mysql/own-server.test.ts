/** What needs a server of its own: counter-examples to looking at locks on one that is killed, or hands ids out as they come; odd settings. */
import { catalogue, message } from "@waybill/core";
import type { Connection } from "@waybill/sql";
import { startMariadb, startMysql, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { append, createOutbox, type HoleProof, type IdRange } from "../../src/index.ts";
import { insertRow, type MysqlFixture, mysqlFixture, payloadsOf, range } from "./mysql-fixture.ts";

const deadlineMs = 20_000;
const shop = catalogue({ source: "/order-service", noted: message<{ readonly n: number }>({ type: "shop.note.v1", topic: "notes" }) });
const { find } = createOutbox();
type Server = Awaited<ReturnType<typeof startMariadb>>;

const servers: readonly (readonly [name: string, start: () => Promise<Server>])[] = [
  ["mariadb", () => startMariadb({ settings: { innodb_autoinc_lock_mode: "2", log_bin: "binlog" } })],
  ["mysql", () => startMysql()],
];

for (const [name, start] of servers) {
  describe(`the ledger on a ${name} of its own`, () => {
    let server: Server;
    let fixture: MysqlFixture;
    let connection: Connection;
    let proof: HoleProof;

    beforeAll(async () => {
      server = await start();
      fixture = await mysqlFixture({ ownUrl: server.url });
    }, 300_000);
    afterAll(() => server.stop(), 60_000);
    beforeEach(async () => {
      connection = await fixture.connect();
      proof = fixture.ledger.beginHoleProof({ fenceAfterMs: 0 });
    });

    const look = (holes: readonly IdRange[]): Promise<readonly IdRange[]> => proof.look(connection, holes, { deadlineMs });
    const read = async (lastId: number, holes: readonly IdRange[]): Promise<readonly unknown[]> =>
      payloadsOf(await fixture.ledger.read(connection, { lastId: BigInt(lastId), holes, rowsMax: 100, areHolesOnly: false, deadlineMs }));
    const nobodyLocks = async (id: number): Promise<boolean> =>
      (await connection.query(`select id from waybill_outbox where id = ${id} for update nowait`, [])).length === 0;

    it("INSERT … SELECT: ids of a statement are handed out ahead of its rows, and other rows come in between", async () => {
      await fixture.clear();
      await fixture.run(`create trigger waits before insert on waybill_outbox for each row
        begin if new.\`key\` = 'waits' then do get_lock('pause', 30); do release_lock('pause'); end if; end`);
      const [holder, writer] = [await fixture.client(), await fixture.client()];
      await holder.query("do get_lock('pause', 30)");
      await writer.beginTransaction();
      const inserted = writer.query(
        `insert into waybill_outbox (type, topic, \`key\`, payload)
         select 't', 'orders', case when n = 3 then 'waits' else 'k' end, cast(n as char)
         from (select 1 as n union all select 2 union all select 3 union all select 4) as four order by n`,
      );
      await waitUntil(
        async () =>
          (await fixture.run("select 1 from information_schema.processlist where id = ? and state = 'User lock'", [writer.threadId]))
            .length > 0,
        { what: "the statement waits before its third row", deadlineMs },
      );
      await fixture.run(insertRow, ["k", "fast"]);
      expect(await read(0, [])).toEqual(["fast"]);
      const [fast] = await fixture.run("select max(id) as id from waybill_outbox");
      const last = Number(fast?.["id"]);
      expect(last).toBeGreaterThan(3);
      expect(await nobodyLocks(3)).toBe(true);
      const holes = [range(1, last - 1)];
      for (let count = 0; count < 5; count += 1) await look(holes);
      expect(await read(last, holes)).toEqual([]);
      await holder.query("do release_lock('pause')");
      await inserted;
      await writer.commit();
      expect((await read(last, holes)).filter((payload) => payload !== "fence")).toEqual(["1", "2", "3", "4"]);
      await fixture.run("drop trigger waits");
    });

    it.each(["commit", "rollback"] as const)(
      "an id that XA has prepared is kept over a kill of the server, until its decision: %s",
      { timeout: 180_000 },
      async (end) => {
        await fixture.clear();
        const writer = await fixture.client();
        await writer.query("xa start 'prepared'");
        await writer.query(insertRow, ["k", "slow"]);
        await writer.query("xa end 'prepared'");
        await writer.query("xa prepare 'prepared'");
        await fixture.run(insertRow, ["k", "fast"]);
        await look([range(1, 1)]);

        await server.kill("SIGKILL");
        await server.restart();
        // Everything that knew the server begins anew, as a relay does.
        connection = await fixture.connect();
        proof = fixture.ledger.beginHoleProof({ fenceAfterMs: 0 });
        for (let count = 0; count < 5; count += 1) expect(await look([range(1, 1)])).toEqual([]);
        expect(await read(0, [])).toEqual(["fast"]);
        const decider = await fixture.client();
        await decider.query(`xa ${end} 'prepared'`);
        await waitUntil(
          async () => {
            await look([range(1, 1)]);
            return (await read(2, [range(1, 1)])).length === 1;
          },
          { what: "the hole has ended", deadlineMs },
        );
        expect(await read(2, [range(1, 1)])).toEqual([end === "commit" ? "slow" : "fence"]);
        await fixture.reconnect();
      },
    );

    it("a COMMIT that is still under way when its link is cut is waited for", async () => {
      await fixture.clear();
      const [writer, holder] = [await fixture.client(), await fixture.client()];
      await writer.beginTransaction();
      const [id] = (await append(writer, shop.noted({ n: 1 }))) as [string];
      await holder.query("flush tables with read lock");
      const committing = writer.commit();
      committing.catch(() => undefined);
      await waitUntil(
        async () =>
          (await fixture.run("select 1 from information_schema.processlist where id = ? and info = 'COMMIT'", [writer.threadId])).length >
          0,
        { what: "the COMMIT waits", deadlineMs },
      );
      expect(await find(fixture.database, id, { deadlineMs: 100 })).toBe("undecided");
      const asking = find(fixture.database, id, { deadlineMs });
      await holder.query("unlock tables");
      expect(await asking).toBe("appended");
      await committing;
    });

    it("what was fenced and what was handed out is known after a kill of the server", { timeout: 180_000 }, async () => {
      await fixture.clear();
      const writer = await fixture.client();
      await writer.beginTransaction();
      await writer.query(insertRow, ["k", "undone"]);
      await fixture.run(insertRow, ["k", "fast"]);
      await writer.rollback();
      await look([range(1, 1)]);
      await server.kill("SIGKILL");
      await server.restart();
      connection = await fixture.connect();
      expect(await read(0, [])).toEqual(["fence", "fast"]);
      expect((await fixture.ledger.facts(connection, { deadlineMs })).highestId).toBe(2n);
      await fixture.reconnect();
    });

    it.each<[string, string, RegExp]>([
      ["binlog_format", "'STATEMENT'", /binlog_format is STATEMENT/],
      ["max_allowed_packet", "1048576", /max_allowed_packet is 1048576/],
    ])("facts call the ledger unsafe for %s = %s", async (variable, value, problem) => {
      const [before] = await fixture.run(`select @@global.${variable} as value`);
      await fixture.run(`set global ${variable} = ${value}`);
      expect((await fixture.ledger.facts(connection, { deadlineMs })).unsafe).toMatch(problem);
      await fixture.run(`set global ${variable} = ?`, [variable === "binlog_format" ? before?.["value"] : Number(before?.["value"])]);
      expect((await fixture.ledger.facts(connection, { deadlineMs })).unsafe).toBeNull();
    });

    it("facts call another engine unsafe, and a stream without a row", async () => {
      await fixture.run("alter table waybill_outbox engine = MyISAM");
      expect((await fixture.ledger.facts(connection, { deadlineMs })).unsafe).toMatch(/engine is MyISAM/);
      await fixture.run("alter table waybill_outbox engine = InnoDB");
      await fixture.run("update waybill_stream set name = 'other'");
      expect((await fixture.ledger.facts(connection, { deadlineMs })).unsafe).toMatch(/no row/);
      await fixture.run("update waybill_stream set name = 'default'");
      expect(await fixture.ledger.facts(connection, { deadlineMs })).toMatchObject({ unsafe: null, warnings: [] });
    });

    it.each<[string, number, RegExp]>([
      ["auto_increment_increment", 3, /auto_increment_increment is 3/],
      ["innodb_flush_log_at_trx_commit", 2, /innodb_flush_log_at_trx_commit is 2/],
    ])("facts warn of %s = %i", async (variable, value, warning) => {
      await fixture.run(`set global ${variable} = ${value}`);
      const facts = await fixture.ledger.facts(connection, { deadlineMs });
      expect([facts.unsafe, facts.warnings]).toEqual([null, [expect.stringMatching(warning)]]);
      await fixture.run(`set global ${variable} = 1`);
    });

    it("facts tell a read-only server, and no fence is made there", async () => {
      await fixture.run("set global read_only = 1");
      expect((await fixture.ledger.facts(connection, { deadlineMs })).isReadOnly).toBe(true);
      await expect(look([range(1, 1)])).rejects.toMatchObject({ code: "WAYBILL_READ_ONLY" });
      await fixture.run("set global read_only = 0");
      expect((await fixture.ledger.facts(connection, { deadlineMs })).isReadOnly).toBe(false);
    });
  });
}
