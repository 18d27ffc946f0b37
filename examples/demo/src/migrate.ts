import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { programOf } from "./program.ts";

const run = promisify(execFile);
const deadlineMs = 30_000;

/** Both migrations of a service's database, as an operator would run them: Waybill's tables, then the service's own. */
export async function migrate(databaseUrl: string, service: "order" | "inventory"): Promise<void> {
  const environment = { PATH: process.env["PATH"] ?? "", WAYBILL_DATABASE: databaseUrl, DATABASE_URL: databaseUrl };
  await run(process.execPath, [programOf("cli"), "migrate", "up"], { env: environment, timeout: deadlineMs });
  await run(process.execPath, [programOf(service, "migrate.js")], { env: environment, timeout: deadlineMs });
}
