/** What the command line asks for. */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { drawBugs } from "./draw.ts";
import type { PlantedBug } from "./planted-bug.ts";

export interface Options {
  readonly mode: "run" | "list" | "help";
  /** In the order of the list. */
  readonly bugs: readonly PlantedBug[];
  /** By which they were drawn; null: they were not. */
  readonly seed: number | null;
  readonly isJson: boolean;
}

export const usage = `usage: npm run planted-bugs [-- options] [name …]
Plants defects in a copy of the packages, one at a time, and runs what must notice each. Without names: all of them.
  --list        the names, what is wrong with each, and what must notice it
  --draw <n>    that many of those that are caught quickly, drawn by the seed
  --seed <n>    of --draw (default: a random one, which is printed)
  --json        print the result as the last line of stdout
  --help
Exit code 0 all caught · 1 one was not · 2 wrong usage · 3 one could not be run, the others were caught.`;

/** Wrong usage; the message says what. */
export class UsageError extends Error {}

/** Throws `UsageError`. */
export function readOptions(args: readonly string[], bugs: readonly PlantedBug[]): Options {
  const { values, positionals } = parse(args);
  const isJson = values.json === true;
  if (values.help === true) return { mode: "help", bugs: [], seed: null, isJson };
  if (values.list === true) return { mode: "list", bugs: named(positionals, bugs), seed: null, isJson };
  if (values.draw === undefined) {
    if (values.seed !== undefined) throw new UsageError("--seed is for --draw");
    return { mode: "run", bugs: named(positionals, bugs), seed: null, isJson };
  }
  if (positionals.length > 0) throw new UsageError("either --draw or names");
  const count = numberOf("--draw", values.draw);
  const seed = values.seed === undefined ? randomInt(2 ** 31) : numberOf("--seed", values.seed);
  const drawn = drawBugs(bugs, count, seed);
  if (drawn.length < count || count === 0) throw new UsageError(`--draw must be from 1 to ${drawn.length}`);
  return { mode: "run", bugs: drawn, seed, isJson };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        list: { type: "boolean" },
        draw: { type: "string" },
        seed: { type: "string" },
        json: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : "unknown option");
  }
}

function named(names: readonly string[], bugs: readonly PlantedBug[]): readonly PlantedBug[] {
  const [unknown] = names.filter((name) => !bugs.some((bug) => bug.name === name));
  if (unknown !== undefined) throw new UsageError(`there is no bug "${unknown}": --list names them all`);
  return names.length === 0 ? bugs : bugs.filter(({ name }) => names.includes(name));
}

function numberOf(option: string, text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new UsageError(`${option} must be a whole number`);
}
