/**
 * The keys of callers. A secret that lies in a file is read again when the file has changed, so that it can be replaced without a restart; a file that
 * cannot be read, or holds too little, leaves the secret that was read before.
 */
import { readFileSync, statSync } from "node:fs";
import { type Clock, type ConfigProblem, type Secret, secret, throwConfigProblems } from "@waybill/core";
import type { Caller, Scope } from "./api/route.ts";
import type { KeyOptions, SecretSource } from "./options.ts";

export interface Key {
  readonly caller: Caller;
  secrets(): readonly Secret[];
}

export interface KeyRing {
  find(keyId: string): Key | null;
}

const secretBytesMin = 32;
const secretsMax = 2;
/** How often a file is looked at. */
const lookEveryMs = 1_000;

/**
 * Reads every secret.
 *
 * @throws WAYBILL_CONFIG_INVALID, never with a value
 */
export function createKeyRing(keys: readonly KeyOptions[], clock: Clock): KeyRing {
  const problems: ConfigProblem[] = [];
  const ring = new Map<string, Key>();
  for (const [index, options] of keys.entries()) {
    const sources = Array.isArray(options.secret) ? (options.secret as readonly SecretSource[]) : [options.secret as SecretSource];
    if (sources.length === 0 || sources.length > secretsMax) {
      problems.push({ option: `keys[${index}].secret`, problem: `must be one secret, or ${secretsMax} while one is being replaced` });
    }
    const readers = sources.map((source) => secretReader(source, clock));
    if (readers.some((read) => read() === null)) {
      problems.push({
        option: `keys[${index}].secret`,
        problem: `must be secret(…) or { file }, not text, be there and have ${secretBytesMin} bytes or more`,
      });
    }
    ring.set(options.id, { caller: callerOf(options), secrets: () => readers.flatMap((read) => read() ?? []) });
  }
  throwConfigProblems("The half-message service", problems);
  return { find: (keyId) => ring.get(keyId) ?? null };
}

/** Answers a secret as it is now; null: there never was one that could be used, or it is no source of one. */
export function secretReader(source: SecretSource, clock: Clock): () => Secret | null {
  // Text in its place: to look into it would throw, with the secret in the message.
  if (typeof source !== "object" || source === null) return () => null;
  if ("reveal" in source) {
    const usable = isLongEnough(source.reveal()) ? source : null;
    return () => usable;
  }
  let current: Secret | null = null;
  let stamp = "";
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lookedAtMs < lookEveryMs) return current;
    lookedAtMs = nowMs;
    try {
      const { mtimeMs, size, ino } = statSync(source.file);
      const found = `${mtimeMs}/${size}/${ino}`;
      if (found === stamp) return current;
      const text = readFileSync(source.file, "utf8").trim();
      if (isLongEnough(text)) current = secret(text);
      stamp = found;
    } catch {
      // It is being replaced, or gone: what was read holds until there is another.
    }
    return current;
  };
}

function isLongEnough(text: string): boolean {
  return Buffer.byteLength(text) >= secretBytesMin;
}

function callerOf({ id, scopes, producer, consumer, receiver }: KeyOptions): Caller {
  const names = { producer, consumer, receiver } as const;
  const kind = (["producer", "consumer", "receiver"] as const).find((each) => names[each] !== undefined);
  const name = kind === undefined ? null : { kind, name: names[kind] as string };
  return { keyId: id, scopes: new Set<Scope>(scopes), name, isAnybody: false };
}
