import type { Namespace, Statements } from "@waybill/sql";
import { defaultStream, ledgerTables } from "./ledger-tables.ts";
import { listTopics as listOnMysql } from "./mysql/statements/list-topics.ts";
import { listTopics as listOnPostgres } from "./postgres/statements/list-topics.ts";

export interface ListedTopic {
  readonly topic: string;
  /** Messages without a key go there. */
  readonly hasKeyless: boolean;
}

/** Rows looked at, from the newest on. */
const rowsMax = 10_000;
const topicsMax = 1_000;

/**
 * The topics of the newest messages of a ledger, by name: what a relay will meet next. History that was removed is not looked at.
 *
 * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function listTopics(
  statements: Pick<Statements, "query">,
  space: Namespace,
  { stream = defaultStream }: { readonly stream?: string } = {},
): Promise<readonly ListedTopic[]> {
  const { outbox } = ledgerTables(space, stream);
  const list = space.dialect === "postgres" ? listOnPostgres : listOnMysql;
  const rows = await statements.query(list(outbox), [rowsMax, topicsMax]);
  return rows.map((row) => ({ topic: String(row["topic"]), hasKeyless: Number(row["keyless"]) > 0 }));
}
