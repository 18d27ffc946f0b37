/** A cluster in which every node takes writes: what a conflict between two of them becomes. Needs galera-4 and rsync; left out where they are missing. */
import { isWaybillError, type WaybillEvent } from "@waybill/core";
import { type StartedGalera, startGalera, waitUntil } from "@waybill/testing";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { type Database, inspectServer, openDatabase } from "../src/index.ts";

const started = await startGalera().catch((error: unknown) => error as Error);
const why = started instanceof Error ? started.message : null;
if (why !== null && !why.includes("install ")) throw new Error("The cluster did not start.", { cause: started });
if (why !== null) console.warn(`SKIPPED a unit of work on Galera: ${why}`);

describe.skipIf(why !== null)("Galera, two nodes", () => {
  const { nodes, stop } = started as StartedGalera;
  const events: WaybillEvent[] = [];
  const opened: Database[] = [];
  const open = (node: 0 | 1): Database => {
    const url = new URL(nodes[node].url);
    url.pathname = "/shop";
    const database = openDatabase({ url: url.href, connections: 4, onEvent: (event) => void events.push(event) });
    opened.push(database);
    return database;
  };
  let one: Database;
  let two: Database;
  const operation = "add";
  const add = "update account set balance = balance + 1 where id = 1";
  const balance = async (): Promise<number> => {
    const [row] = await one.query("select balance from account where id = 1", []);
    return Number(row?.["balance"]);
  };

  beforeEach(async () => {
    const setUp = openDatabase({ url: nodes[0].url });
    await setUp.execute("create database if not exists shop", []);
    await setUp.execute("create table if not exists shop.account (id int primary key, balance int not null) engine = InnoDB", []);
    await setUp.execute("replace into shop.account values (1, 0)", []);
    await setUp.close();
    one = open(0);
    two = open(1);
    await waitUntil(async () => (await two.query("select 1 from account where id = 1 and balance = 0", []).catch(() => [])).length === 1, {
      what: "the other node has it",
      deadlineMs: 30_000,
    });
    events.length = 0;
  });
  afterAll(async () => {
    await Promise.all(opened.map((database) => database.close({ deadlineMs: 500 })));
    await stop();
  }, 120_000);

  test("a cluster is warned about, with the steps of its ids", async () => {
    const { findings } = await inspectServer(one);
    expect(findings.map(({ level, rule }) => [level, rule])).toEqual(
      expect.arrayContaining([
        ["warned", "wsrep_on"],
        ["warned", "auto_increment_increment"],
      ]),
    );
  });

  test("a unit that loses to a COMMIT of another node is undone as a deadlock and run again, and nothing is added twice", async () => {
    let runs = 0;
    const outcome = await one.unitOfWork(
      async (tx) => {
        runs++;
        await tx.execute(add, []);
        if (runs > 1) return;
        await two.execute(add, []);
        // The other node's write takes this row's lock away as soon as it arrives here.
        await waitUntil(async () => (await balance()) === 1, { what: "the other node's write has arrived", deadlineMs: 30_000 });
      },
      { operation, deadlineMs: 60_000 },
    );
    expect(outcome.kind).toBe("committed");
    expect(runs).toBe(2);
    expect(events).toContainEqual({ name: "sql.unitRepeated", sqlState: "40001", errno: 1213, attempt: 1 });
    expect(await balance()).toBe(2);
  });

  test("units of both nodes that collide all the time add up to what they say", async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        (index % 2 === 0 ? one : two).unitOfWork((tx) => tx.execute(add, []), { operation, deadlineMs: 60_000, repetitionsMax: 1_000 }),
      ),
    );
    expect(outcomes.filter(({ kind }) => kind === "unknown")).toEqual([]);
    const committed = outcomes.filter(({ kind }) => kind === "committed").length;
    expect(committed).toBeGreaterThan(0);
    await waitUntil(async () => (await balance()) === committed, { what: "the first node has all of it", deadlineMs: 30_000 });
    expect(events.some((event) => event.name === "sql.unitRepeated" && event.errno === 1213)).toBe(true);
  });

  test("a node that has lost the others refuses work, and says that this may pass", async () => {
    await nodes[1].kill("SIGKILL");
    const refusal = await waitUntil(
      async () =>
        await one.query("select balance from account", []).then(
          () => null,
          (error: unknown) => error,
        ),
      {
        what: "the node that is left refuses",
        deadlineMs: 60_000,
      },
    );
    expect(isWaybillError(refusal, "WAYBILL_DATABASE") && refusal.facts).toMatchObject({ errno: 1047, isTransient: true });
    const outcome = await one.unitOfWork((tx) => tx.execute(add, []), { operation });
    expect(outcome.kind).toBe("rolledBack");
  }, 120_000);
});
