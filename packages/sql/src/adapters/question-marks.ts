/**
 * From PostgreSQL's own placeholders to knex's: `$n` becomes `?`, values are repeated in textual order, and a `?` that means itself
 * is escaped.
 *
 * `$n` is a placeholder only in plain SQL; inside a literal, a quoted name, a dollar quote or a comment it is text. A `?` is escaped
 * wherever it stands, for knex looks into literals and comments, too. It counts the backslashes before a mark, and an even
 * number does not escape: a mark that already follows a backslash cannot be said through knex, and such a statement is refused.
 */
import { waybillError } from "@waybill/core";
import type { SqlValue } from "../tx.ts";

export interface QuestionMarks {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

const wordPattern = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;
const placePattern = /\$(\d+)/y;
const dollarPattern = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;

/** @throws WAYBILL_VALUE_INVALID if the statement names a value that was not passed */
export function toQuestionMarks(sql: string, values: readonly SqlValue[]): QuestionMarks {
  if (sql.includes("\\?")) {
    const message = "knex cannot send a question mark that follows a backslash. Pass the text as a value instead.";
    throw waybillError("WAYBILL_VALUE_INVALID", message, { position: 0, found: "\\?" });
  }
  const ordered: SqlValue[] = [];
  let out = "";
  let at = 0;
  while (at < sql.length) {
    const place = matchAt(placePattern, sql, at);
    if (place !== null) {
      const position = Number(place.slice(1));
      const value = values[position - 1];
      if (value === undefined) {
        const message = `The statement names $${position}, but ${values.length} values were passed.`;
        throw waybillError("WAYBILL_VALUE_INVALID", message, { position, found: "undefined" });
      }
      ordered.push(value);
      out += "?";
      at += place.length;
      continue;
    }
    const end = endOfText(sql, at);
    out += sql.slice(at, end).replaceAll("?", "\\?");
    at = end;
  }
  return { sql: out, values: ordered };
}

/** Where the piece that begins at `at` ends: a whole literal, name, comment or word, else one character. */
function endOfText(sql: string, at: number): number {
  const two = sql.slice(at, at + 2);
  if (two === "--") return endAfter(sql, "\n", at + 2);
  if (two === "/*") return endOfComment(sql, at);
  if (sql[at] === '"') return endAfter(sql, '"', at + 1); // A doubled quote reads as two names side by side, which is as good.
  if (sql[at] === "'") return endAfter(sql, "'", at + 1);
  if (/^[eE]'/.test(two)) return endOfEscapeString(sql, at + 2);
  const tag = matchAt(dollarPattern, sql, at);
  if (tag !== null) return endAfter(sql, tag, at + tag.length);
  const word = matchAt(wordPattern, sql, at);
  return at + (word?.length ?? 1);
}

function endAfter(sql: string, mark: string, from: number): number {
  const found = sql.indexOf(mark, from);
  return found < 0 ? sql.length : found + mark.length;
}

/** Comments nest in PostgreSQL. */
function endOfComment(sql: string, from: number): number {
  let depth = 0;
  for (let at = from; at < sql.length; at++) {
    const two = sql.slice(at, at + 2);
    if (two === "/*") depth++;
    else if (two === "*/" && --depth === 0) return at + 2;
    else continue;
    at++;
  }
  return sql.length;
}

/** In E'…' a backslash takes the next character's meaning away. */
function endOfEscapeString(sql: string, from: number): number {
  for (let at = from; at < sql.length; at++) {
    if (sql[at] === "\\") at++;
    else if (sql[at] === "'") return at + 1;
  }
  return sql.length;
}

function matchAt(pattern: RegExp, sql: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(sql)?.[0] ?? null;
}
