/**
 * Servers of our own, for what would disturb everybody on a shared one: settings of the whole server, a lock on all commits, read only, TLS.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { isWaybillError, systemClock, type WaybillEvent, wait } from "@waybill/core";
import { type StartedServer, startMariadb, startMysql, waitUntil } from "@waybill/testing";
import mysql from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { checkServer, type Database, inspectServer, openDatabase } from "../src/index.ts";

/** As hostile as a server's defaults may be to a client that sets nothing of its own. */
const hostile = {
  sql_mode: "NO_BACKSLASH_ESCAPES,ANSI_QUOTES",
  default_time_zone: "+05:00",
  transaction_isolation: "SERIALIZABLE",
  character_set_server: "latin1",
  collation_server: "latin1_swedish_ci",
  autocommit: "0",
  completion_type: "CHAIN",
  innodb_flush_log_at_trx_commit: "2",
  auto_increment_increment: "3",
  log_bin: "waybill-log",
  server_id: "1",
};

const servers = [
  { name: "mariadb", start: () => startMariadb({ settings: hostile }) },
  { name: "mysql", start: () => startMysql({ settings: hostile }) },
];

describe.each(servers)("$name of our own", ({ name, start }) => {
  let server: StartedServer;
  let url: string;
  let admin: mysql.Connection;
  let database: Database;
  const events: WaybillEvent[] = [];
  const operation = "test";

  beforeAll(async () => {
    server = await start();
    admin = await connectAdmin(server.url);
    await admin.query("create database shop character set utf8mb4 collate utf8mb4_bin");
    await admin.query("create table shop.entry (id varchar(80) primary key, at datetime(6) default (utc_timestamp(6))) engine = InnoDB");
    // Read only does not bind who administers the server.
    await admin.query("create user 'app'@'%' identified by 'app'");
    await admin.query("grant all privileges on shop.* to 'app'@'%'");
    const own = new URL(server.url);
    own.pathname = "/shop";
    own.username = "app";
    own.password = "app";
    url = own.href;
    database = openDatabase({ url, onEvent: (event) => void events.push(event) });
  }, 180_000);
  beforeEach(async () => {
    await admin.query("delete from shop.entry");
    events.length = 0;
  });
  afterAll(async () => {
    await database.close();
    admin.destroy();
    await server.stop();
  }, 60_000);

  const insert = "insert into entry (id) values (?)";
  const entries = async (): Promise<readonly unknown[]> =>
    ((await admin.query("select id from shop.entry order by id"))[0] as { id: string }[]).map(({ id }) => id);

  test("nothing of ours depends on how a server is configured: escaping, zone, isolation, commit", async () => {
    const text = "' , null), ('injected', null); -- \\ \"ä😀\"";
    await database.execute(insert, [text]);
    expect(await entries()).toEqual([text]);
    const outcome = await database.unitOfWork((tx) => tx.execute(insert, ["b"]), { operation });
    expect(outcome).toEqual({ kind: "committed", value: 1 });
    expect(await entries()).toEqual([text, "b"]);
    const isolation = name === "mariadb" ? "@@tx_isolation" : "@@transaction_isolation";
    const [row] = await database.query(
      `select ${isolation} as isolation, timestampdiff(minute, utc_timestamp(), now()) as offset_minutes`,
      [],
    );
    expect([row?.["isolation"], Number(row?.["offset_minutes"])]).toEqual(["READ-COMMITTED", 0]);
    expect(events).toEqual([]);
  });

  test("what a server is set to is told, and warned about where it costs messages or time", async () => {
    const report = await inspectServer(database);
    expect(report.findings.map(({ level, rule, found }) => [level, rule, found])).toEqual(
      expect.arrayContaining([
        ["warned", "innodb_flush_log_at_trx_commit", "2"],
        ["warned", "auto_increment_increment", "3"],
      ]),
    );
    expect(report.findings.filter(({ level }) => level === "refused")).toEqual([]);
    expect(await checkServer(database)).toEqual(report);
  });

  test("a binary log of statements is refused: what we write could not be logged", async () => {
    await admin.query("set global binlog_format = 'STATEMENT'");
    try {
      const error = await checkServer(database).catch((caught: unknown) => caught);
      expect(isWaybillError(error, "WAYBILL_LEDGER_UNSAFE") && error.facts).toEqual({ rule: "binlog_format", found: "STATEMENT" });
      const late = openDatabase({ url });
      expect(await late.execute(insert, ["a"]).catch((caught: unknown) => caught)).toMatchObject({ facts: { errno: 1665 } });
      await late.close();
    } finally {
      await admin.query("set global binlog_format = 'ROW'");
    }
  });

  test("a server that has become read only refuses the COMMIT: rolled back, surely, and the connection is given up", async () => {
    const outcome = await database.unitOfWork(
      async (tx) => {
        await tx.execute(insert, ["a"]);
        await readOnly(admin, true);
      },
      { operation },
    );
    try {
      expect(outcome).toMatchObject({ kind: "rolledBack", error: { code: "WAYBILL_DATABASE", facts: { isTransient: true } } });
      const refused = await checkServer(database).catch((caught: unknown) => caught);
      expect(isWaybillError(refused, "WAYBILL_LEDGER_UNSAFE") && refused.facts).toMatchObject({ rule: "primary" });
    } finally {
      await readOnly(admin, false);
    }
    expect(await entries()).toEqual([]);
    expect((await database.unitOfWork((tx) => tx.execute(insert, ["b"]), { operation })).kind).toBe("committed");
  });

  test("a COMMIT that waits too long for a lock on all commits is rolled back, surely, and the unit is run again", async () => {
    let runs = 0;
    const outcome = await database.unitOfWork(
      async (tx) => {
        runs++;
        if (runs === 2) await letCommit(admin, name);
        await tx.query(`set session lock_wait_timeout = ${runs === 1 ? 1 : 30}`, []);
        await tx.execute(insert, [`run ${runs}`]);
        if (runs === 1) await keepFromCommitting(admin, name);
      },
      { operation, deadlineMs: 60_000 },
    );
    expect(outcome.kind).toBe("committed");
    expect(events).toContainEqual({ name: "sql.unitRepeated", sqlState: "HY000", errno: 1205, attempt: 1 });
    expect(await entries()).toEqual(["run 2"]);
  });

  test("a session that is killed while its COMMIT is under way leaves the outcome unknown", async () => {
    const ending = database.unitOfWork(
      async (tx) => {
        await tx.execute(insert, ["a"]);
        await keepFromCommitting(admin, name);
      },
      { operation, deadlineMs: 60_000 },
    );
    const committing = async (): Promise<number | null> => {
      const [rows] = await admin.query("select id as id from information_schema.processlist where user = 'app' and info = 'commit'");
      return (rows as { id: number }[])[0]?.id ?? null;
    };
    const id = await waitUntil(committing, { what: "COMMIT is under way", deadlineMs: 30_000 });
    await admin.query(`kill connection ${id}`);
    expect((await ending).kind).toBe("unknown");
    await letCommit(admin, name);
  });

  // On a server of our own, for MySQL refuses everybody `information_schema.processlist` while such a statement runs, and tests look there.
  test("a statement that is given up is ended, also while another session runs one with an emoji", async () => {
    await admin.query("insert into shop.entry (id) values ('one'), ('two')");
    const [holder, other] = [await connectAdmin(server.url), await connectAdmin(server.url)];
    try {
      await holder.query("begin");
      await holder.query("select id from shop.entry where id = 'two' for update");
      other.query(`select sleep(60), '${"😀".repeat(200)}'`).catch(() => undefined); // it is destroyed with the test
      const isAsleep = async (): Promise<boolean> =>
        ((await holder.query("show processlist"))[0] as { readonly Id: number; readonly State: string | null }[]).some(
          ({ Id, State }) => Id === other.threadId && State === "User sleep",
        );
      await waitUntil(isAsleep, { what: "it runs" });
      const outcome = await database.unitOfWork(
        async (tx) => {
          await tx.execute("update entry set at = utc_timestamp(6) where id = 'one'", []);
          await tx.execute("update entry set at = utc_timestamp(6) where id = 'two'", []);
        },
        { operation, deadlineMs: 1_000 },
      );
      expect(outcome).toMatchObject({ kind: "rolledBack", error: { code: "WAYBILL_DEADLINE" } });
      const isFree = async (): Promise<boolean> => {
        const asked = holder.query("select id from shop.entry where id = 'one' for update nowait");
        return asked.then(
          () => true,
          () => false,
        );
      };
      // Without being killed it would wait for the second row, and keep the first, until the server's own limit.
      await waitUntil(isFree, { what: "the first row is free", deadlineMs: 10_000 });
    } finally {
      await holder.query("rollback");
      holder.destroy();
      other.destroy();
    }
  });

  // MariaDB looks by itself whether the client is still there while it waits for this lock, and gives up if not.
  test.runIf(name === "mysql")("a COMMIT that is given up is not killed: what it began ends as the server decides", async () => {
    const outcome = await database.unitOfWork(
      async (tx) => {
        await tx.query("set session lock_wait_timeout = 60", []);
        await tx.execute(insert, ["given up"]);
        await keepFromCommitting(admin, name);
      },
      { operation, deadlineMs: 2_000 },
    );
    expect(outcome.kind).toBe("unknown");
    await wait(systemClock, 500); // a kill took milliseconds, and nothing tells that none comes
    await letCommit(admin, name);
    await waitUntil(async () => (await entries()).join() === "given up", { what: "the server has committed", deadlineMs: 30_000 });
  });

  test("a server that is killed while a unit is under way ends the unit and nothing else; afterwards the database works again", async () => {
    const outcome = await database.unitOfWork(
      async (tx) => {
        await tx.execute(insert, ["a"]);
        await server.kill("SIGKILL");
        await tx.execute(insert, ["b"]);
      },
      { operation },
    );
    expect(outcome.kind).toBe("rolledBack");
    await server.restart();
    admin = await connectAdmin(server.url);
    expect(await entries()).toEqual([]);
    const again = await waitUntil(
      async () => {
        const tried = await database.unitOfWork((tx) => tx.execute(insert, ["c"]), { operation }).catch(() => null);
        return tried?.kind === "committed" ? tried : null;
      },
      { what: "a unit commits again", deadlineMs: 30_000 },
    );
    expect(again.kind).toBe("committed");
    expect(await entries()).toEqual(["c"]);
  }, 120_000);

  test("TLS: a server without it is refused, one with it is checked as far as the URL says", async () => {
    const folder = await mkdtemp(join(tmpdir(), "waybill-tls-"));
    const stranger = join(folder, "stranger.pem");
    await writeFile(stranger, rootCertificates[0] as string);
    const cipherThrough = async (parameters: string): Promise<string> => {
      const secured = openDatabase({ url: `${url.replace("127.0.0.1", "localhost")}?${parameters}` });
      try {
        const rows = await secured.queryText("show session status like 'Ssl_cipher'", []);
        return String(rows[0]?.[1]);
      } catch (error) {
        if (!isWaybillError(error, "WAYBILL_DATABASE")) throw error;
        return String((error.cause as { code?: unknown }).code);
      } finally {
        await secured.close();
      }
    };
    try {
      if (name === "mariadb") {
        expect(await cipherThrough("ssl-mode=required")).toBe("HANDSHAKE_NO_SSL_SUPPORT");
        return;
      }
      const [rows] = await admin.query("select @@datadir as folder");
      const authority = join(folder, "ca.pem");
      await writeFile(authority, await readFile(join((rows as { folder: string }[])[0]?.folder as string, "ca.pem")));
      expect(await cipherThrough("ssl-mode=disabled")).toBe("");
      expect(await cipherThrough("ssl-mode=required")).toMatch(/^[A-Z0-9_-]+$/);
      expect(await cipherThrough(`ssl-mode=verify-ca&ssl-ca=${authority}`)).toMatch(/^[A-Z0-9_-]+$/);
      expect(await cipherThrough(`ssl-mode=verify-ca&ssl-ca=${stranger}`)).toBe("HANDSHAKE_SSL_ERROR");
      // The server's own certificate names no host.
      expect(await cipherThrough(`ssl-mode=verify-identity&ssl-ca=${authority}`)).toBe("HANDSHAKE_SSL_ERROR");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** A session that the server's defaults do not lead astray. */
async function connectAdmin(url: string): Promise<mysql.Connection> {
  const connection = await mysql.createConnection(url);
  await connection.query("set session sql_mode = '', session autocommit = 1, session completion_type = 0");
  return connection;
}

async function readOnly(admin: mysql.Connection, isOn: boolean): Promise<void> {
  await admin.query(`set global read_only = ${isOn ? 1 : 0}`);
}

/** A lock that lets statements through and no COMMIT. On MariaDB `flush tables` would wait for open transactions, a stage of a backup does not. */
async function keepFromCommitting(admin: mysql.Connection, name: string): Promise<void> {
  if (name === "mysql") {
    await admin.query("flush tables with read lock");
    return;
  }
  for (const stage of ["start", "flush", "block_ddl", "block_commit"]) await admin.query(`backup stage ${stage}`);
}

async function letCommit(admin: mysql.Connection, name: string): Promise<void> {
  await admin.query(name === "mysql" ? "unlock tables" : "backup stage end");
}
