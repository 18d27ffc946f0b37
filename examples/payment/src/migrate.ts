/**
 * `node dist/migrate.js`: this service's own tables, by the runner that also installs Waybill's. Run `waybill migrate up --set barrier`
 * beside it for those. Any migration tool will do as well: the files in `sql/` are plain SQL.
 */
import { isWaybillError } from "@waybill/core";
import { migrateUp, namespace, openDatabase } from "@waybill/sql";
import { readDatabaseUrl } from "./configuration.ts";
import { paymentMigrations } from "./migrations.ts";

async function main(): Promise<void> {
  const database = openDatabase({ url: readDatabaseUrl(process.env), connections: 1 });
  try {
    const applied = await migrateUp(database, namespace(database.dialect), [paymentMigrations]);
    process.stdout.write(applied.length === 0 ? "Nothing to do.\n" : applied.map(({ name }) => `Applied ${name}.\n`).join(""));
  } finally {
    await database.close();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${isWaybillError(error) ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
