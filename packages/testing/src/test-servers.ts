/**
 * The servers of this test run.
 *
 * The PostgreSQL servers are there when the first test file is loaded, listed in the environment. Every other one is started by the
 * run's set-up when somebody first asks, so that a run of unit-like tests starts no broker.
 */
import { askServerDesk, type DeskAnswer, deskAnswer } from "./server-desk.ts";
import { provideServer } from "./servers/provide-server.ts";
import type { ServerKindName } from "./servers/server-kinds.ts";
import { hasTurn } from "./test-turn.ts";

/** A server that tests may use. */
export interface TestServer {
  /** `postgres-embedded`, `postgres-local`, or one of `LazyServerName`. */
  readonly name: string;
  /** Of a superuser; `testDatabase` makes databases on it. A broker's URL has its credentials. */
  readonly url: string;
  readonly version: string;
}

/** A database server, with the dialect that it speaks. */
export interface TestDatabaseServer extends TestServer {
  readonly dialect: "postgres" | "mysql";
}

/** Servers that start when they are asked for. */
export type LazyServerName = "mariadb-local" | "mariadb-11" | "mysql" | "rabbitmq" | "rabbitmq-4" | "kafka";

/** What each of them is. A run does not fail for want of an optional one. */
export const lazyServers: Readonly<Record<LazyServerName, { readonly kind: ServerKindName; readonly isOptional: boolean }>> = {
  "mariadb-local": { kind: "mariadb", isOptional: false },
  "mariadb-11": { kind: "mariadb-11", isOptional: true },
  mysql: { kind: "mysql", isOptional: false },
  rabbitmq: { kind: "rabbitmq", isOptional: false },
  "rabbitmq-4": { kind: "rabbitmq-4", isOptional: true },
  kafka: { kind: "kafka", isOptional: false },
};

/** Where the set-up puts the list, as JSON. */
export const testServersVariable = "WAYBILL_TEST_SERVERS";
/** Where the set-up can be asked for the others. */
export const serverDeskVariable = "WAYBILL_TEST_SERVER_DESK";

/** A first start may download 60 MB. */
const askDeadlineMs = 600_000;

/** All PostgreSQL servers of this run. Empty if the run was set up without any, or not set up. */
export function testServers(): readonly TestServer[] {
  const listed = process.env[testServersVariable];
  return listed === undefined || listed === "" ? [] : (JSON.parse(listed) as TestServer[]);
}

/**
 * Calls `define` for every PostgreSQL of this run, so that a suite runs on each of them:
 * `forEachPostgres((server) => describe(server.name, () => …))`. With a number in `WAYBILL_TEST_TURN` on one of them (`hasTurn`).
 *
 * Throws if there is none: a suite that quietly runs nowhere looks green.
 */
export function forEachPostgres(define: (server: TestDatabaseServer) => void): void {
  const servers = postgresServers();
  const itsTurn = servers.filter((_, place) => hasTurn("postgres", place, servers.length));
  for (const server of itsTurn) define(server);
}

function postgresServers(): readonly TestDatabaseServer[] {
  const servers = testServers();
  if (servers.length === 0) throw new Error(`No PostgreSQL to test on: ${testServersVariable} lists none.`);
  return servers.map((server) => ({ ...server, dialect: "postgres" }));
}

/**
 * Calls `define` for every MariaDB and MySQL of this run, starting them if nobody has: `await forEachMysql((server) => …)` at the top
 * of a test file. What cannot be had is left out, and the run says so; with `CI=true` it rejects. With `WAYBILL_TEST_ALL=1` there is
 * `mariadb-11`, too. With a number in `WAYBILL_TEST_TURN` one of the two (`hasTurn`): a suite then takes two thirds of the time.
 */
export async function forEachMysql(define: (server: TestDatabaseServer) => void): Promise<void> {
  const both: readonly LazyServerName[] = ["mariadb-local", "mysql"];
  const names = both.filter((_, place) => hasTurn("mysql", place, both.length));
  if (process.env.WAYBILL_TEST_ALL === "1") names.push("mariadb-11");
  for (const server of await Promise.all(names.map((name) => testServer(name)))) {
    if (server !== null) define({ ...server, dialect: "mysql" });
  }
}

/**
 * Calls `define` for one server of each kind – a PostgreSQL, a MariaDB and a MySQL – for suites that every database must pass. With
 * `WAYBILL_TEST_ALL=1` for all versions of them that the run has.
 */
export async function forEachDatabase(define: (server: TestDatabaseServer) => void): Promise<void> {
  const postgres = postgresServers();
  for (const server of process.env.WAYBILL_TEST_ALL === "1" ? postgres : postgres.slice(0, 1)) define(server);
  await forEachMysql(define);
}

/**
 * `forEachDatabase` for what is nearly the same on all of them, such as a command line: with a number in `WAYBILL_TEST_TURN` it is defined
 * for one of the three (`hasTurn(group, …)`), and the others are not even started.
 */
export async function forEachDatabaseInTurn(group: string, define: (server: TestDatabaseServer) => void): Promise<void> {
  const [postgres] = postgresServers();
  if (postgres !== undefined && hasTurn(group, 0, 3)) define(postgres);
  const others: readonly LazyServerName[] = ["mariadb-local", "mysql"];
  const names = others.filter((_, place) => hasTurn(group, place + 1, 3));
  for (const server of await Promise.all(names.map((name) => testServer(name)))) {
    if (server !== null) define({ ...server, dialect: "mysql" });
  }
}

/**
 * A server of this run by its name, started if nobody has asked before. Null if it cannot be had; the run then says why. Rejects
 * if it must be had (`CI=true`), or if what somebody named in the environment does not answer.
 *
 * Where no set-up runs, it is one that is there already: by URL from the environment, or at its standard port.
 */
export async function testServer(name: LazyServerName): Promise<TestServer | null> {
  const answer = await askFor(name);
  if (answer.kind === "failed") throw new Error(answer.message);
  return answer.kind === "used" ? { name, url: answer.url, version: answer.version } : null;
}

/**
 * A broker of this run, as `testServer`; one that must be had and cannot rejects with what to do, an optional one is null. Topics,
 * exchanges and queues in it are the test's own: name them with `testName`.
 */
export async function testBroker(name: "rabbitmq" | "kafka"): Promise<TestServer>;
export async function testBroker(name: "rabbitmq-4"): Promise<TestServer | null>;
export async function testBroker(name: "rabbitmq" | "rabbitmq-4" | "kafka"): Promise<TestServer | null> {
  const answer = await askFor(name);
  if (answer.kind === "used") return { name, url: answer.url, version: answer.version };
  if (answer.kind === "skipped" && lazyServers[name].isOptional) return null;
  throw new Error(answer.kind === "failed" ? answer.message : `No ${name} to test on. ${answer.reason}`);
}

/**
 * Calls `define` for every RabbitMQ of this run – the usual one, and a version 4 – as `forEachMysql` does. If version 4 has its turn and
 * cannot be had, the usual one takes it.
 */
export async function forEachRabbitmq(define: (server: TestServer) => void): Promise<void> {
  const names = (["rabbitmq", "rabbitmq-4"] as const).filter((_, place, both) => hasTurn("rabbitmq", place, both.length));
  const servers = (await Promise.all(names.map((name) => testServer(name)))).filter((server) => server !== null);
  for (const server of servers.length === 0 ? [await testBroker("rabbitmq")] : servers) define(server);
}

async function askFor(name: LazyServerName): Promise<DeskAnswer> {
  const desk = process.env[serverDeskVariable];
  if (desk !== undefined && desk !== "") return askServerDesk(desk, name, askDeadlineMs);
  const { kind } = lazyServers[name];
  const provided = await provideServer({ kind, name, providers: ["environment", "standardPort"] });
  return deskAnswer(provided, { isOptional: lazyServers[name].isOptional, isCi: false });
}
