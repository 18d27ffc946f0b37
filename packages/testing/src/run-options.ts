/** What runs that break things read from their command lines in one way: a seed, how long, and on which servers. */
import { type ParseArgsConfig, parseArgs } from "node:util";

/** Wrong usage; the message says what. */
export class UsageError extends Error {}

export const databaseNames = ["postgres", "mariadb", "mysql"] as const;
export const brokerNames = ["rabbitmq", "kafka"] as const;
export type DatabaseName = (typeof databaseNames)[number];
export type BrokerName = (typeof brokerNames)[number];

/** `server`: one of our own, which is killed, too. `url`: somebody's, on which names of our own are made and removed, and nothing is killed. */
export type ServerChoice<Name> = { readonly server: Name } | { readonly url: string };

/** As `parseArgs`. Throws `UsageError`. */
export function parseUsage<Config extends ParseArgsConfig>(config: Config): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : "unknown option");
  }
}

/** Throws `UsageError`. */
export function seedOf(text: string): number {
  const seed = Number(text);
  if (/^\d{1,10}$/.test(text) && seed < 2 ** 32) return seed;
  throw new UsageError("--seed must be a whole number below 4294967296");
}

/** Throws `UsageError`. */
export function minutesOf(text: string): number {
  const minutes = Number(text);
  if (/^\d{1,3}(\.\d+)?$/.test(text) && minutes >= 0.2 && minutes <= 600) return minutes;
  throw new UsageError("--minutes must be a number from 0.2 to 600");
}

/** A name, or a URL. Throws `UsageError`. */
export function databaseOf(text: string): ServerChoice<DatabaseName> {
  const server = databaseNames.find((name) => name === text);
  if (server !== undefined) return { server };
  if (/^(?:postgres|postgresql|mysql|mariadb):\/\//.test(text)) return { url: text };
  throw new UsageError(`--database must be ${databaseNames.join(", ")}, or a URL that begins with postgres:// or mysql://`);
}

/** A name, or a URL. Throws `UsageError`. */
export function brokerOf(text: string): ServerChoice<BrokerName> {
  const server = brokerNames.find((name) => name === text);
  if (server !== undefined) return { server };
  if (/^(?:amqps?|kafka):\/\//.test(text)) return { url: text };
  throw new UsageError(`--broker must be ${brokerNames.join(", ")}, or a URL that begins with kafka:// or amqp://`);
}
