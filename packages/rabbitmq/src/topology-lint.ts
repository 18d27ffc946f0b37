/**
 * What is wrong with an exchange or a queue that somebody else declared, or put under a policy: pure rules over what the management
 * API says. `refused`: messages that were confirmed can be lost without a word. `risky`: something an operator should know.
 */
import { deliveryLimitNever } from "./topology.ts";

export interface QueueFacts {
  readonly type: string;
  readonly isDurable: boolean;
  readonly isAutoDelete: boolean;
  readonly isExclusive: boolean;
  /** Arguments without their `x-`, and what a policy adds to them. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Where its dead letters go: to a queue, to nobody, or it gives none away. */
  readonly deadLetters: "queue" | "nowhere" | "none";
  /** Of the broker: the default delivery limit came with 4.0. */
  readonly brokerMajor: number;
}

export interface Finding {
  readonly isRefused: boolean;
  /** The argument, as a declaration calls it. */
  readonly argument: string | null;
  readonly rule: string;
}

/** From 4.0 on a quorum queue without a limit of its own has one of 20. */
const defaultLimitSince = 4;

/** Of these the broker takes the lower of what the arguments and the policy say; of all others the argument. */
const lowerWins: ReadonlySet<string> = new Set(["delivery-limit", "expires", "max-length", "max-length-bytes", "message-ttl"]);

/** What is in force: the arguments, under their names without `x-`, and the policy. */
export function settingsOf(
  given: Readonly<Record<string, unknown>>,
  policy: Readonly<Record<string, unknown>>,
  brokerMajor: number,
): Readonly<Record<string, unknown>> {
  const settings: Record<string, unknown> = { ...policy };
  for (const [argument, value] of Object.entries(given)) {
    const name = argument.replace(/^x-/, "");
    const other = settings[name];
    const areBothLimits = lowerWins.has(name) && typeof value === "number" && typeof other === "number";
    settings[name] = areBothLimits ? stricter(value, other, brokerMajor) : value;
  }
  return settings;
}

/** A negative delivery limit is none since 4.0, and wins. */
function stricter(value: number, other: number, brokerMajor: number): number {
  return brokerMajor >= defaultLimitSince && Math.min(value, other) < 0 ? Math.max(value, other) : Math.min(value, other);
}

export function queueFindings(queue: QueueFacts): readonly Finding[] {
  const { settings, deadLetters, brokerMajor } = queue;
  const findings: Finding[] = [];
  const refuse = (argument: string | null, rule: string): void => void findings.push({ isRefused: true, argument, rule });
  const overflow = settings["overflow"] ?? "drop-head";
  const isLimited = settings["max-length"] !== undefined || settings["max-length-bytes"] !== undefined;

  if (!queue.isDurable) refuse("durable", "is gone after a restart of the broker, with its messages");
  if (queue.isAutoDelete || queue.isExclusive) refuse(queue.isAutoDelete ? "auto-delete" : "exclusive", "is deleted with its consumer");
  if (settings["expires"] !== undefined) refuse("x-expires", "is deleted when nobody uses it, with its messages");
  if (isLimited && overflow === "drop-head")
    refuse("x-overflow", "deletes its oldest messages when it is full: let it refuse new ones with reject-publish");
  if (deadLetters === "nowhere") refuse("x-dead-letter-exchange", "sends dead letters to an exchange that leads to no queue");
  if (deadLetters !== "queue" && settings["message-ttl"] !== undefined)
    refuse("x-message-ttl", "lets messages expire, and has no dead-letter queue to keep them");
  if (queue.type === "quorum" && deadLetters !== "queue" && canReachLimit(settings["delivery-limit"], brokerMajor))
    refuse("x-delivery-limit", "deletes a message after that many deliveries, and has no dead-letter queue to keep it");
  if (queue.type === "classic")
    findings.push({
      isRefused: false,
      argument: "x-queue-type",
      rule: "is kept by one node only: a quorum queue survives the loss of one",
    });
  return findings;
}

function canReachLimit(limit: unknown, brokerMajor: number): boolean {
  if (limit === undefined) return brokerMajor >= defaultLimitSince;
  if (typeof limit !== "number") return true;
  // -1 is "no limit" since 4.0; before, the first delivery was beyond it.
  return limit < 0 ? brokerMajor < defaultLimitSince : limit < deliveryLimitNever;
}

/** `settings`: arguments without their `x-`, and what a policy adds to them. */
export function exchangeFindings({ isDurable, settings }: Pick<QueueFacts, "isDurable" | "settings">): readonly Finding[] {
  const findings: Finding[] = [];
  if (!isDurable)
    findings.push({ isRefused: false, argument: "durable", rule: "is gone after a restart of the broker; messages wait until it is back" });
  if (settings["alternate-exchange"] !== undefined)
    findings.push({
      isRefused: false,
      argument: "alternate-exchange",
      rule: "hands what no queue takes to another exchange, so that it counts as delivered",
    });
  return findings;
}
