/**
 * Tables that exist several times in one database: a set's migrations make the original, and every copy has what they say of it, in names of its own.
 *
 *     create table waybill_outbox (…)                    ─▶  create table waybill_x_outbox (…)
 *     insert into waybill_stream … ('default', 'waybill_outbox') ─▶  … ('x', 'waybill_x_outbox')
 *     create table waybill_stream (…)                    ─▶  nothing: it is there once for all
 *
 * So there is no second definition of a table. A later migration is applied to the original and to every copy that is listed, in one go: they
 * have the same schema version at any time, and a copy that is made afterwards is made from all the files. Making a copy and migrating keep out of
 * each other's way by the installers' lock.
 *
 * What a migration of such a set may rely on: a statement that names a copied table is repeated for each copy, with the table's and the
 * original's name replaced – and nothing else is. Statements end as `split-statements.ts` says, on PostgreSQL, too. The row that lists the copy
 * is written by an INSERT among them.
 */
import type { Statements } from "./database.ts";
import { type Namespace, tableOf } from "./identifier.ts";
import { inNamespace, type MigrationFile } from "./migration-file.ts";
import { splitStatements } from "./split-statements.ts";

export interface TableCopies {
  /** How the names of the copied tables begin, without prefix: `outbox`. Copy x has `x_outbox` in its place. */
  readonly tables: string;
  /** The table that lists the copies, in its column `name`, without prefix: `stream`. */
  readonly listedIn: string;
  /** The one that the files themselves make: `default`. */
  readonly original: string;
}

/** What a migration says of copy `name`, in order; no statement where it says nothing of the copied tables. */
export function statementsOfCopy(space: Namespace, { text, copies }: MigrationFile, name: string): readonly string[] {
  if (copies === null) return [];
  return splitStatements(text).flatMap((statement) => {
    const copied = renamed(statement, copies, name);
    return copied === statement ? [] : [inNamespace(space, copied)];
  });
}

/** The rights that these migrations ask for on a copy's tables, as the `grant` statements in their comments say. */
export function grantsOfCopy(space: Namespace, { text, copies }: MigrationFile, name: string): readonly string[] {
  if (copies === null) return [];
  return text.split("\n").flatMap((line) => {
    const grant = /^--\s+(grant .*;)$/.exec(line)?.[1];
    const copied = grant === undefined ? undefined : renamed(grant, copies, name);
    return copied === undefined || copied === grant ? [] : [inNamespace(space, copied)];
  });
}

/** The copies that are there, by name. */
export async function listCopies(
  statements: Pick<Statements, "query">,
  space: Namespace,
  { listedIn, original }: TableCopies,
): Promise<readonly string[]> {
  const rows = await statements.query(`select name from ${tableOf(space, listedIn)} order by name`, []);
  return rows.map((row) => String(row["name"])).filter((name) => name !== original);
}

/** The text in the names of a copy, and as it was where it names no copied table. */
function renamed(text: string, { tables, original }: TableCopies, name: string): string {
  const inNames = text.replace(new RegExp(`\\bwaybill_${tables}(?![a-z0-9])`, "g"), `waybill_${name}_${tables}`);
  return inNames === text ? text : inNames.replaceAll(`'${original}'`, `'${name}'`);
}
