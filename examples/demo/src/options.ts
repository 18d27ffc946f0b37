import { parseArgs } from "node:util";

/** What the command line asks for. */
export interface DemoOptions {
  readonly orders: number;
  readonly seed: number;
  readonly isJson: boolean;
  /** A server to make the two databases on; null: start one of our own. */
  readonly databaseUrl: string | null;
}

export const usage = `usage: npm run demo -- [options]
  --orders <n>      orders to place, one in ten of them rolled back on purpose (default 1000)
  --seed <n>        customers, articles, who is refused and when somebody is killed follow from it (default: a random one)
  --json            print the result as the last line of stdout
  --database <url>  a PostgreSQL where two databases may be made and removed (default: one of our own, from npm's binaries)
  --help`;

/** Wrong usage; the message says what. */
export class UsageError extends Error {}

/**
 * Reads the arguments; null: help is wanted.
 *
 * Throws `UsageError`.
 */
export function readOptions(args: readonly string[]): DemoOptions | null {
  const values = parse(args);
  if (values.help === true) return null;
  return {
    orders: whole("--orders", values.orders ?? "1000", 20, 1_000_000),
    seed: whole("--seed", values.seed ?? String(Math.floor(Math.random() * 2 ** 31)), 0, 2 ** 32 - 1),
    isJson: values.json === true,
    databaseUrl: values.database ?? null,
  };
}

interface Values {
  readonly orders?: string | undefined;
  readonly seed?: string | undefined;
  readonly json?: boolean | undefined;
  readonly database?: string | undefined;
  readonly help?: boolean | undefined;
}

function parse(args: readonly string[]): Values {
  try {
    return parseArgs({
      args: [...args],
      options: {
        orders: { type: "string" },
        seed: { type: "string" },
        json: { type: "boolean" },
        database: { type: "string" },
        help: { type: "boolean" },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : "unknown option");
  }
}

function whole(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d{1,10}$/.test(text) && value >= min && value <= max) return value;
  throw new UsageError(`${option} must be a whole number from ${min} to ${max}`);
}
