import { readFileSync } from "node:fs";
import { type ConfigProblem, isWaybillError, type Secret, secret, signingSecret, throwConfigProblems } from "@waybill/core";

export interface Configuration {
  readonly databaseUrl: Secret;
  readonly host: string;
  readonly port: number;
  /** With which the inventory service's messages are signed. Two while one is being replaced; none: unsigned, on the loopback only. */
  readonly signingSecrets: readonly Secret[];
  /** Where messages come from; null: over HTTP, on the port above. */
  readonly brokerUrl: Secret | null;
  /** Stands before the names of topics, queues and consumer groups: tells installations on one broker apart. */
  readonly topicPrefix: string;
  /** Who is told of what a human should look at; left out: nobody but the log. */
  readonly alerts?: AlertTarget;
  /** The half-message service, whose payments are acknowledged there; null: there are none. */
  readonly halfMessages: { readonly url: string; readonly keyId: string; readonly key: Secret } | null;
}

/** Where alerts go, signed. */
export interface AlertTarget {
  readonly url: Secret;
  readonly secrets: readonly Secret[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads `DATABASE_URL`, `HOST` (default 127.0.0.1), `PORT` (default 3001) and `SIGNING_SECRETS` (separated by spaces). Secrets may
 * also come from files: `DATABASE_URL_FILE`, `SIGNING_SECRETS_FILE`, `BROKER_URL_FILE`. `BROKER_URL` (`amqp://…` or `kafka://…`) and
 * `TOPIC_PREFIX`: where messages come from, if not over HTTP. `HALF_MESSAGE_URL`, `HALF_MESSAGE_KEY_ID` (default order-1) and `HALF_MESSAGE_KEY`, or
 * `HALF_MESSAGE_KEY_FILE`: where payments are acknowledged; left out: there are none.
 * `ALERT_URL` and `ALERT_SECRETS`, or their files: who is told of alerts, signed.
 *
 * @throws WAYBILL_CONFIG_INVALID with everything that is wrong
 */
export function readConfiguration(environment: Environment): Configuration {
  const problems: ConfigProblem[] = [];
  const host = environment["HOST"] ?? "127.0.0.1";
  const port = Number(environment["PORT"] ?? 3001);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) problems.push({ option: "PORT", problem: "must be a port from 0 to 65535" });

  const databaseUrl = readSecret(environment, "DATABASE_URL", problems);
  if (databaseUrl === null) problems.push({ option: "DATABASE_URL", problem: "is missing; it or DATABASE_URL_FILE is needed" });

  const brokerUrl = readSecret(environment, "BROKER_URL", problems);
  if (brokerUrl !== null && !/^(?:amqps?|kafka):\/\//.test(brokerUrl)) {
    problems.push({ option: "BROKER_URL", problem: "must begin with amqp://, amqps:// or kafka://" });
  }
  const topicPrefix = environment["TOPIC_PREFIX"] ?? "";
  if (!/^[\w.-]{0,100}$/.test(topicPrefix)) problems.push({ option: "TOPIC_PREFIX", problem: "must be letters, digits, '.', '_' or '-'" });

  const signingSecrets = readSigningSecrets(environment, "SIGNING_SECRETS", problems);
  const isLoopback = ["127.0.0.1", "::1", "localhost"].includes(host);
  if (signingSecrets.length === 0 && !isLoopback && brokerUrl === null) {
    problems.push({
      option: "SIGNING_SECRETS",
      problem: `is missing; messages without signatures are taken on the loopback only, not on ${host}`,
    });
  }

  const halfMessageUrl = environment["HALF_MESSAGE_URL"] ?? null;
  const halfMessageKey = readSecret(environment, "HALF_MESSAGE_KEY", problems);
  if (halfMessageUrl !== null && !/^https?:\/\//.test(halfMessageUrl)) {
    problems.push({ option: "HALF_MESSAGE_URL", problem: "must begin with https:// or http://" });
  }
  if ((halfMessageUrl === null) !== (halfMessageKey === null)) {
    problems.push({ option: "HALF_MESSAGE_KEY", problem: "is needed with HALF_MESSAGE_URL, and with nothing else" });
  }

  const alertUrl = readSecret(environment, "ALERT_URL", problems);
  const alertSecrets = readSigningSecrets(environment, "ALERT_SECRETS", problems);
  if ((alertUrl === null) !== (alertSecrets.length === 0)) {
    problems.push({ option: "ALERT_SECRETS", problem: "is needed with ALERT_URL, and of use with nothing else" });
  }

  throwConfigProblems("The order service", problems);
  return {
    databaseUrl: secret(databaseUrl ?? ""),
    host,
    port,
    signingSecrets,
    brokerUrl: brokerUrl === null ? null : secret(brokerUrl),
    topicPrefix,
    ...(alertUrl === null ? {} : { alerts: { url: secret(alertUrl), secrets: alertSecrets } }),
    halfMessages:
      halfMessageUrl === null
        ? null
        : { url: halfMessageUrl, keyId: environment["HALF_MESSAGE_KEY_ID"] ?? "order-1", key: secret(halfMessageKey ?? "") },
  };
}

/** Signing secrets, separated by spaces. */
function readSigningSecrets(environment: Environment, name: string, problems: ConfigProblem[]): readonly Secret[] {
  const texts = (readSecret(environment, name, problems) ?? "").split(/\s+/).filter((each) => each !== "");
  return texts.flatMap((text) => {
    try {
      return [signingSecret(text)];
    } catch (error) {
      if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
      problems.push({ option: name, problem: `each must be ${error.facts.problems[0]?.problem}` });
      return [];
    }
  });
}

/** A value of the environment, or of the file that `NAME_FILE` names. */
function readSecret(environment: Environment, name: string, problems: ConfigProblem[]): string | null {
  const value = environment[name];
  const file = environment[`${name}_FILE`];
  if (value !== undefined && file !== undefined) problems.push({ option: name, problem: `is given twice, by ${name} and by ${name}_FILE` });
  if (value !== undefined || file === undefined) return value ?? null;
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    problems.push({ option: `${name}_FILE`, problem: "cannot be read" });
    return "";
  }
}
