import type { TableCopies } from "./table-copies.ts";

/**
 * A package's migrations: numbered, plain `.sql` files (`NNN_intent.sql`) in a folder per dialect, shipped with the package and
 * runnable with psql or mysql. Never edited after release: an applied migration is remembered with the checksum of its file.
 */
export interface MigrationSet {
  /** `sql`, `outbox`, `relay`, … */
  readonly name: string;
  /** The folder that holds `postgres/` and `mysql/`. */
  readonly directory: URL;
  /** Given: some of its tables may exist several times. See `table-copies.ts`. */
  readonly copies?: TableCopies;
}
