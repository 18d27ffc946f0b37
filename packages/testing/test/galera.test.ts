import { describe, expect, it } from "vitest";
import { hasTurn, startGalera } from "../src/index.ts";
import { galeraLibrary } from "../src/servers/galera.ts";
import { askMysql } from "./kept-in-mysql.ts";
import { startMs, whyNot } from "./launched-server.ts";

const missing = await whyNot(galeraLibrary, true);
if (missing !== null) console.warn(`SKIPPED a Galera cluster: ${missing}`);

describe.skipIf(missing !== null || !hasTurn("launched Galera", 0, 2))("a Galera cluster of two nodes", () => {
  it(
    "shows on one node what was written on the other, works on when one leaves, and takes it back after a kill",
    async () => {
      const galera = await startGalera();
      try {
        const [one, two] = galera.nodes;
        await askMysql(one.url, "create database kept");
        await askMysql(one.url, "create table kept.message (id bigint primary key) engine = innodb");
        await askMysql(one.url, "insert into kept.message values (1)");
        await askMysql(two.url, "insert into kept.message values (2)");
        // Each asks its node to wait for what the other has sent before it reads.
        const read = "set statement wsrep_sync_wait = 1 for select id from kept.message order by id";
        expect(await askMysql(one.url, read)).toEqual([{ id: 1 }, { id: 2 }]);

        await one.kill("SIGTERM");
        await askMysql(two.url, "insert into kept.message values (3)");
        await one.restart();
        expect(await askMysql(one.url, read)).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);

        await two.kill("SIGKILL");
        await two.restart();
        expect(await askMysql(two.url, read)).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
      } finally {
        await galera.stop();
      }
    },
    startMs,
  );
});
