import { parseArgs } from "node:util";

/** What the command line asks for. */
export interface DemoOptions {
  /** Payments by half messages, instead of orders by the outbox. */
  readonly isHalfMessage: boolean;
  /** Of half messages: payments. */
  readonly orders: number;
  readonly seed: number;
  readonly isJson: boolean;
  /** A server to make the two databases on, or which kind to find or start. Of half messages: for the payments alone. */
  readonly database: DatabaseChoice;
  /** What carries the messages: HTTP from relay to service, a broker, or which kind of broker to find or start. */
  readonly broker: BrokerChoice;
}

type DatabaseServer = "postgres" | "mariadb" | "mysql";
/** `orElse`: what is taken where there is no such server and none can be started. */
export type DatabaseChoice = { readonly url: string } | { readonly server: DatabaseServer; readonly orElse?: DatabaseServer };
export type BrokerChoice = "http" | { readonly url: string } | { readonly server: "kafka" | "rabbitmq" };

export const usage = `usage: npm run demo -- [options]
  --orders <n>      orders to place, one in ten of them rolled back on purpose (default 1000)
  --half-message    payments in a database that no relay sees, told of by half messages: kills of payment service, half-message service and
                    order service, and prepares that its database loses. --orders is how many payments (default 200, at least 150), --database is for the
                    payments (default: a MariaDB that is here, or is started; where that cannot be, PostgreSQL)
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
  const isHalfMessage = values["half-message"] === true;
  if (isHalfMessage && values.broker !== undefined) throw new UsageError("--broker does not go with --half-message");
  return {
    isHalfMessage,
    orders: whole("--orders", values.orders ?? (isHalfMessage ? "200" : "1000"), isHalfMessage ? 150 : 20, 1_000_000),
    seed: whole("--seed", values.seed ?? String(Math.floor(Math.random() * 2 ** 31)), 0, 2 ** 32 - 1),
    isJson: values.json === true,
    database:
      isHalfMessage && values.database === undefined
        ? { server: "mariadb", orElse: "postgres" }
        : databaseChoice(values.database ?? "postgres"),
    broker: brokerChoice(values.broker ?? "http"),
  };
}

interface Values {
  readonly orders?: string | undefined;
  readonly seed?: string | undefined;
  readonly json?: boolean | undefined;
  readonly database?: string | undefined;
  readonly broker?: string | undefined;
  readonly "half-message"?: boolean | undefined;
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
        "half-message": { type: "boolean" },
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
