import { parseArgs } from "node:util";

/** What the command line asks for. */
export interface DemoOptions {
  readonly orders: number;
  readonly seed: number;
  readonly isJson: boolean;
  /** A server to make the two databases on, or which kind to find or start. */
  readonly database: DatabaseChoice;
  /** What carries the messages: HTTP from relay to service, a broker, or which kind of broker to find or start. */
  readonly broker: BrokerChoice;
}

export type DatabaseChoice = { readonly url: string } | { readonly server: "postgres" | "mariadb" | "mysql" };
export type BrokerChoice = "http" | { readonly url: string } | { readonly server: "kafka" | "rabbitmq" };

export const usage = `usage: npm run demo -- [options]
  --orders <n>      orders to place, one in ten of them rolled back on purpose (default 1000)
  --seed <n>        customers, articles, who is refused and when somebody is killed follow from it (default: a random one)
  --json            print the result as the last line of stdout
  --database <d>    postgres://… or mysql://…: a server where two databases may be made and removed; or postgres, mariadb, mysql: one that
                    is here, or is started (default: a PostgreSQL of our own, from npm's binaries)
  --broker <b>      amqp://… or kafka://…: a broker where topics may be made and removed; or rabbitmq, kafka: one that is here, or is
                    started (default http: the relay calls the services)
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
    database: databaseChoice(values.database ?? "postgres"),
    broker: brokerChoice(values.broker ?? "http"),
  };
}

interface Values {
  readonly orders?: string | undefined;
  readonly seed?: string | undefined;
  readonly json?: boolean | undefined;
  readonly database?: string | undefined;
  readonly broker?: string | undefined;
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
        broker: { type: "string" },
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

function databaseChoice(text: string): DatabaseChoice {
  if (text === "postgres" || text === "mariadb" || text === "mysql") return { server: text };
  if (/^(?:postgres|postgresql|mysql|mariadb):\/\//.test(text)) return { url: text };
  throw new UsageError("--database must be postgres, mariadb, mysql, or a URL that begins with postgres:// or mysql://");
}

function brokerChoice(text: string): BrokerChoice {
  if (text === "http") return text;
  if (text === "kafka" || text === "rabbitmq") return { server: text };
  if (/^(?:amqps?|kafka):\/\//.test(text)) return { url: text };
  throw new UsageError("--broker must be http, kafka, rabbitmq, or a URL that begins with amqp://, amqps:// or kafka://");
}
