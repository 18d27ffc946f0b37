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

/** Where plain SQL ends or has a placeholder: E'…', $1, $$…$$, $tag$…$tag$, '…', "…", -- …, and comments. A `$` inside a name is neither. */
const turn = /(?<![\w$\u0080-\uffff])(?:[eE]'|\$(?:\d+|(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$))|'|"|--|\/\*/g;

/** @throws WAYBILL_VALUE_INVALID if the statement names a value that was not passed, or has a question mark behind a backslash */
export function toQuestionMarks(sql: string, values: readonly SqlValue[]): QuestionMarks {
  if (sql.includes("\\?")) {
    const message = "knex cannot send a question mark that follows a backslash. Pass the text as a value instead.";
    throw waybillError("WAYBILL_VALUE_INVALID", message, { position: 0, found: "\\?" });
  }
  const ordered: SqlValue[] = [];
  const asText = sql.includes("?") ? (text: string) => text.replaceAll("?", "\\?") : (text: string) => text;
  let out = "";
  let from = 0;
  turn.lastIndex = 0;
  for (let found = turn.exec(sql); found !== null; found = turn.exec(sql)) {
    const [mark] = found;
    const place = /^\$(\d+)$/.exec(mark)?.[1];
    if (place === undefined) {
      turn.lastIndex = endOfText(sql, mark, found.index + mark.length);
      continue;
    }
    out += `${asText(sql.slice(from, found.index))}?`;
    from = found.index + mark.length;
    ordered.push(valueAt(values, Number(place)));
  }
  return { sql: out + asText(sql.slice(from)), values: ordered };
}

/**
 * For MySQL, whose own placeholder is the question mark: knex takes every one for a placeholder, also inside a literal or a comment.
 *
 * @throws WAYBILL_VALUE_INVALID unless each stands for one value
 */
export function checkQuestionMarks(sql: string, values: readonly SqlValue[]): void {
  if (sql.split("?").length - 1 === values.length && !sql.includes("??") && !sql.includes("\\?")) return;
  const message = `Each question mark of a statement through knex stands for a value, and ${values.length} values were passed. Pass a text that has one as a value, too.`;
  throw waybillError("WAYBILL_VALUE_INVALID", message, { position: values.length, found: "?" });
}

function valueAt(values: readonly SqlValue[], position: number): SqlValue {
  const value = values[position - 1];
  if (value !== undefined) return value;
  const message = `The statement names $${position}, but ${values.length} values were passed.`;
  throw waybillError("WAYBILL_VALUE_INVALID", message, { position, found: "undefined" });
}

/** Where the text ends that `mark` began. A doubled quote reads as two literals side by side, which is as good. */
function endOfText(sql: string, mark: string, from: number): number {
  switch (mark) {
    case "--":
      return endAfter(sql, "\n", from);
    case "/*":
      return endOfComment(sql, from);
    case "e'":
    case "E'":
      return endOfEscapeString(sql, from);
    default:
      return endAfter(sql, mark, from);
  }
}

function endAfter(sql: string, mark: string, from: number): number {
  const found = sql.indexOf(mark, from);
  return found < 0 ? sql.length : found + mark.length;
}

/** Comments nest in PostgreSQL. */
function endOfComment(sql: string, from: number): number {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = from;
  let depth = 1;
  for (let found = edge.exec(sql); found !== null; found = edge.exec(sql)) {
    depth += found[0] === "/*" ? 1 : -1;
    if (depth === 0) return edge.lastIndex;
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
