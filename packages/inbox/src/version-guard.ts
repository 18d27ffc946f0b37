/**
 * Keeps an older fact from overwriting a newer one.
 *
 *     claimed ──▶ raise the version of its entity ──▶ it was lower ──▶ handler ──▶ COMMIT keeps note, effect and version
 *                        │                               └─ it was not: stale ──▶ COMMIT keeps the note, or a dead letter
 *                        └─ another unit has it: rolled back, and comes again (PostgreSQL: after a moment)
 *
 * The version is raised before its handler runs, in the same transaction. So its row is locked until the effect is committed: who comes later sees
 * what came of it, and two handlers of one entity never run at once, whatever process they are in. A rollback takes version and effect back together.
 */
import { type EntityVersion, isWaybillError, waybillError } from "@waybill/core";
import type { OwnedTx } from "@waybill/sql";
import { reasons } from "./decision.ts";
import type { Engine, Registration } from "./engine.ts";
import type { HandledMessage } from "./inbox.ts";
import { reject } from "./reject.ts";

/**
 * The version by which a message is guarded; null: its type is not.
 *
 * @throws WAYBILL_MESSAGE_REJECTED if it has none, or tells of no entity: what it is worth is not known
 */
export function versionOf({ type, staleness }: Registration, message: HandledMessage<unknown>): EntityVersion | null {
  if (staleness === null) return null;
  try {
    return type.entityVersion(message);
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_PAYLOAD_INVALID")) throw error;
    const reason = `${reasons.versionInvalid}:${error.facts.issues[0]?.path ?? ""}`;
    throw waybillError("WAYBILL_MESSAGE_REJECTED", "Whether the message is newer than what is known cannot be told.", { reason }, error);
  }
}

/**
 * Whether each message, given by its version, in their order, may be handled; all are of one type. Those whose type has no guard may.
 *
 * @throws WAYBILL_MESSAGE_REJECTED if one may not and its type rejects what is stale; WAYBILL_DATABASE if another unit has an entity and
 *   keeps it: the message comes again, and uses up no attempt
 */
export async function guardVersions(
  engine: Engine,
  { staleness }: Registration,
  tx: OwnedTx,
  versions: readonly (EntityVersion | null)[],
): Promise<readonly boolean[]> {
  const guarded = versions.filter((version) => version !== null);
  if (guarded.length === 0) return versions.map(() => true);
  const newer = await engine.store.raiseVersions(tx, guarded);
  const stale = newer.filter((isNewer) => !isNewer).length;
  engine.report({ name: "inbox.guarded", messages: guarded.length, stale });
  if (stale > 0 && staleness === "reject") reject(reasons.stale);
  return newer;
}
