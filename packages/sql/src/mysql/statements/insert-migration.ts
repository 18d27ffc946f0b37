import type { Identifier } from "../../identifier.ts";

/** Remembers migration ?2 of set ?1, named ?3, whose file has the checksum ?4. No rows. A repeat is an error: the lock was not held. */
export const insertMigration = (migrations: Identifier): string => `
  insert into ${migrations} (set_name, number, name, checksum) values (?, ?, ?, ?)`;
