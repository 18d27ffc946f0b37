import type { OwnedValue, StatementOptions, TextRow } from "../database.ts";
import { checkOwnedValues } from "../sql-value.ts";
import type { Row } from "../tx.ts";
import type { DriverAnswer } from "./driver.ts";
import { rawTypes } from "./owned-types.ts";
import type { Session } from "./session.ts";

/** One statement outside a transaction, on a session that nobody else uses meanwhile. */
export async function runStatement(
  session: Session,
  sql: string,
  values: readonly OwnedValue[],
  options: StatementOptions,
  deadlineMs: number,
): Promise<readonly Row[]> {
  return (await answerTo(session, sql, values, options, deadlineMs)).rows as readonly Row[];
}

/** As `runStatement`, for a statement that writes: answers how many rows. */
export async function executeStatement(
  session: Session,
  sql: string,
  values: readonly OwnedValue[],
  options: StatementOptions,
  deadlineMs: number,
): Promise<number> {
  return (await answerTo(session, sql, values, options, deadlineMs)).rowCount ?? 0;
}

async function answerTo(
  session: Session,
  sql: string,
  values: readonly OwnedValue[],
  options: StatementOptions,
  deadlineMs: number,
): Promise<DriverAnswer> {
  checkOwnedValues(values);
  if (options.deadlineMs !== undefined) await session.allow(options.deadlineMs, deadlineMs);
  const query = { text: sql, values: [...values], types: session.types, ...nameFor(session, sql, options) };
  return session.run(options.name ?? "statement", query, deadlineMs);
}

/** As `runStatement`; the rows come as the text on the wire. */
export async function runTextStatement(
  session: Session,
  sql: string,
  values: readonly OwnedValue[],
  options: StatementOptions,
  deadlineMs: number,
): Promise<readonly TextRow[]> {
  checkOwnedValues(values);
  if (options.deadlineMs !== undefined) await session.allow(options.deadlineMs, deadlineMs);
  const query = { text: sql, values: [...values], types: rawTypes, rowMode: "array" as const, ...nameFor(session, sql, options) };
  const answer = await session.run(options.name ?? "statement", query, deadlineMs);
  return answer.rows as readonly TextRow[];
}

/** The name a statement is prepared under, as the driver takes it; nothing where it is not to be prepared. */
export function nameFor(session: Session, text: string, { name }: StatementOptions): { readonly name?: string } {
  const prepared = name === undefined ? null : session.preparedName(name, text);
  return prepared === null ? {} : { name: prepared };
}
