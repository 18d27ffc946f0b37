/**
 * Changing deliveries by somebody's wish, over the statements of either dialect.
 *
 *     look ──▶ lanes locked, in order ──▶ rows locked, in order ──▶ judged ──▶ changed ──▶ their lanes go on ──▶ COMMIT (the caller's)
 *
 * A lane whose delivery is under way is left to whoever brings it: when it records, it finds the row changed, writes nothing about it, and lets the lane
 * go on. Lanes come first, as everywhere, so that an acknowledgement and a recorder wait for each other and never in a circle.
 */
import type { Random } from "@waybill/core";
import type { OwnedTx, Row } from "@waybill/sql";
import { settleLanes } from "./delivery-claims.ts";
import { byBytes, bySeq, lanesInOrder } from "./delivery-plan.ts";
import type { DeliveryPolicy } from "./delivery-schedule.ts";
import type { ChangedDelivery, ChangeOptions, DeadDelivery, WishFor } from "./delivery-store.ts";
import type { ChangedRow, DeliveryTables } from "./delivery-tables.ts";
import { changeFor, type DeliveryChange, type DeliveryState, type DeliveryWish } from "./delivery-wish.ts";
import { deliveryId } from "./to-delivery.ts";

/** Of a destination that is not configured any more, and of receivers. */
const defaultPolicy: Pick<DeliveryPolicy, "backoff" | "maxRedeliveries" | "giveUpAfterMs"> = {
  backoff: { firstMs: 1_000, maxMs: 300_000 },
  maxRedeliveries: 20,
  giveUpAfterMs: 259_200_000,
};

/** A wish, with the row that it is about. */
interface Case {
  readonly row: Row;
  readonly wish: DeliveryWish;
  readonly change: DeliveryChange | null;
  readonly state: DeliveryState;
}

export async function changeByWish(
  tables: DeliveryTables,
  tx: OwnedTx,
  wishes: readonly WishFor[],
  options: ChangeOptions,
  random: Random,
): Promise<readonly (ChangedDelivery | null)[]> {
  const wishOf = new Map(wishes.map((one) => [one.deliveryId, one.wish]));
  const looked = await tables.find(tx, wishes.flatMap(({ deliveryId: id }) => seqOf(id) ?? []).sort(bySeq));
  const known = looked.filter((row) => wishOf.has(idOf(row)) && options.mayTouch(String(row.destination)));
  if (known.length === 0) return wishes.map(() => null);

  const leased = await lockLanesOf(tables, tx, known, wishOf);
  const locked = new Map(
    (
      await tables.lockRows(
        tx,
        known.map(({ seq }) => String(seq)),
      )
    ).map((row) => [String(row.seq), row]),
  );
  const cases = known.flatMap((row): readonly Case[] => {
    const now = locked.get(String(row.seq));
    const wish = wishOf.get(idOf(row));
    if (now === undefined || wish === undefined) return [];
    const state = now.state as DeliveryState;
    const standing = {
      state,
      attempts: Number(now.attempts),
      redeliveries: Number(now.redeliveries),
      isInLane: now.open_lane !== null,
      hasLane: row.lane !== null,
      isNotification: row.receiver !== null,
    };
    return [{ row, wish, state, change: changeFor(wish, standing, options.policyOf(String(row.destination)) ?? defaultPolicy, random) }];
  });
  await write(tables, tx, cases, options);
  await freeLanesOf(tables, tx, cases, leased);

  const changed = new Map(cases.map((one) => [idOf(one.row), toChanged(one)]));
  return wishes.map(({ deliveryId: id }) => changed.get(id) ?? null);
}

/**
 * Locks the lanes of these rows, in order; answers which of them, by name, are under way. The lane of every row that is to be redriven is made, also of one
 * that was not dead when it was looked at: it may be by the time its row is locked, and its lane gone. A lane that nobody needs is removed by its next claim.
 */
async function lockLanesOf(
  tables: DeliveryTables,
  tx: OwnedTx,
  rows: readonly Row[],
  wishOf: ReadonlyMap<string, DeliveryWish>,
): Promise<ReadonlySet<string>> {
  const redriven = rows.flatMap((row) => {
    const wish = wishOf.get(idOf(row));
    if (wish?.kind !== "redrive" || row.lane === null) return [];
    return [{ destination: String(row.destination), lane: row.lane as string, afterMs: wish.afterMs }];
  });
  if (redriven.length > 0) await tables.touchLanes(tx, lanesInOrder(redriven));
  const leased = new Set<string>();
  for (const [destination, ofDestination] of grouped(rows.filter((row) => row.open_lane !== null))) {
    const lanes = [...new Set(ofDestination.map((row) => String(row.open_lane)))].sort(byBytes);
    for (const held of await tables.holdLanes(tx, destination, lanes)) if (held.isLeased) leased.add(nameOf(destination, held.lane));
  }
  return leased;
}

async function write(
  tables: DeliveryTables,
  tx: OwnedTx,
  cases: readonly Case[],
  { actor, reason, writeDead }: ChangeOptions,
): Promise<void> {
  const rows = cases.flatMap(({ row, change }): readonly ChangedRow[] =>
    change === null ? [] : [{ ...change, seq: String(row.seq), ackedBy: change.state === "acked" ? actor : null }],
  );
  if (rows.length > 0) await tables.change(tx, rows);
  const entries = cases.flatMap(({ row, wish, change, state }) => {
    const event = change === null ? undefined : logged[wish.kind];
    if (change === null || event === undefined) return [];
    const { seq, producer, id } = row;
    return [{ seq: String(seq), producer: String(producer), id: String(id), event, from: state, to: change.state, actor, reason }];
  });
  if (entries.length > 0) await tables.logDecisions(tx, entries);
  const dead = cases.flatMap((one): readonly DeadDelivery[] =>
    one.wish.kind === "nack" && one.change?.state === "dead" ? [toDead(one, actor)] : [],
  );
  if (dead.length > 0) await writeDead?.(tx, dead);
}

/** What an operator does is in the log of decisions under its own name. */
const logged: Partial<Record<DeliveryWish["kind"], "redriven" | "given_up" | "force_acked">> = {
  redrive: "redriven",
  giveUp: "given_up",
  forceAck: "force_acked",
  discard: "force_acked",
};

/** Lets the lanes go on that waited for an acknowledgement of one of these. */
async function freeLanesOf(tables: DeliveryTables, tx: OwnedTx, cases: readonly Case[], leased: ReadonlySet<string>): Promise<void> {
  const after = new Map<string, number>();
  for (const { row, change } of cases) {
    const name = nameOf(String(row.destination), String(row.open_lane));
    if (change === null || change.laneAfterMs === null || row.open_lane === null || leased.has(name)) continue;
    after.set(name, Math.max(after.get(name) ?? 0, change.laneAfterMs));
  }
  const rows = cases.map(({ row }) => row).filter((row) => after.has(nameOf(String(row.destination), String(row.open_lane))));
  for (const [destination, ofDestination] of grouped(rows)) {
    const lanes = [...new Set(ofDestination.map((row) => String(row.open_lane)))];
    await settleLanes(tables, tx, destination, lanes, (lane) => ({
      blockedMs: after.get(nameOf(destination, lane)) ?? 0,
      afterMs: 0,
      failures: 0,
    }));
  }
}

function toChanged({ row, wish, change, state }: Case): ChangedDelivery {
  return {
    deliveryId: idOf(row),
    state: change?.state ?? state,
    isApplied: change !== null,
    isLate: wish.kind === "ack" && state === "dead",
    dead:
      wish.kind === "nack" && change?.state === "dead" ? { destination: String(row.destination), reason: change.deadReason ?? "" } : null,
  };
}

function toDead({ row, change, state }: Case, actor: string): DeadDelivery {
  return {
    seq: String(row.seq),
    deliveryId: idOf(row),
    producer: String(row.producer),
    halfMessageId: String(row.id),
    messageId: String(row.message_id),
    destination: String(row.destination),
    receiver: row.receiver as string | null,
    attempts: Number(row.attempts),
    from: state,
    reason: change?.deadReason ?? "",
    actor,
  };
}

function idOf(row: Row): string {
  return deliveryId(String(row.seq), String(row.code));
}

/** null: it is none of ours. */
function seqOf(id: string): string | null {
  const [, seq] = /^([1-9][0-9]{0,18})-[0-9a-f]{16}$/.exec(id) ?? [];
  return seq === undefined || BigInt(seq) > 2n ** 63n - 1n ? null : seq;
}

function nameOf(destination: string, lane: string): string {
  return JSON.stringify([destination, lane]);
}

/** By destination, in order. */
function grouped(rows: readonly Row[]): readonly (readonly [destination: string, rows: readonly Row[]])[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const destination = String(row.destination);
    groups.set(destination, [...(groups.get(destination) ?? []), row]);
  }
  return [...groups].sort(([a], [b]) => byBytes(a, b));
}
