/**
 * Claiming deliveries by their lanes, and recording what became of them; over the statements of either dialect.
 *
 *     decide   lanes touched, in order ──▶ rows inserted ──▶ COMMIT                 a lane's rows get their seq while its lane is locked
 *     claim    due lanes leased ──▶ the first row of each that may go ──▶ counted ──▶ COMMIT
 *     record   lanes locked by token ──▶ rows written ──▶ open rows looked for, in a new statement ──▶ none: lane deleted, else freed ──▶ COMMIT
 *
 * A lane is leased, not its rows: what waits behind a blocked key costs no scan, and only one of a key is ever under way. Whoever decides and whoever
 * records meet at the lane's row: either the decision comes first, and its rows are seen by the look for open rows; or the recorder does, and the decision
 * makes the lane anew, or makes it due. So no lane is left without its turn.
 *
 * A crash after the claim ends with the lease: the lane is due again, one attempt older. A crash after the publish is published again, with the same id.
 */
import { newToken } from "@waybill/core";
import type { OwnedTx, Row } from "@waybill/sql";
import { byBytes, bySeq } from "./delivery-plan.ts";
import type {
  Claim,
  ClaimedDelivery,
  ClaimOptions,
  DeadDelivery,
  DeliveryResult,
  NotificationClaimOptions,
  Recorded,
  WriteDead,
} from "./delivery-store.ts";
import type { AttemptRow, DeliveryTables, FreedLane, RecordedRow } from "./delivery-tables.ts";
import { deliveryId } from "./to-delivery.ts";

const errorLengthMax = 500;
/** Of the messages of one claim, unless one alone has more: what a service holds of them is bounded, however many of the largest wait. */
const claimBytesMax = 16 * 1_048_576;

export async function claimDeliveries(
  tables: DeliveryTables,
  tx: OwnedTx,
  { destination, limit, leaseMs, heldMs }: ClaimOptions,
): Promise<Claim> {
  const token = newToken();
  const rowsOf = (rows: number): Promise<readonly string[]> =>
    rows > 0 ? tables.leaseRows(tx, destination, rows, leaseMs, token) : Promise.resolve([]);
  await tables.walkDueIndex(tx, true);
  // Half for what is in no lane, so that neither kind starves beside a backlog of the other; where only one may go, by lot.
  const first = await rowsOf(limit > 1 ? Math.floor(limit / 2) : Number(BigInt(token) & 1n));
  const leased = first.length < limit ? await tables.leaseLanes(tx, destination, limit - first.length, leaseMs, token) : [];
  const alone = [...first, ...(await rowsOf(limit - first.length - leased.length))];
  await tables.walkDueIndex(tx, false);
  const failures = new Map(leased.map((lane) => [lane.lane, lane.failures]));
  const lanes = [...failures.keys()];
  const heads = lanes.length === 0 ? [] : await tables.findHeads(tx, destination, lanes);
  const wanted = [...heads.map(({ seq }) => seq), ...alone];
  const fitting = await withinBytes(tables, tx, wanted);
  const tooMany = alone.filter((seq) => !fitting.has(seq));
  if (tooMany.length > 0) await tables.giveBackRows(tx, tooMany.sort(bySeq));
  const rows = fitting.size === 0 ? [] : await tables.read(tx, [...fitting]);
  const { chosen, held, isCut } = await inPrepareOrder(tables, tx, destination, rows);

  const inLanes = chosen.filter(({ open_lane: lane }) => lane !== null);
  if (inLanes.length > 0) await tables.charge(tx, inLanes.map(({ seq }) => String(seq)).sort(bySeq));
  const taken = new Set(inLanes.map(({ open_lane: lane }) => String(lane)));
  const idle = lanes.filter((lane) => !taken.has(lane));
  await settleLanes(tables, tx, destination, idle, (lane) => ({
    blockedMs: 0,
    afterMs: held.has(lane) ? heldMs : 0,
    failures: failures.get(lane) ?? 0,
  }));
  // What is held, or too large, took places, too: behind it something else may be due.
  const isFull = leased.length + alone.length >= limit || fitting.size < wanted.length || isCut;
  return { destination, token, deliveries: chosen.map(toClaimed), failures, isFull };
}

export async function claimNotifications(
  tables: DeliveryTables,
  tx: OwnedTx,
  { destination, limit, leaseMs, perLane }: NotificationClaimOptions,
): Promise<readonly Claim[]> {
  const token = newToken();
  await tables.walkDueIndex(tx, true);
  const leased = await tables.leaseLanes(tx, destination, limit, leaseMs, token);
  await tables.walkDueIndex(tx, false);
  const wanted: string[] = [];
  for (const isFailing of [false, true]) {
    const lanes = leased.filter(({ failures }) => failures >= perLane.failuresMax === isFailing).map(({ lane }) => lane);
    if (lanes.length === 0) continue;
    const found = await tables.findNotifications(tx, destination, lanes, isFailing ? perLane.failing : perLane.usual);
    wanted.push(...found.map(({ seq }) => seq));
  }
  const fitting = await withinBytes(tables, tx, wanted);
  const isFull = leased.length >= limit || fitting.size < wanted.length;
  const rows = fitting.size === 0 ? [] : await tables.read(tx, [...fitting]);
  if (rows.length > 0) await tables.charge(tx, rows.map(({ seq }) => String(seq)).sort(bySeq));
  const claims = leased.flatMap(({ lane, failures }): readonly Claim[] => {
    const deliveries = rows.filter((row) => row.open_lane === lane).map(toClaimed);
    return deliveries.length === 0 ? [] : [{ destination, token, deliveries, failures: new Map([[lane, failures]]), isFull }];
  });
  const taken = new Set(claims.flatMap(({ failures }) => [...failures.keys()]));
  const idle = leased.filter(({ lane }) => !taken.has(lane));
  const failuresOf = new Map(idle.map(({ lane, failures }) => [lane, failures]));
  await settleLanes(tables, tx, destination, [...failuresOf.keys()], (lane) => ({
    blockedMs: 0,
    afterMs: 0,
    failures: failuresOf.get(lane) ?? 0,
  }));
  return claims;
}

/** Those of these deliveries, the oldest first, whose messages together are not too large; one at least. The lanes of the others are due again at once. */
async function withinBytes(tables: DeliveryTables, tx: OwnedTx, seqs: readonly string[]): Promise<ReadonlySet<string>> {
  if (seqs.length <= 1) return new Set(seqs);
  const sizes = await tables.sizes(tx, [...seqs].sort(bySeq));
  const fitting = new Set<string>();
  let bytes = 0;
  for (const seq of [...seqs].sort(bySeq)) {
    bytes += sizes.get(seq) ?? 0;
    if (fitting.size > 0 && bytes > claimBytesMax) break;
    fitting.add(seq);
  }
  return fitting;
}

/**
 * Where a key's messages go out in the order of their prepares, the row to go is another one than the first to be decided, or none yet: an earlier
 * prepare is undecided, and its lane is held.
 */
async function inPrepareOrder(
  tables: DeliveryTables,
  tx: OwnedTx,
  destination: string,
  rows: readonly Row[],
): Promise<{ readonly chosen: readonly Row[]; readonly held: ReadonlySet<string>; readonly isCut: boolean }> {
  const chosen: Row[] = [];
  const held = new Set<string>();
  let bytes = rows.reduce((sum, row) => sum + bytesOf(row), 0);
  let isCut = false;
  for (const row of rows) {
    const { open_lane: lane, order_key: key, producer } = row;
    if (typeof lane !== "string" || typeof key !== "string") {
      chosen.push(row);
      continue;
    }
    const first = await tables.firstPrepared(tx, { destination, lane, producer: String(producer), key });
    if (first === null || first.blockedBy !== null) held.add(lane);
    else if (first.seq === String(row.seq)) chosen.push(row);
    else {
      // It takes the place of one that was measured.
      const other = await tables.read(tx, [first.seq]);
      bytes += other.reduce((sum, one) => sum + bytesOf(one), 0) - bytesOf(row);
      if (chosen.length === 0 || bytes <= claimBytesMax) chosen.push(...other);
      else isCut = true;
    }
  }
  return { chosen, held, isCut };
}

function bytesOf({ payload }: Row): number {
  return (payload as Uint8Array).length;
}

export async function recordDeliveries(
  tables: DeliveryTables,
  tx: OwnedTx,
  { destination, token }: Claim,
  results: readonly DeliveryResult[],
  writeDead: WriteDead | undefined,
): Promise<Recorded> {
  const lanes = [...new Set(results.flatMap(({ delivery }) => delivery.lane ?? []))].sort(byBytes);
  const owned = new Set(lanes.length === 0 ? [] : await tables.lockLanes(tx, destination, lanes, token));
  const mine = results.filter(({ delivery }) => delivery.lane === null || owned.has(delivery.lane)).sort(inSeqOrder);
  const written = new Set(mine.length === 0 ? [] : await tables.record(tx, mine.map(toRow), token));

  const lost = results.filter(({ delivery, next }) => !written.has(delivery.seq) && next.kind === "acked");
  if (lost.length > 0) await tables.noteConfirmed(tx, lost.map(({ delivery }) => delivery.seq).sort(bySeq));
  const logged = results.filter((result) => result.isLogged && written.has(result.delivery.seq)).sort(inSeqOrder);
  if (logged.length > 0) await tables.logAttempts(tx, logged.map(toAttempt));
  const dead = mine.flatMap(({ delivery, next }): readonly DeadDelivery[] =>
    next.kind === "dead" && written.has(delivery.seq)
      ? [
          {
            ...delivery,
            attempts: delivery.attempt,
            reason: next.reason,
            from: delivery.isRedelivery ? "awaiting_ack" : "pending",
            actor: "service",
          },
        ]
      : [],
  );
  if (dead.length > 0) await writeDead?.(tx, dead);

  const counted = mine.filter(({ delivery }) => written.has(delivery.seq));
  await settleLanes(tables, tx, destination, [...owned], (lane) => laneAfter(counted.filter(({ delivery }) => delivery.lane === lane)));
  return { written, dead };
}

/** What becomes of lanes that we hold or have locked: those with nothing open go, the others are due when their next delivery may go. */
export async function settleLanes(
  tables: DeliveryTables,
  tx: OwnedTx,
  destination: string,
  lanes: readonly string[],
  stateOf: (lane: string) => Omit<FreedLane, "lane">,
): Promise<void> {
  if (lanes.length === 0) return;
  const removed: string[] = [];
  const freed: FreedLane[] = [];
  for (const { lane, afterMs } of await tables.nextOfLanes(tx, destination, [...lanes].sort(byBytes))) {
    const state = stateOf(lane);
    if (afterMs === null) removed.push(lane);
    else freed.push({ lane, ...state, afterMs: Math.max(afterMs, state.afterMs) });
  }
  if (removed.length > 0) await tables.removeLanes(tx, destination, removed);
  if (freed.length > 0) await tables.freeLanes(tx, destination, freed);
}

function laneAfter(results: readonly DeliveryResult[]): Omit<FreedLane, "lane"> {
  let blockedMs = 0;
  let failures = 0;
  for (const { next, lane } of results) {
    if (next.kind === "again" && next.holdsLane) blockedMs = Math.max(blockedMs, next.afterMs);
    if (next.kind === "awaitAck" && next.holdsLane) blockedMs = Math.max(blockedMs, next.deadlineMs);
    if (lane !== undefined) [blockedMs, failures] = [Math.max(blockedMs, lane.blockedMs), lane.failures];
  }
  return { blockedMs, afterMs: 0, failures };
}

function toRow({ delivery, next, outcome, error, isLogged }: DeliveryResult): RecordedRow {
  const isInLane = delivery.lane !== null;
  const row = {
    seq: delivery.seq,
    attempt: delivery.attempt,
    isInLane,
    keepsLane: false,
    dueMs: null,
    notBeforeMs: null,
    givenBack: 0,
    outcome,
    error: error?.slice(0, errorLengthMax) ?? null,
    ackedBy: null,
    deadReason: null,
  } as const;
  switch (next.kind) {
    case "acked":
      return { ...row, state: "acked", ackedBy: "transport" };
    case "dead":
      return { ...row, state: "dead", deadReason: next.reason, givenBack: isLogged ? 0 : 1 };
    case "awaitAck":
      return next.holdsLane
        ? { ...row, state: "awaiting_ack", keepsLane: true }
        : { ...row, state: "awaiting_ack", dueMs: next.deadlineMs };
    case "again": {
      // One that was confirmed before stays what it is: its acknowledgement may still come.
      const again = { ...row, state: delivery.isRedelivery ? "awaiting_ack" : "pending", givenBack: next.isCharged ? 0 : 1 } as const;
      if (!isInLane) return { ...again, dueMs: next.afterMs };
      return { ...again, keepsLane: true, notBeforeMs: next.holdsLane ? null : next.afterMs };
    }
  }
}

function toAttempt({ delivery, outcome, status, error, beganAgoMs, tookMs }: DeliveryResult): AttemptRow {
  const shortError = error?.slice(0, errorLengthMax) ?? null;
  return {
    seq: delivery.seq,
    attempt: delivery.attempt,
    agoMs: beganAgoMs,
    tookMs: Math.round(tookMs),
    outcome,
    status,
    error: shortError,
  };
}

/** Attempts and redeliveries are as they stand in the row after it was counted. */
function toClaimed(row: Row): ClaimedDelivery {
  const isInLane = row.open_lane !== null;
  const isRedelivery = row.state === "awaiting_ack";
  // What is leased by itself was counted by the lease; what is in a lane is counted after it was read.
  const counted = isInLane ? 1 : 0;
  return {
    seq: String(row.seq),
    deliveryId: deliveryId(String(row.seq), String(row.code)),
    producer: String(row.producer),
    halfMessageId: String(row.id),
    messageId: String(row.message_id),
    destination: String(row.destination),
    receiver: row.receiver as string | null,
    lane: row.open_lane as string | null,
    attempt: Number(row.attempts) + counted,
    redeliveries: Number(row.redeliveries) + (isRedelivery ? counted : 0),
    ackMode: row.ack_mode === "explicit" ? "explicit" : "implicit",
    isRedelivery,
    givesUpInMs: row.gives_up_in_ms === null ? null : Number(row.gives_up_in_ms),
    lateMs: Math.max(0, Number(row.late_ms)),
    type: String(row.type),
    topic: String(row.topic),
    key: row.key as string | null,
    businessKey: row.business_key as string | null,
    headers: JSON.parse(String(row.headers)) as Record<string, string>,
    payload: row.payload as Uint8Array,
    traceparent: row.traceparent as string | null,
    preparedAtMs: Number(row.prepared_at_ms),
  };
}

function inSeqOrder(a: DeliveryResult, b: DeliveryResult): number {
  return bySeq(a.delivery.seq, b.delivery.seq);
}
