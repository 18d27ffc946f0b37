import type { MigrationSet } from "@waybill/sql";
import { defaultStream } from "./ledger-tables.ts";

/**
 * The tables of the outbox: the ledger, its delayed messages, the message ids that callers chose, and the row of its stream. Each further stream
 * has a copy of those (`createStream`); a migration is applied to all of them.
 */
export const outboxMigrations: MigrationSet = {
  name: "outbox",
  directory: new URL("../sql/", import.meta.url),
  copies: { tables: "outbox", listedIn: "stream", original: defaultStream },
};
