import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Program, programOf } from "./program.ts";

const run = promisify(execFile);
const deadlineMs = 60_000;

export interface MigrateOptions {
  /** Of Waybill's sets, that which only the half-message service or its producers need. Default: those of outbox and inbox. */
  readonly set?: "half-message" | "barrier";
  /** Whose own tables come after Waybill's. Default: nobody's. */
  readonly service?: Exclude<Program, "cli">;
}

/** The migrations of a database, as an operator would run them: Waybill's tables, then a service's own. */
export async function migrate(databaseUrl: string, { set, service }: MigrateOptions): Promise<void> {
  const environment = { PATH: process.env["PATH"] ?? "", WAYBILL_DATABASE: databaseUrl, DATABASE_URL: databaseUrl };
  const migrateUp = [programOf("cli"), "migrate", "up", ...(set === undefined ? [] : ["--set", set])];
  await run(process.execPath, migrateUp, { env: environment, timeout: deadlineMs });
  if (service !== undefined) await run(process.execPath, [programOf(service, "migrate.js")], { env: environment, timeout: deadlineMs });
}
