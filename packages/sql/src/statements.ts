import type { OwnedValue, ReadOptions, StatementOptions, TextRow } from "./database.ts";
import type { RowReader } from "./row-fields.ts";
import type { Answer, Session } from "./session.ts";
import { checkOwnedValues } from "./sql-value.ts";
import type { Row } from "./tx.ts";

/** One statement outside a transaction, on a session that nobody else uses meanwhile. */
export async function runStatement(
  session: Session,
  sql: string,
  values: readonly OwnedValue[],
  options: StatementOptions,
  deadlineMs: number,
): Promise<readonly Row[]> {
  return (await answerTo(session, "named", sql, values, options, deadlineMs)).rows as readonly Row[];
}

/** As `runStatement`, for a statement that writes: answers how many rows. */
export async function executeStatement(
  session: Session,
  sql: string,
  values: readonly OwnedValue[],
  options: StatementOptions,
  deadlineMs: number,
): Promise<number> {
  return (await answerTo(session, "named", sql, values, options, deadlineMs)).rowCount;
}

/** As `runStatement`; the rows come as the text on the wire. */
export async function runTextStatement(
  session: Session,
  sql: string,
  values: readonly OwnedValue[],
  options: StatementOptions,
  deadlineMs: number,
): Promise<readonly TextRow[]> {
  return (await answerTo(session, "text", sql, values, options, deadlineMs)).rows as readonly TextRow[];
}

/** As `runStatement`; the rows are what `read` makes of them. */
export async function readStatement<T>(
  session: Session,
  sql: string,
  values: readonly OwnedValue[],
  read: RowReader<T>,
  options: ReadOptions,
  deadlineMs: number,
): Promise<readonly T[]> {
  return (await answerTo(session, read, sql, values, options, deadlineMs)).rows as readonly T[];
}

async function answerTo(
  session: Session,
  rows: "named" | "text" | RowReader<unknown>,
  sql: string,
  values: readonly OwnedValue[],
  { name, deadlineMs: ownMs, isBinary = false }: ReadOptions,
  deadlineMs: number,
): Promise<Answer> {
  checkOwnedValues(session.dialect, values);
  if (ownMs !== undefined) await session.allow(ownMs, deadlineMs);
  return session.run(name ?? "statement", { sql, values, rows, name, isBinary }, deadlineMs);
}
