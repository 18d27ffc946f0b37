/** The servers of this test run, as the run's set-up wrote them into the environment. */

/** A server that tests may use. */
export interface TestServer {
  /** `postgres-embedded`, `postgres-local`. */
  readonly name: string;
  /** Of a superuser; `testDatabase` makes databases on it. */
  readonly url: string;
  readonly version: string;
}

/** Where the set-up puts the list, as JSON. */
export const testServersVariable = "WAYBILL_TEST_SERVERS";

/** All PostgreSQL servers of this run. Empty if the run was set up without any, or not set up. */
export function testServers(): readonly TestServer[] {
  const listed = process.env[testServersVariable];
  return listed === undefined || listed === "" ? [] : (JSON.parse(listed) as TestServer[]);
}

/**
 * Calls `define` for every PostgreSQL of this run, so that a suite runs on each of them:
 * `forEachPostgres((server) => describe(server.name, () => …))`.
 *
 * Throws if there is none: a suite that quietly runs nowhere looks green.
 */
export function forEachPostgres(define: (server: TestServer) => void): void {
  const servers = testServers();
  if (servers.length === 0) throw new Error(`No PostgreSQL to test on: ${testServersVariable} lists none.`);
  for (const server of servers) define(server);
}
