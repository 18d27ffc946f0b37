import { createConnection } from "mysql2/promise";
import { describe, expect, it } from "vitest";
import { startMysql } from "../src/index.ts";
import { debRoot } from "../src/servers/deb-root.ts";
import { askMysql, keptInMysql } from "./kept-in-mysql.ts";
import { describeLaunchedServer, startMs, whyNot } from "./launched-server.ts";

const missing = await whyNot(() => debRoot({ suite: "sid", packages: ["mysql-server-core"] }));

describeLaunchedServer("a MySQL of one's own", {
  kind: "mysql",
  missing,
  start: () => startMysql({ settings: { max_allowed_packet: "2M" } }),
  ...keptInMysql,
  version: /^\d+\.\d+\.\d+$/,
});

describe.skipIf(missing !== null)("a MySQL with settings", () => {
  it(
    "has them, and keeps its own defaults for what decides durability",
    async () => {
      const server = await startMysql({ settings: { binlog_format: "STATEMENT" } });
      try {
        const [row] = await askMysql(
          server.url,
          "select @@binlog_format as format, @@innodb_flush_log_at_trx_commit as flush, @@sync_binlog as sync",
        );
        expect(row).toEqual({ format: "STATEMENT", flush: 1, sync: 1 });
        const connection = await createConnection({ uri: server.url });
        await connection.end();
      } finally {
        await server.stop();
      }
    },
    startMs,
  );

  it(
    "says what the server wrote if it cannot start",
    async () => {
      await expect(startMysql({ settings: { no_such_variable: "1" } })).rejects.toThrow(/no_such_variable/);
    },
    startMs,
  );
});
