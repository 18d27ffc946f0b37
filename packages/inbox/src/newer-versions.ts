/**
 * Which of several versions are newer, as pure functions: what is asked of the database goes out, what it answers comes in.
 */
import type { EntityVersion } from "@waybill/core";

/** The highest version given of each entity, in the order of topic and entity: units that want the same rows meet at the first of them. */
export function highestVersions(given: readonly EntityVersion[]): readonly EntityVersion[] {
  const highest = new Map<string, EntityVersion>();
  for (const one of given) {
    const known = highest.get(nameOf(one));
    if (known === undefined || known.version < one.version) highest.set(nameOf(one), one);
  }
  return [...highest].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, version]) => version);
}

/** Whether each version is higher than what was kept before and all given before it. A version of null, or none: nothing was kept. */
export function areNewer(
  given: readonly EntityVersion[],
  before: readonly { readonly topic: string; readonly entity: string; readonly version: unknown }[],
): readonly boolean[] {
  const known = new Map<string, bigint>();
  for (const one of before) if (typeof one.version === "string") known.set(nameOf(one), BigInt(one.version));
  return given.map((one) => {
    const name = nameOf(one);
    const isNewer = one.version > (known.get(name) ?? -1n);
    if (isNewer) known.set(name, one.version);
    return isNewer;
  });
}

function nameOf({ topic, entity }: { readonly topic: string; readonly entity: string }): string {
  return `${topic}\u0000${entity}`;
}
