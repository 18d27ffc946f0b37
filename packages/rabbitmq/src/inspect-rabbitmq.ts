/**
 * A look at a broker and at what topics lead to, for whoever wants to know before messages depend on it. Reads only: nothing is declared.
 * What AMQP cannot tell – queues and policies of others – is asked through the management API, if there is one.
 */
import { type Clock, type ConfigProblem, type Random, type Secret, systemClock, systemRandom, throwConfigProblems } from "@waybill/core";
import { checkConnection, type RabbitmqConnectionOptions } from "./address.ts";
import { brokerConnection } from "./connection.ts";
import { type DestinationOptions, destinations } from "./destination.ts";
import type { Link } from "./link.ts";
import { linkError } from "./link-error.ts";
import { checkManagement, inspect } from "./management.ts";

export interface InspectRabbitmqOptions extends RabbitmqConnectionOptions, DestinationOptions {
  /** RabbitMQ's management API, such as `http://host:15672`; credentials that it does not have are the broker's. Default none. */
  readonly managementUrl?: string | Secret;
  /** Default 10 000, for everything. */
  readonly deadlineMs?: number;
  /** Default: the host's. */
  readonly clock?: Clock;
  readonly random?: Random;
}

/** `refused`: messages that were confirmed can be lost, or never be published. `warned`: something an operator should know. */
export interface RabbitmqFinding {
  readonly level: "refused" | "warned";
  readonly what: "broker" | "exchange" | "queue";
  readonly name: string;
  /** The argument it is about, or a stable word. */
  readonly rule: string;
  /** What was found, as the broker says it. Never data. */
  readonly found: string;
  /** What to do about it, or what it means. */
  readonly advice: string;
}

export interface RabbitmqReport {
  /** `host:port/vhost`, without credentials. */
  readonly broker: string;
  /** As the broker tells it, or null. */
  readonly version: string | null;
  readonly findings: readonly RabbitmqFinding[];
}

/** Older ones delete a message at its first delivery, or do not know quorum queues' limits. */
const oldest = [3, 10] as const;

/**
 * Inspects a broker: the exchanges of `topics`, and through the management API every queue that they lead to.
 *
 * @throws WAYBILL_TRANSPORT if the broker, or its management API, cannot be asked
 * @throws WAYBILL_CONFIG_INVALID lists everything that is wrong with the options
 */
export async function inspectRabbitmq(options: InspectRabbitmqOptions): Promise<RabbitmqReport> {
  const { deadlineMs = 10_000, clock = systemClock, random = systemRandom } = options;
  const problems: ConfigProblem[] = [];
  const settings = checkConnection(options, problems);
  const { exchanges } = destinations(options, problems);
  const management = settings === null ? null : checkManagement(options.managementUrl, settings, problems);
  throwConfigProblems("The look at RabbitMQ", problems);
  if (settings === null) throw new Error("problems were found and not thrown");

  const untilMs = clock.monotonicMs() + deadlineMs;
  const leftMs = (): number => Math.max(0, untilMs - clock.monotonicMs());
  const connection = brokerConnection(settings, { role: "transport", clock, random, onEvent: undefined });
  try {
    const connected = await connection.connect(leftMs());
    if (connected.kind === "failed") throw linkError(connected.failure);
    const { link } = connected;
    const findings = [...brokerFindings(link)];
    for (const exchange of exchanges) findings.push(...(await exchangeFindings(link, exchange, leftMs())));
    if (management !== null) {
      const found = await inspect({ management, settings, exchanges, queues: [], areQueuesExpected: true, clock, deadlineMs: leftMs() });
      for (const { isRefused, what, name, argument, rule } of found)
        findings.push({
          level: isRefused ? "refused" : "warned",
          what,
          name,
          rule: argument ?? "queues",
          found: `it ${rule}`,
          advice: "Declare it anew, or change its policy.",
        });
    }
    return { broker: link.broker, version: link.version, findings };
  } finally {
    await connection.close({ deadlineMs: Math.min(1_000, leftMs()) });
  }
}

function brokerFindings({ broker, version, blocked }: Link): readonly RabbitmqFinding[] {
  const findings: RabbitmqFinding[] = [];
  const [major = 0, minor = 0] = (version ?? "").split(".").map(Number);
  if (version !== null && (major < oldest[0] || (major === oldest[0] && minor < oldest[1])))
    findings.push({
      level: "refused",
      what: "broker",
      name: broker,
      rule: "version",
      found: version,
      advice: `Use ${oldest.join(".")} or later.`,
    });
  if (blocked !== null)
    findings.push({
      level: "refused",
      what: "broker",
      name: broker,
      rule: "blocked",
      found: blocked.reason,
      advice: "It takes nothing that is published until the alarm ends: look at its memory and disk.",
    });
  return findings;
}

/** A refusal closes the channel, so each exchange is asked for on one of its own. */
async function exchangeFindings(link: Link, exchange: string, deadlineMs: number): Promise<readonly RabbitmqFinding[]> {
  const opened = await link.openChannel(deadlineMs);
  if (opened.kind === "failed") throw linkError(opened.failure);
  const called = await opened.value.call((driver) => driver.checkExchange(exchange), deadlineMs);
  if (called.kind === "done") {
    await opened.value.close(deadlineMs);
    return [];
  }
  const { brokerCode, isLinkLost } = called.failure;
  if (isLinkLost || brokerCode === null) throw linkError(called.failure);
  const about = { what: "exchange", name: exchange, rule: "exists" } as const;
  return brokerCode === "404"
    ? [
        {
          ...about,
          level: "warned",
          found: "no",
          advice: "A relay declares it unless told otherwise; messages wait until a queue is bound to it.",
        },
      ]
    : [{ ...about, level: "refused", found: `refused with ${brokerCode}`, advice: "Grant this user configure, write and read on it." }];
}
