import { type Database, type Dialect, type MigrationSet, migrateUp, migrationSql, migrationStatus, type Namespace } from "@waybill/sql";
import type { CommandDefinition } from "../command.ts";
import type { Configuration } from "../configuration.ts";
import { exitCodes } from "../exit-codes.ts";
import { database, dialect, json, prefix, schema, sets } from "../settings.ts";
import { migrationSets, namedSets, placeOf, spaceOf } from "../tables.ts";
import { printJson, printProgress, printResult, printTable } from "../terminal.ts";

const placeSettings = [sets, schema, prefix] as const;

export const migrateUpCommand: CommandDefinition = {
  path: ["migrate", "up"],
  description: "Install or update the tables. Safe to run from many places at once, and again at any time",
  settings: [database, ...placeSettings],
  async run(configuration) {
    const { opened, space, chosen } = partsOf(configuration);
    try {
      const applied = await migrateUp(opened, space, chosen, {
        onProgress: ({ kind, set, name, isBreaking }) => {
          if (kind === "applying") printProgress(`applying ${set} ${name}${isBreaking ? " (breaking)" : ""}`);
        },
      });
      if (configuration.get(json)) printJson({ applied: applied.map(({ set, number, name }) => ({ set, number, name })) });
      else printResult(applied.length === 0 ? "Nothing to do: the tables are up to date." : `${applied.length} migrations applied.`);
      return exitCodes.done;
    } finally {
      await opened.close();
    }
  },
};

export const migrateStatus: CommandDefinition = {
  path: ["migrate", "status"],
  description: "Show which migrations are applied. Ends with 3 unless all are, unchanged, and no others",
  settings: [database, ...placeSettings],
  async run(configuration) {
    const { opened, space, chosen } = partsOf(configuration);
    try {
      const states = await migrationStatus(opened, space, chosen);
      if (configuration.get(json)) printJson({ migrations: states });
      else
        printTable(
          ["SET", "MIGRATION", "STATE", "APPLIED AT"],
          states.map(({ set, name, state, appliedAt }) => [set, name, state, appliedAt ?? "-"]),
        );
      return states.every(({ state }) => state === "applied") ? exitCodes.done : exitCodes.schema;
    } finally {
      await opened.close();
    }
  },
};

export const migrateSql: CommandDefinition = {
  path: ["migrate", "sql"],
  description: "Print the migrations as SQL, for an empty database and another tool",
  settings: [database, dialect, ...placeSettings],
  async run(configuration) {
    const { space, chosen } = configuration.checked({
      space: spaceOf(configuration, dialectOf(configuration)),
      chosen: chosenSets(configuration),
    });
    const sql = await migrationSql(space, chosen);
    if (configuration.get(json)) printJson({ sql });
    else printResult(sql);
    return exitCodes.done;
  },
};

/** The database is not asked for anything: its URL tells whose SQL it speaks. */
function dialectOf(configuration: Configuration): Dialect {
  const wanted = configuration.get(dialect);
  if (configuration.get(database) === null) return wanted ?? "postgres";
  const found = placeOf(configuration).opened?.dialect ?? "postgres";
  if (wanted !== null && wanted !== found) configuration.complain(dialect.name, `is not what the database speaks: ${found}`);
  return found;
}

interface Parts {
  readonly opened: Database;
  readonly space: Namespace;
  readonly chosen: readonly MigrationSet[];
}

function partsOf(configuration: Configuration): Parts {
  return configuration.checked({ ...placeOf(configuration), chosen: chosenSets(configuration) });
}

function chosenSets(configuration: Configuration): readonly MigrationSet[] {
  const names = configuration.get(sets);
  if (names === null) return migrationSets;
  const known = [...migrationSets, ...namedSets];
  return names.flatMap((name) => {
    const found = known.find((set) => set.name === name);
    if (found === undefined) configuration.complain(sets.name, `must be among ${known.map((set) => set.name).join(", ")}`);
    return found ?? [];
  });
}
