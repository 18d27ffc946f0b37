// Real servers
export { freePort } from "./servers/free-port.ts";
export type { StartPostgresOptions } from "./servers/postgres.ts";
export { startPostgres } from "./servers/postgres.ts";
export type { StartedServer } from "./servers/started-server.ts";
