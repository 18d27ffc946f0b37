import type { Statements } from "./database.ts";
import type { Namespace } from "./identifier.ts";
import { readMigrationFiles } from "./migration-file.ts";
import type { MigrationSet } from "./migration-set.ts";
import { migratorOf } from "./migrator.ts";

export interface MigrationState {
  readonly set: string;
  readonly number: number;
  readonly name: string;
  readonly isBreaking: boolean;
  /** `changed`: applied from another file. `newer`: applied by a later version; we have no file. */
  readonly state: "applied" | "pending" | "changed" | "newer";
  /** By the database's clock; null while pending. */
  readonly appliedAt: string | null;
}

/**
 * What is applied and what is not, set by set, ascending. Changes nothing, and judges nothing.
 *
 * @throws WAYBILL_CONFIG_INVALID, WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function migrationStatus(
  database: Pick<Statements, "query">,
  space: Namespace,
  sets: readonly MigrationSet[],
): Promise<readonly MigrationState[]> {
  const names = sets.map(({ name }) => name);
  const applied = await migratorOf(space.dialect).readApplied(database, space, names);
  const states: MigrationState[] = [];
  for (const set of sets) {
    const files = await readMigrationFiles(space.dialect, set);
    const ofSet = applied.filter((migration) => migration.set === set.name);
    for (const { number, name, isBreaking, checksum } of files) {
      const found = ofSet.find((migration) => migration.number === number);
      const state = found === undefined ? "pending" : found.checksum === checksum ? "applied" : "changed";
      states.push({ set: set.name, number, name, isBreaking, state, appliedAt: found?.appliedAt ?? null });
    }
    for (const { number, name, appliedAt } of ofSet.filter((migration) => migration.number > files.length)) {
      states.push({ set: set.name, number, name, isBreaking: false, state: "newer", appliedAt });
    }
  }
  return states;
}
