#!/usr/bin/env node
/**
 * `waybill-audit history.json [--committed-min n] [--faults-min n] …` prints the verdict on stdout as JSON.
 * Exit code 0 passed · 1 failed · 2 wrong usage or not a history · 3 inconclusive.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { audit } from "./audit.ts";
import { AuditInputError } from "./audit-input-error.ts";
import { parseHistory } from "./parse-history.ts";
import type { Effort, VerdictKind } from "./verdict.ts";

const usage = `usage: waybill-audit <history.json> [options]
  --committed-min <n>   committed messages the run must have (default 1)
  --rolled-back-min <n> messages rolled back
  --unknown-min <n>     outcomes that stayed unknown
  --faults-min <n>      faults observed
  --repeated-min <n>    repeated receptions
  --takeovers-min <n>   takeovers
Prints the verdict as JSON. Exit 0 passed, 1 failed, 2 usage or input, 3 inconclusive.`;

const efforts = {
  "committed-min": "committedMin",
  "rolled-back-min": "rolledBackMin",
  "unknown-min": "unknownMin",
  "faults-min": "faultsMin",
  "repeated-min": "repeatedMin",
  "takeovers-min": "takeoversMin",
} as const satisfies Record<string, keyof Effort>;

const exitCodes: Readonly<Record<VerdictKind, number>> = { passed: 0, failed: 1, inconclusive: 3 };

process.exitCode = main(process.argv.slice(2));

function main(args: readonly string[]): number {
  try {
    const options: Record<string, { type: "string" | "boolean" }> = { help: { type: "boolean" } };
    for (const name of Object.keys(efforts)) options[name] = { type: "string" };
    const parsed = parseArgs({ args: [...args], allowPositionals: true, options });
    const { positionals } = parsed;
    const values: Readonly<Record<string, unknown>> = parsed.values;
    if (values["help"] === true) {
      console.log(usage);
      return 0;
    }
    const [file, ...more] = positionals;
    if (file === undefined || more.length > 0) throw new AuditInputError("arguments", "one history file");
    const effort: Record<string, number> = {};
    for (const [flag, name] of Object.entries(efforts)) {
      const value = values[flag];
      if (value === undefined) continue;
      if (typeof value !== "string" || !/^\d{1,9}$/.test(value)) throw new AuditInputError(`--${flag}`, "must be a whole number");
      effort[name] = Number(value);
    }
    const verdict = audit(parseHistory(readFileSync(file, "utf8")), { effort });
    console.log(JSON.stringify(verdict, undefined, 2));
    return exitCodes[verdict.verdict];
  } catch (error) {
    console.error(error instanceof Error ? error.message : "unknown error");
    console.error(usage);
    return 2;
  }
}
