/** What a command says: results on stdout, everything else on stderr. */
import { AssertionError } from "node:assert";
import { createInterface } from "node:readline/promises";
import { isWaybillError } from "@waybill/core";

export function printResult(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

/** One line, bigints as text. */
export function printJson(value: unknown): void {
  printResult(toJson(value));
}

export function printProgress(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part));
}

/** Columns as wide as their widest cell, at most as many lines as rows. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of [header, ...rows]) {
    printResult(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
}

/** Control characters of what comes from a database would move a terminal's cursor, or worse. */
export function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, "\u{FFFD}");
}

/**
 * What went wrong, on stderr: an error of ours with all that is in it, any other by its name and place only, for its message may quote
 * anything.
 */
export function printError(error: unknown, asJson: boolean): void {
  const shown = isWaybillError(error)
    ? { code: error.code, message: error.message, facts: error.facts }
    : { code: "UNEXPECTED", message: unexpected(error), facts: {} };
  if (asJson) return printProgress(toJson({ error: shown }));
  if (isWaybillError(error, "WAYBILL_CONFIG_INVALID")) {
    printProgress("waybill: the configuration is invalid");
    for (const { option, problem } of error.facts.problems) printProgress(`  ${option}: ${problem}`);
  } else printProgress(`waybill: ${shown.message}${isWaybillError(error) ? ` (${error.code})` : ""}`);
}

function unexpected(error: unknown): string {
  if (!(error instanceof Error)) return "Something unexpected was thrown.";
  const places = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  const what = error instanceof AssertionError ? `${error.name}: ${error.message}` : error.name;
  return [`${what}. This should not happen: please report it.`, ...places].join("\n");
}

/** Asks on stderr; false where nobody can be asked. */
export async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}

/** Asks on stderr for the name of what is changed, typed in; false where nobody can be asked. */
export async function confirmName(what: string, name: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await lines.question(`${what}: type ${name} to go on: `)).trim() === name;
  } finally {
    lines.close();
  }
}

export function canAsk(): boolean {
  return process.stdin.isTTY === true;
}
