/** The database and the place of its tables, as most commands want them. */
import { deadLetterMigrations } from "@waybill/dead-letter";
import { barrierMigrations, halfMessageMigrations } from "@waybill/half-message";
import { inboxMigrations } from "@waybill/inbox";
import { outboxMigrations } from "@waybill/outbox";
import { relayMigrations } from "@waybill/relay";
import {
  type Database,
  type DatabaseOptions,
  type Dialect,
  type MigrationSet,
  type Namespace,
  namespace,
  openDatabase,
  sqlMigrations,
} from "@waybill/sql";
import type { Configuration } from "./configuration.ts";
import { database, prefix, schema } from "./settings.ts";

/** The sets, in the order in which they are installed. */
export const migrationSets: readonly MigrationSet[] = [
  sqlMigrations,
  outboxMigrations,
  relayMigrations,
  deadLetterMigrations,
  inboxMigrations,
];

/**
 * Sets for databases of their own, installed when they are named: the service's tables, and those that each of its producers keeps beside its
 * business tables.
 */
export const namedSets: readonly MigrationSet[] = [halfMessageMigrations, barrierMigrations];

/** Opens nothing yet: the first statement does. What is wrong is among the configuration's problems. */
function databaseOf(configuration: Configuration, more: Omit<DatabaseOptions, "url"> = {}): Database | null {
  const url = configuration.get(database);
  if (url === null) {
    configuration.complain(
      database.name,
      "is needed: postgres://user:password@host:5432/database or mysql://user:password@host:3306/database",
    );
    return null;
  }
  return configuration.make(() => openDatabase({ url, applicationName: "waybill", ...more }));
}

/** A database and the place of its tables; each null if something is wrong with it. */
export function placeOf(
  configuration: Configuration,
  more: Omit<DatabaseOptions, "url"> = {},
): { readonly opened: Database | null; readonly space: Namespace | null } {
  const opened = databaseOf(configuration, more);
  return { opened, space: spaceOf(configuration, opened?.dialect ?? null) };
}

/** Where the tables lie. The names are checked, too, where there is no database to say whose they are. */
export function spaceOf(configuration: Configuration, dialect: Dialect | null): Namespace | null {
  const [inSchema, withPrefix] = [configuration.get(schema) ?? undefined, configuration.get(prefix) ?? undefined];
  return configuration.make(() => namespace(dialect ?? "postgres", { schema: inSchema, prefix: withPrefix }));
}
