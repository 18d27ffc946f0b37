import type { Identifier } from "../../identifier.ts";

/** The table of applied migrations. Made by the runner itself, under its lock: it cannot be in a migration. No rows. */
export const createMigrationTable = (migrations: Identifier): string => `
  create table if not exists ${migrations} (
    set_name   varchar(64) character set ascii collate ascii_bin not null,
    number     int not null,
    name       varchar(255) character set ascii collate ascii_bin not null,
    checksum   char(64) character set ascii collate ascii_bin not null,
    applied_at datetime(6) not null default (utc_timestamp(6)),
    primary key (set_name, number)
  ) engine = InnoDB`;
