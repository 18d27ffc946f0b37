import { waybillError } from "./errors.ts";
import { keyProblem } from "./grammar.ts";

/** Of what a message tells, and in which version of it: higher is newer. */
export interface EntityVersion {
  /** Names of entities are unique within a topic. */
  readonly topic: string;
  readonly entity: string;
  readonly version: bigint;
}

/** What version and entity of a message are taken from. */
export interface VersionSource<Payload> {
  readonly payload: Payload;
  readonly key: string | null;
  readonly headers: ReadonlyMap<string, string>;
}

/** How a type's messages say their version and entity. */
export interface VersionRules<Payload> {
  readonly type: string;
  readonly topic: string;
  readonly version: (payload: Payload, headers: ReadonlyMap<string, string>) => number | bigint | string;
  readonly entity?: ((payload: Payload, headers: ReadonlyMap<string, string>) => string) | undefined;
}

const versionRule = "a whole number from 0 to 2^63 - 1: as number no more than 2^53 - 1, as bigint, or as text of digits";
const versionMax = 2n ** 63n - 1n;

/**
 * Version and entity of a message.
 *
 * @throws WAYBILL_PAYLOAD_INVALID; its issue's path is `version` or `entity`, and its rule says what either has to be
 */
export function entityVersionOf<Payload>(rules: VersionRules<Payload>, source: VersionSource<Payload>): EntityVersion {
  const { payload, key, headers } = source;
  const version = toVersion(answerOf(rules.type, "version", () => rules.version(payload, headers)));
  if (version === null) throw invalid(rules.type, "version", versionRule);
  const entity: unknown = rules.entity === undefined ? key : answerOf(rules.type, "entity", () => rules.entity?.(payload, headers));
  const problem =
    typeof entity === "string" ? keyProblem(entity) : "the message's key, or what the type says of its entity: there is neither";
  if (problem !== null) throw invalid(rules.type, "entity", problem);
  return { topic: rules.topic, entity: entity as string, version };
}

function toVersion(value: unknown): bigint | null {
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : null;
  const version = typeof value === "string" && /^[0-9]{1,40}$/.test(value) ? BigInt(value) : value;
  return typeof version === "bigint" && version >= 0n && version <= versionMax ? version : null;
}

function answerOf(type: string, path: "version" | "entity", ask: () => unknown): unknown {
  try {
    return ask();
  } catch (cause) {
    throw invalid(type, path, "there: the function that takes it from the payload threw", cause);
  }
}

function invalid(type: string, path: "version" | "entity", rule: string, cause?: unknown): Error {
  return waybillError(
    "WAYBILL_PAYLOAD_INVALID",
    `The ${path} of a ${type} message must be ${rule}.`,
    { type, issues: [{ path, rule }] },
    cause,
  );
}
