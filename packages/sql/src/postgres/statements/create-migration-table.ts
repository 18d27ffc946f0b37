import type { Identifier } from "../../identifier.ts";

/** The table of applied migrations. Made by the runner itself, under its lock: it cannot be in a migration. No rows. */
export const createMigrationTable = (migrations: Identifier): string => `
  create table if not exists ${migrations} (
    set_name   text not null,
    number     integer not null,
    name       text not null,
    checksum   text not null,
    applied_at timestamptz not null default clock_timestamp(),
    primary key (set_name, number)
  )`;
