/**
 * Many half messages that nobody decided, all to be asked for at once, and one producer of them dead: what the others wait, whom the calls go to, and that a check
 * writes nothing into the table of bodies. One in ten is pending when it is first asked for. What is committed is delivered meanwhile.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { systemClock, wait } from "@waybill/core";
import { type Checker, createChecker } from "@waybill/half-message";
import { type Database, openDatabase } from "@waybill/sql";
import { type BenchmarkResult, type Child, limitResult, startChild } from "@waybill/testing";
import { fill } from "./fill.ts";
import type { OwnDatabase, Place } from "./place.ts";

const checkSecret = `whsec_${Buffer.from("bench-bench-bench-bench-bench-bench-").toString("base64")}`;
/** The target, and beyond it how long we wait at all. */
const [secondsMax, givenUpMs] = [60, 300_000];

interface Round {
  readonly seconds: number;
  readonly calls: number;
  readonly toDead: number;
  readonly updatedBodies: number;
  readonly grownBytes: number;
}

/** Answers for every producer but the dead one. */
async function startCheckers(producers: number): Promise<{ readonly server: Server; readonly port: number; readonly deadPort: number }> {
  const checkers = new Map<string, Checker>(
    Array.from({ length: producers }, (_, n) => {
      const producer = `producer-${n}`;
      return [
        `/${producer}`,
        createChecker({
          producer,
          secret: checkSecret,
          decide: async ({ id, checkNumber }) => ({ decision: checkNumber === 1 && id.endsWith("7") ? "pending" : "committed" }),
        }),
      ] as const;
    }),
  );
  const server = createServer((request, response) => {
    const checker = checkers.get(request.url ?? "");
    if (checker === undefined) response.writeHead(404).end();
    else checker.handle(request, response).catch(() => response.destroy());
  });
  return { server, port: await listening(server), deadPort: await freePort() };
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Counts each row of the table of bodies that is updated from now on. */
async function countUpdates(database: Database): Promise<void> {
  await database.execute("create table bench_body_update (at_seconds integer)", []);
  if (database.dialect === "mysql") {
    const each = "create trigger bench_count after update on waybill_half_message_body for each row";
    return void (await database.execute(`${each} insert into bench_body_update values (0)`, []));
  }
  const work = "begin insert into bench_body_update values (0); return null; end";
  await database.execute(`create function bench_count() returns trigger language plpgsql as $$ ${work} $$`, []);
  await database.execute(
    "create trigger bench_count after update on waybill_half_message_body for each row execute function bench_count()",
    [],
  );
}

async function numberOf(database: Database, sql: string): Promise<number> {
  const [row] = await database.query(sql, [], { deadlineMs: 60_000 });
  return Number(row?.["n"]);
}

/** Of the table of bodies with its index, as they lie on disk; not of the maps of free space that the server draws of them. */
async function bytesOfBodies(database: Database): Promise<number> {
  const name = "waybill_half_message_body";
  if (database.dialect === "postgres") return numberOf(database, `select pg_relation_size('${name}') + pg_indexes_size('${name}') as n`);
  const [view] = await database.query(
    "select table_name as name from information_schema.tables where table_schema = 'information_schema' and table_name in ('INNODB_TABLESPACES', 'INNODB_SYS_TABLESPACES')",
    [],
  );
  return numberOf(
    database,
    `select file_size as n from information_schema.${String(view?.["name"])} where name = concat(database(), '/${name}')`,
  );
}

async function askedOf(child: Child): Promise<{ readonly calls: number; readonly toDead: number }> {
  const from = child.events.length;
  child.tell("calls");
  const told = await child.waitFor(({ name }) => name === "calls", { from, deadlineMs: 60_000, what: "its calls" });
  return { calls: Number(told["calls"]), toDead: Number(told["toDead"]) };
}

async function measureOnce(own: OwnDatabase, producers: number, each: number, checkBatch: number): Promise<Round> {
  const database = openDatabase({ url: own.url, connections: 1 });
  const { server, port, deadPort } = await startCheckers(producers);
  let child: Child | null = null;
  try {
    await fill(database, { producers, each, state: "due", hasBodies: true });
    await countUpdates(database);
    const bytesBefore = await bytesOfBodies(database);
    const program = fileURLToPath(new URL("./undecided.child.js", import.meta.url));
    child = await startChild(program, { args: [JSON.stringify({ url: own.url, producers, port, deadPort, checkSecret, checkBatch })] });
    const fromMs = systemClock.monotonicMs();
    const left = "select count(*) as n from waybill_half_message where check_at is not null and producer <> 'producer-0'";
    while ((await numberOf(database, left)) > 0) {
      if (systemClock.monotonicMs() - fromMs > givenUpMs) throw new Error(`Not all were decided within ${givenUpMs / 1_000} s.`);
      await wait(systemClock, 200);
    }
    const seconds = (systemClock.monotonicMs() - fromMs) / 1_000;
    const calls = await askedOf(child);
    const updatedBodies = await numberOf(database, "select count(*) as n from bench_body_update");
    return { seconds, ...calls, updatedBodies, grownBytes: (await bytesOfBodies(database)) - bytesBefore };
  } finally {
    child?.tell("stop");
    await child?.exited;
    await new Promise((resolve) => server.close(resolve));
    await database.close();
  }
}

export async function measureUndecided(place: Place): Promise<readonly BenchmarkResult[]> {
  const [producers, each, checkBatch] = place.isSmoke ? [20, 50, 5] : [100, 1_000, 50];
  const rounds: Round[] = [];
  while (rounds.length < place.rounds) {
    const own = await place.openDatabase();
    try {
      const round = await measureOnce(own, producers, each, checkBatch);
      rounds.push(round);
      const { seconds, calls, toDead, updatedBodies, grownBytes } = round;
      const bodies = `${updatedBodies} bodies updated, grown by ${grownBytes} bytes`;
      place.say(`half-undecided/${place.name}: ${seconds.toFixed(1)} s, ${toDead} of ${calls} calls to the dead one, ${bodies}`);
    } finally {
      await own.drop();
    }
  }
  const last = rounds.at(-1) as Round;
  const resultOf = (what: string, ratioOf: (round: Round) => number, limit: number): BenchmarkResult =>
    limitResult(`half-undecided/${place.name}-${what}`, rounds.map(ratioOf), limit);
  return [
    { ...resultOf("seconds", ({ seconds }) => seconds, secondsMax), figures: { undecided: producers * each } },
    { ...resultOf("dead-calls", ({ calls, toDead }) => toDead / calls, 0.05), figures: { calls: last.calls, toDead: last.toDead } },
    resultOf("body-rows-updated", ({ updatedBodies }) => updatedBodies, 0),
    resultOf("body-bytes-grown", ({ grownBytes }) => grownBytes, 0),
  ];
}
