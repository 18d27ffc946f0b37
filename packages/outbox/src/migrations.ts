import type { MigrationSet } from "@waybill/sql";

/** The tables of the outbox: the ledger, its stream row, and the message ids that callers chose. */
export const outboxMigrations: MigrationSet = { name: "outbox", directory: new URL("../sql/", import.meta.url) };
