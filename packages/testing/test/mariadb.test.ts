import { describe, expect, it } from "vitest";
import { startMariadb } from "../src/index.ts";
import { debRoot } from "../src/servers/deb-root.ts";
import { findProgram } from "../src/servers/find-program.ts";
import { askMysql, keptInMysql } from "./kept-in-mysql.ts";
import { describeLaunchedServer, startMs, whyNot } from "./launched-server.ts";

const missing = await whyNot(async () => {
  if ((await findProgram("mariadbd")) === null) throw new Error("there is no mariadbd: install mariadb-server");
});

describeLaunchedServer("a MariaDB of one's own", {
  kind: "mariadb",
  missing,
  start: () => startMariadb(),
  ...keptInMysql,
  version: /^\d+\.\d+\.\d+$/,
});

describeLaunchedServer("a MariaDB of another Debian suite", {
  kind: "mariadb-11",
  missing: await whyNot(() => debRoot({ suite: "sid", packages: ["mariadb-server-core"] }), true),
  start: () => startMariadb({ suite: "sid" }),
  ...keptInMysql,
  version: /^1[1-9]\.\d+\.\d+$/,
});

describe.skipIf(missing !== null)("a MariaDB with settings", () => {
  it(
    "has them",
    async () => {
      const server = await startMariadb({ settings: { innodb_autoinc_lock_mode: "2" } });
      try {
        expect(await askMysql(server.url, "select @@innodb_autoinc_lock_mode as mode")).toEqual([{ mode: 2 }]);
      } finally {
        await server.stop();
      }
    },
    startMs,
  );

  it(
    "says what the server wrote if it cannot start",
    async () => {
      await expect(startMariadb({ settings: { no_such_variable: "1" } })).rejects.toThrow(/no_such_variable/);
    },
    startMs,
  );
});
