/**
 * Deliveries and lanes on MySQL and MariaDB.
 *
 * No UPDATE here answers rows, so what is taken is locked first and then changed; and lists of rows travel as so many placeholders, for a comparison
 * with text out of JSON would not be served by an index on names.
 */
import { type Namespace, type OwnedTx, type OwnedValue, type Row, tableOf } from "@waybill/sql";
import { toChange } from "../delivery-change-row.ts";
import type { DeliveryTables, RecordedRow } from "../delivery-tables.ts";
import { deliveryId, toDelivery, toShownAttempt, toShownDelivery } from "../to-delivery.ts";
import { listAttempts } from "./statements/delivery-attempts.ts";
import { changeDeliveries } from "./statements/delivery-change.ts";
import { chargeAttempts } from "./statements/delivery-charge.ts";
import { countOpen } from "./statements/delivery-count-open.ts";
import { dueDestinations } from "./statements/delivery-due-destinations.ts";
import { findDeliveries } from "./statements/delivery-find.ts";
import { findDead } from "./statements/delivery-find-dead.ts";
import { findDueLanes } from "./statements/delivery-find-due-lanes.ts";
import { findDueRows } from "./statements/delivery-find-due-rows.ts";
import { findHeads } from "./statements/delivery-find-heads.ts";
import { findNotifications } from "./statements/delivery-find-notifications.ts";
import { firstPrepared } from "./statements/delivery-first-prepared.ts";
import { freeLanes } from "./statements/delivery-free-lanes.ts";
import { giveBackRows } from "./statements/delivery-give-back.ts";
import { holdLanes } from "./statements/delivery-hold-lanes.ts";
import { insertDeliveries } from "./statements/delivery-insert.ts";
import { leaseLanes } from "./statements/delivery-lease-lanes.ts";
import { leaseRows } from "./statements/delivery-lease-rows.ts";
import { listDeliveries } from "./statements/delivery-list.ts";
import { lockLanes } from "./statements/delivery-lock-lanes.ts";
import { lockRows } from "./statements/delivery-lock-rows.ts";
import { logAttempts } from "./statements/delivery-log-attempts.ts";
import { logDeliveryDecisions } from "./statements/delivery-log-decision.ts";
import { nextOfLanes } from "./statements/delivery-next-of-lanes.ts";
import { noteConfirmed } from "./statements/delivery-note-confirmed.ts";
import { orderedLanes } from "./statements/delivery-ordered-lanes.ts";
import { readDeliveryPayload } from "./statements/delivery-payload.ts";
import { readDeliveries } from "./statements/delivery-read.ts";
import { recordAttempts } from "./statements/delivery-record.ts";
import { removeLanes } from "./statements/delivery-remove-lanes.ts";
import { searchDeliveries } from "./statements/delivery-search.ts";
import { searchNotifications } from "./statements/delivery-search-receiver.ts";
import { deliverySizes } from "./statements/delivery-sizes.ts";
import { touchLanes } from "./statements/delivery-touch-lanes.ts";
import { wakeLane } from "./statements/delivery-wake-lane.ts";
import { wasTried } from "./statements/delivery-was-tried.ts";
import { findReceivers } from "./statements/find-receivers.ts";

/** The most rows that one INSERT carries. */
const insertRowsMax = 200;

/** Backlogs are counted so far. */
const openMax = 10_000;

export function mysqlDeliveryTables(space: Namespace): DeliveryTables {
  const deliveries = tableOf(space, "delivery");
  const lanes = tableOf(space, "delivery_lane");
  const attempts = tableOf(space, "delivery_attempt");
  const bodies = tableOf(space, "half_message_body");
  const receivers = tableOf(space, "receiver");
  const halfMessages = tableOf(space, "half_message");
  const log = tableOf(space, "decision_log");
  const sql = {
    attempts: listAttempts(attempts),
    payload: readDeliveryPayload(deliveries, bodies),
    change: changeDeliveries(deliveries),
    wasTried: wasTried(deliveries, lanes),
    dueDestinations: dueDestinations(deliveries, lanes),
    wakeLane: wakeLane(lanes),
    firstPrepared: firstPrepared(deliveries, halfMessages),
    list: listDeliveries(deliveries),
    record: recordAttempts(deliveries),
  };

  const touch: DeliveryTables["touchLanes"] = async (tx, touched) => {
    for (const part of chunks(touched)) {
      const values = part.flatMap(({ destination, lane, afterMs }) => [destination, lane, afterMs]);
      await tx.execute(touchLanes(lanes, part.length), values);
    }
  };

  return {
    touchLanes: touch,
    async insert(tx, touched, rows) {
      await touch(tx, touched);
      for (const part of chunks(rows)) {
        const values = part.flatMap((row): OwnedValue[] => {
          const waitsInLane = row.lane !== null && (row.delayMs > 0 || row.receiver !== null);
          return [
            row.code,
            row.producer,
            row.id,
            row.ordinal,
            row.messageId,
            row.destination,
            row.receiver,
            row.businessKey,
            row.ackMode,
            row.lane,
            row.lane,
            row.lane === null ? row.delayMs : null,
            waitsInLane ? row.delayMs : null,
            row.giveUpMs === null ? null : row.delayMs + row.giveUpMs,
          ];
        });
        await tx.execute(insertDeliveries(deliveries, part.length), values);
      }
    },

    walkDueIndex: () => Promise.resolve(),
    async leaseLanes(tx, destination, limit, leaseMs, token) {
      const rows = await tx.query(findDueLanes(lanes, limit), [destination]);
      const found = rows.map(({ lane, failures }) => ({ lane: String(lane), failures: Number(failures) }));
      if (found.length > 0)
        await tx.execute(leaseLanes(lanes, found.length), [leaseMs, leaseMs, token, destination, ...found.map(({ lane }) => lane)]);
      return found;
    },
    async leaseRows(tx, destination, limit, leaseMs, token) {
      const seqs = await seqsOf(tx, findDueRows(deliveries, limit), [destination]);
      if (seqs.length > 0) await tx.execute(leaseRows(deliveries, seqs.length), [leaseMs, token, ...seqs]);
      return seqs;
    },
    async findHeads(tx, destination, wanted) {
      const rows = await tx.query(findHeads(deliveries, lanes, wanted.length), [destination, destination, ...wanted]);
      return rows.flatMap(({ lane, seq }) => (seq === null ? [] : [{ lane: lane as string, seq: seq as string }]));
    },
    async findNotifications(tx, destination, wanted, perLane) {
      const found: { lane: string; seq: string }[] = [];
      for (const lane of wanted)
        for (const seq of await seqsOf(tx, findNotifications(deliveries, perLane), [destination, lane])) found.push({ lane, seq });
      return found;
    },
    async firstPrepared(tx, { destination, lane, producer, key }) {
      const [row] = await tx.query(sql.firstPrepared, [producer, key, destination, lane, producer, key]);
      return row === undefined ? null : { seq: String(row.seq), blockedBy: row.blocked_by as string | null };
    },
    async sizes(tx, seqs) {
      const rows = await tx.query(deliverySizes(deliveries, bodies, seqs.length), seqs);
      return new Map(rows.map(({ seq, bytes }) => [String(seq), Number(bytes)]));
    },
    async giveBackRows(tx, seqs) {
      await tx.execute(giveBackRows(deliveries, seqs.length), seqs);
    },
    async charge(tx, seqs) {
      await tx.execute(chargeAttempts(deliveries, seqs.length), seqs);
    },
    read: (tx, seqs) => tx.query(readDeliveries(deliveries, bodies, halfMessages, seqs.length), seqs),

    async lockLanes(tx, destination, wanted, token) {
      const rows = await tx.query(lockLanes(lanes, wanted.length), [destination, ...wanted, token]);
      return rows.map(({ lane }) => String(lane));
    },
    async record(tx, results, token) {
      const standing = await tx.query(
        lockRows(deliveries, results.length),
        results.map(({ seq }) => seq),
      );
      const bySeq = new Map(standing.map((row) => [String(row.seq), row]));
      const locked = results.flatMap((result) => (isAsClaimed(bySeq.get(result.seq), result, token) ? result.seq : []));
      const held = new Set(locked);
      const rows = results.flatMap((result) =>
        held.has(result.seq)
          ? {
              seq: result.seq,
              state: result.state,
              keeps_lane: result.keepsLane ? 1 : 0,
              due_ms: result.dueMs,
              not_before_ms: result.notBeforeMs,
              given_back: result.givenBack,
              outcome: result.outcome,
              error: result.error,
              acked_by: result.ackedBy,
              dead_reason: result.deadReason,
            }
          : [],
      );
      if (rows.length > 0) await tx.execute(sql.record, [JSON.stringify(rows)]);
      return locked;
    },
    async noteConfirmed(tx, seqs) {
      await tx.execute(noteConfirmed(deliveries, seqs.length), seqs);
    },
    async logAttempts(tx, made) {
      for (const part of chunks(made)) {
        const values = part.flatMap(({ seq, attempt, agoMs, tookMs, outcome, status, error }) => [
          seq,
          attempt,
          agoMs,
          tookMs,
          outcome,
          status,
          error,
        ]);
        await tx.execute(logAttempts(attempts, part.length), values);
      }
    },
    async nextOfLanes(tx, destination, wanted) {
      const rows = await tx.query(nextOfLanes(deliveries, lanes, wanted.length), [destination, destination, destination, ...wanted]);
      return rows.map((row) => ({ lane: String(row.lane), afterMs: row.after_ms === null ? null : Number(row.after_ms) }));
    },
    async removeLanes(tx, destination, removed) {
      await tx.execute(removeLanes(lanes, removed.length), [destination, ...removed]);
    },
    async freeLanes(tx, destination, freed) {
      for (const part of chunks(freed)) {
        const values = part.flatMap(({ lane, blockedMs, afterMs, failures }) => [
          destination,
          lane,
          Math.max(afterMs, blockedMs),
          blockedMs,
          failures,
        ]);
        await tx.execute(freeLanes(lanes, part.length), values);
      }
    },

    find: (tx, seqs) => (seqs.length === 0 ? Promise.resolve([]) : tx.query(findDeliveries(deliveries, seqs.length), seqs)),
    lockRows: (tx, seqs) => tx.query(lockRows(deliveries, seqs.length), seqs),
    async holdLanes(tx, destination, wanted) {
      const rows = await tx.query(holdLanes(lanes, wanted.length), [destination, ...wanted]);
      return rows.map((row) => ({ lane: String(row.lane), isLeased: Number(row.is_leased) === 1 }));
    },
    async change(tx, changed) {
      await tx.execute(sql.change, [JSON.stringify(changed.map(toChange))]);
    },
    async logDecisions(tx, entries) {
      for (const part of chunks(entries)) {
        const values = part.flatMap(({ seq, producer, id, event, from, to, actor, reason }) => [
          seq,
          producer,
          id,
          event,
          from,
          to,
          actor,
          reason,
        ]);
        await tx.execute(logDeliveryDecisions(log, part.length), values);
      }
    },
    async orderedLanes(tx, keys) {
      const values = keys.flatMap(({ producer, id }) => [producer, id]);
      const rows = await tx.query(orderedLanes(halfMessages, bodies, keys.length), values);
      return rows.map((row) => ({ key: String(row.order_key), destinations: JSON.parse(String(row.destinations)) as string[] }));
    },
    async wakeLane(tx, destination, lane) {
      await tx.execute(sql.wakeLane, [destination, lane]);
    },
    async findDead(statements, destination, limit) {
      const rows = await statements.query(findDead(deliveries, limit), [destination]);
      return rows.map((row) => deliveryId(String(row.seq), String(row.code)));
    },
    async search(statements, { destination, state, afterSeq, limit }) {
      const rows = await statements.query(searchDeliveries(deliveries, limit), [destination, destination, state, state, afterSeq]);
      return rows.map(toShownDelivery);
    },
    async searchNotifications(statements, { receiver, businessKey, messageId, state, afterSeq, limit }) {
      const values = [receiver, businessKey, businessKey, messageId, messageId, state, state, afterSeq];
      return (await statements.query(searchNotifications(deliveries, limit), values)).map(toShownDelivery);
    },
    async attempts(statements, seq) {
      return (await statements.query(sql.attempts, [seq])).map(toShownAttempt);
    },
    async payload(statements, seq) {
      const [row] = await statements.query(sql.payload, [seq]);
      return row === undefined ? null : (row.payload as Uint8Array);
    },
    async countOpen(statements, destination) {
      const [row] = await statements.query(countOpen(deliveries, openMax), [destination, destination]);
      return Number(row?.open_count);
    },
    async findReceivers(statements, names) {
      if (names.length === 0) return new Set();
      const rows = await statements.query(findReceivers(receivers, names.length), [...names]);
      return new Set(rows.map((row) => row.receiver as string));
    },
    async list(statements, producer, id) {
      return (await statements.query(sql.list, [producer, id])).map(toDelivery);
    },
    async wasTried(statements, destination, withinMs) {
      const [row] = await statements.query(sql.wasTried, [destination, withinMs, withinMs, destination, withinMs, withinMs]);
      return Number(row?.was_tried) === 1;
    },
    async dueDestinations(statements) {
      const rows = await statements.query(sql.dueDestinations, []);
      return rows.map((row) => ({ destination: String(row.destination), afterMs: Number(row.after_ms) }));
    },
  };
}

/** False: our lease was lost, or an acknowledgement came first. */
function isAsClaimed(row: Row | undefined, { attempt, isInLane }: RecordedRow, token: string): boolean {
  if (row === undefined || Number(row.attempts) !== attempt || (row.state !== "pending" && row.state !== "awaiting_ack")) return false;
  return isInLane ? row.open_lane !== null : String(row.lease_token) === token;
}

async function seqsOf(tx: OwnedTx, statement: string, values: readonly OwnedValue[]): Promise<readonly string[]> {
  return (await tx.query(statement, values)).map(({ seq }: Row) => String(seq));
}

function* chunks<T>(rows: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < rows.length; from += insertRowsMax) yield rows.slice(from, from + insertRowsMax);
}
