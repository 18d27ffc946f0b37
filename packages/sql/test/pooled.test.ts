/**
 * A pooler as a session sees it: the server that answers is not the one that the handshake named. A proxy that gives out another pid
 * in BackendKeyData is all it takes, and it shows what we send and what we do not.
 */
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { forEachPostgres, type TestDatabase, testDatabase } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, migrateUp, namespace, openDatabase, sqlMigrations } from "../src/index.ts";

/** BackendKeyData: `K`, length 12, pid, key. It comes in the first packets of a link, before any row. */
const keyData = Buffer.from([0x4b, 0, 0, 0, 12]);

function withAnotherPid(chunk: Buffer): Buffer {
  const at = chunk.indexOf(keyData);
  if (at < 0) return chunk;
  const changed = Buffer.from(chunk);
  changed.writeInt32BE(changed.readInt32BE(at + keyData.length) + 1, at + keyData.length);
  return changed;
}

forEachPostgres((server) =>
  describe(server.name, () => {
    let own: TestDatabase;
    let pooler: Server;
    let database: Database;

    beforeAll(async () => {
      own = await testDatabase({ server: server.name });
      const { hostname, port } = new URL(own.url);
      pooler = createServer((client) => {
        const upstream = connect(Number(port), hostname);
        client.on("error", () => upstream.destroy()).pipe(upstream);
        upstream.on("error", () => client.destroy()).on("data", (chunk: Buffer) => void client.write(withAnotherPid(chunk)));
        upstream.on("close", () => client.destroy());
        client.on("close", () => upstream.destroy());
      });
      await new Promise<void>((resolve) => void pooler.listen(0, "127.0.0.1", resolve));
      const url = new URL(own.url);
      url.hostname = "127.0.0.1";
      url.port = String((pooler.address() as AddressInfo).port);
      database = openDatabase({ url: url.href, connections: 1 });
    });
    afterAll(async () => {
      await database.close();
      await new Promise((resolve) => void pooler.close(resolve));
      await own.drop();
    });

    test("a session behind a pooler is recognised", async () => {
      const connection = await database.connect({ purpose: "test" });
      expect(connection.isPooled).toBe(true);
      await connection.close();
    });

    test("nothing is set on a session that may serve others next, and nothing is prepared", async () => {
      await database.query("select 1", [], { name: "one", deadlineMs: 60_000 });
      const settings =
        "select current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'), current_setting('client_connection_check_interval')";
      expect(await database.queryText(settings, [])).toEqual([["0", "0", "0"]]);
      expect(await database.query("select name from pg_prepared_statements", [], { name: "two" })).toEqual([]);
    });

    test("units of work and migrations need nothing that a pooler breaks", async () => {
      const space = namespace("postgres", { schema: "app" });
      const before = await database.queryText("show search_path", []);
      expect((await migrateUp(database, space, [sqlMigrations])).map(({ name }) => name)).toEqual(["001_audit"]);
      expect(await database.queryText("show search_path", [])).toEqual(before);
      expect(await database.query("select 1 from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()", [])).toEqual([]);
    });
  }),
);
