import { readFileSync } from "node:fs";
import { type ConfigProblem, isWaybillError, type Secret, secret, signingSecret, throwConfigProblems } from "@waybill/core";

export interface Configuration {
  readonly databaseUrl: Secret;
  readonly host: string;
  readonly port: number;
  /** Stands before the names of topics: tells installations on one broker apart. */
  readonly topicPrefix: string;
  readonly halfMessages: HalfMessages;
}

/** The half-message service, as a producer sees it. */
export interface HalfMessages {
  readonly url: string;
  readonly keyId: string;
  readonly key: Secret;
  /** With which its check-backs are signed, and our answers. */
  readonly checkSecret: Secret;
  /** Milliseconds until it asks what became of a payment. */
  readonly checkAfterMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads `DATABASE_URL`, `HOST` (default 127.0.0.1), `PORT` (default 3003), `TOPIC_PREFIX`, and of the half-message service `HALF_MESSAGE_URL` (default
 * http://127.0.0.1:7420), `HALF_MESSAGE_KEY_ID` (default payments-1), `HALF_MESSAGE_KEY`, `CHECK_SECRET` (`whsec_…`) and `CHECK_AFTER_MS` (default
 * 10000). Secrets may also come from files: `DATABASE_URL_FILE`, `HALF_MESSAGE_KEY_FILE`, `CHECK_SECRET_FILE`.
 *
 * @throws WAYBILL_CONFIG_INVALID with everything that is wrong
 */
export function readConfiguration(environment: Environment): Configuration {
  const problems: ConfigProblem[] = [];
  const host = environment["HOST"] ?? "127.0.0.1";
  const port = Number(environment["PORT"] ?? 3003);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) problems.push({ option: "PORT", problem: "must be a port from 0 to 65535" });

  const databaseUrl = neededSecret(environment, "DATABASE_URL", problems);
  const topicPrefix = environment["TOPIC_PREFIX"] ?? "";
  if (!/^[\w.-]{0,100}$/.test(topicPrefix)) problems.push({ option: "TOPIC_PREFIX", problem: "must be letters, digits, '.', '_' or '-'" });

  const url = environment["HALF_MESSAGE_URL"] ?? "http://127.0.0.1:7420";
  if (!URL.canParse(url) || !/^https?:/.test(url))
    problems.push({ option: "HALF_MESSAGE_URL", problem: "must begin with https:// or http://" });
  const key = neededSecret(environment, "HALF_MESSAGE_KEY", problems);
  const checkSecret = neededSecret(environment, "CHECK_SECRET", problems);
  try {
    if (checkSecret !== "") signingSecret(checkSecret);
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    problems.push({ option: "CHECK_SECRET", problem: `must be ${error.facts.problems[0]?.problem}` });
  }
  const checkAfterMs = Number(environment["CHECK_AFTER_MS"] ?? 10_000);
  if (!Number.isInteger(checkAfterMs) || checkAfterMs < 100 || checkAfterMs > 86_400_000) {
    problems.push({ option: "CHECK_AFTER_MS", problem: "must be a whole number from 100 to 86400000" });
  }

  throwConfigProblems("The payment service", problems);
  return {
    databaseUrl: secret(databaseUrl),
    host,
    port,
    topicPrefix,
    halfMessages: {
      url,
      keyId: environment["HALF_MESSAGE_KEY_ID"] ?? "payments-1",
      key: secret(key),
      checkSecret: secret(checkSecret),
      checkAfterMs,
    },
  };
}

/** The database alone, for migrations. @throws WAYBILL_CONFIG_INVALID */
export function readDatabaseUrl(environment: Environment): Secret {
  const problems: ConfigProblem[] = [];
  const databaseUrl = neededSecret(environment, "DATABASE_URL", problems);
  throwConfigProblems("The payment service", problems);
  return secret(databaseUrl);
}

/** A value of the environment, or of the file that `NAME_FILE` names. */
function neededSecret(environment: Environment, name: string, problems: ConfigProblem[]): string {
  const value = environment[name];
  const file = environment[`${name}_FILE`];
  if (value !== undefined && file !== undefined) problems.push({ option: name, problem: `is given twice, by ${name} and by ${name}_FILE` });
  if (value === undefined && file === undefined) problems.push({ option: name, problem: `is missing; it or ${name}_FILE is needed` });
  if (value !== undefined || file === undefined) return value ?? "";
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    problems.push({ option: `${name}_FILE`, problem: "cannot be read" });
    return "";
  }
}
