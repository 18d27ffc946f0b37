/** Deliveries and lanes on PostgreSQL. */
import { type Namespace, tableOf } from "@waybill/sql";
import { toChange } from "../delivery-change-row.ts";
import type { DeliveryTables, NewDelivery, TouchedLane } from "../delivery-tables.ts";
import { deliveryId, toDelivery, toShownAttempt, toShownDelivery } from "../to-delivery.ts";
import { listAttempts } from "./statements/delivery-attempts.ts";
import { changeDeliveries } from "./statements/delivery-change.ts";
import { chargeAttempts } from "./statements/delivery-charge.ts";
import { countOpen } from "./statements/delivery-count-open.ts";
import { dueDestinations } from "./statements/delivery-due-destinations.ts";
import { findDeliveries } from "./statements/delivery-find.ts";
import { findDead } from "./statements/delivery-find-dead.ts";
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
import { planFreely, walkDueIndex } from "./statements/walk-due-index.ts";

/** Backlogs are counted so far. */
const openMax = 10_000;

export function postgresDeliveryTables(space: Namespace): DeliveryTables {
  const deliveries = tableOf(space, "delivery");
  const lanes = tableOf(space, "delivery_lane");
  const attempts = tableOf(space, "delivery_attempt");
  const bodies = tableOf(space, "half_message_body");
  const receivers = tableOf(space, "receiver");
  const halfMessages = tableOf(space, "half_message");
  const sql = {
    attempts: listAttempts(attempts),
    payload: readDeliveryPayload(deliveries, bodies),
    change: changeDeliveries(deliveries),
    charge: chargeAttempts(deliveries),
    countOpen: countOpen(deliveries),
    find: findDeliveries(deliveries),
    giveBackRows: giveBackRows(deliveries),
    sizes: deliverySizes(deliveries, bodies),
    findDead: findDead(deliveries),
    holdLanes: holdLanes(lanes),
    lockRows: lockRows(deliveries),
    logDecisions: logDeliveryDecisions(tableOf(space, "decision_log")),
    orderedLanes: orderedLanes(halfMessages, bodies),
    search: searchDeliveries(deliveries),
    searchNotifications: searchNotifications(deliveries),
    wakeLane: wakeLane(lanes),
    wasTried: wasTried(deliveries, lanes),
    dueDestinations: dueDestinations(deliveries, lanes),
    findHeads: findHeads(deliveries),
    findNotifications: findNotifications(deliveries),
    firstPrepared: firstPrepared(deliveries, halfMessages),
    freeLanes: freeLanes(lanes),
    insert: insertDeliveries(deliveries, lanes),
    leaseLanes: leaseLanes(lanes),
    leaseRows: leaseRows(deliveries),
    lockLanes: lockLanes(lanes),
    logAttempts: logAttempts(attempts),
    nextOfLanes: nextOfLanes(deliveries),
    noteConfirmed: noteConfirmed(deliveries),
    read: readDeliveries(deliveries, bodies, halfMessages),
    list: listDeliveries(deliveries),
    record: recordAttempts(deliveries),
    removeLanes: removeLanes(lanes),
    touchLanes: touchLanes(lanes),
  };

  return {
    async touchLanes(tx, touched) {
      await tx.execute(sql.touchLanes, [JSON.stringify(touched.map(toTouched))], { name: "delivery-touch-lanes" });
    },
    async insert(tx, touched, rows) {
      const values = [JSON.stringify(touched.map(toTouched)), JSON.stringify(rows.map(toInsert))];
      await tx.execute(sql.insert, values, { name: "delivery-insert" });
    },

    async walkDueIndex(tx, isOn) {
      await tx.query(isOn ? walkDueIndex : planFreely, [], { name: isOn ? "walk-due-index" : "plan-freely" });
    },
    async leaseLanes(tx, destination, limit, leaseMs, token) {
      const rows = await tx.query(sql.leaseLanes, [destination, limit, leaseMs, token], { name: "delivery-lease-lanes" });
      return rows.map(({ lane, failures }) => ({ lane: String(lane), failures: Number(failures) }));
    },
    async leaseRows(tx, destination, limit, leaseMs, token) {
      const rows = await tx.query(sql.leaseRows, [destination, limit, leaseMs, token], { name: "delivery-lease-rows" });
      return rows.map(({ seq }) => String(seq));
    },
    async findHeads(tx, destination, wanted) {
      const rows = await tx.query(sql.findHeads, [destination, wanted], { name: "delivery-find-heads" });
      return rows.map(({ lane, seq }) => ({ lane: String(lane), seq: String(seq) }));
    },
    async findNotifications(tx, destination, wanted, perLane) {
      const rows = await tx.query(sql.findNotifications, [destination, wanted, perLane], { name: "delivery-find-notifications" });
      return rows.map(({ lane, seq }) => ({ lane: String(lane), seq: String(seq) }));
    },
    async firstPrepared(tx, { destination, lane, producer, key }) {
      const [row] = await tx.query(sql.firstPrepared, [destination, lane, producer, key]);
      return row === undefined ? null : { seq: String(row.seq), blockedBy: row.blocked_by as string | null };
    },
    async sizes(tx, seqs) {
      const rows = await tx.query(sql.sizes, [seqs], { name: "delivery-sizes" });
      return new Map(rows.map(({ seq, bytes }) => [String(seq), Number(bytes)]));
    },
    async giveBackRows(tx, seqs) {
      await tx.execute(sql.giveBackRows, [seqs]);
    },
    async charge(tx, seqs) {
      await tx.execute(sql.charge, [seqs], { name: "delivery-charge" });
    },
    read: (tx, seqs) => tx.query(sql.read, [seqs], { name: "delivery-read" }),

    async lockLanes(tx, destination, wanted, token) {
      const rows = await tx.query(sql.lockLanes, [destination, wanted, token]);
      return rows.map(({ lane }) => String(lane));
    },
    async record(tx, results, token) {
      const rows = results.map((result) => ({
        seq: result.seq,
        attempt: result.attempt,
        in_lane: result.isInLane ? 1 : 0,
        state: result.state,
        keeps_lane: result.keepsLane ? 1 : 0,
        due_ms: result.dueMs,
        not_before_ms: result.notBeforeMs,
        given_back: result.givenBack,
        outcome: result.outcome,
        error: result.error,
        acked_by: result.ackedBy,
        dead_reason: result.deadReason,
      }));
      const written = await tx.query(sql.record, [JSON.stringify(rows), token], { name: "delivery-record" });
      return written.map(({ seq }) => String(seq));
    },
    async noteConfirmed(tx, seqs) {
      await tx.execute(sql.noteConfirmed, [seqs]);
    },
    async logAttempts(tx, made) {
      const rows = made.map(({ seq, attempt, agoMs, tookMs, outcome, status, error }) => ({
        seq,
        attempt,
        ago_ms: agoMs,
        took_ms: tookMs,
        outcome,
        status,
        error,
      }));
      await tx.execute(sql.logAttempts, [JSON.stringify(rows)], { name: "delivery-log-attempts" });
    },
    async nextOfLanes(tx, destination, wanted) {
      const rows = await tx.query(sql.nextOfLanes, [destination, wanted], { name: "delivery-next-of-lanes" });
      return rows.map((row) => ({ lane: String(row.lane), afterMs: row.after_ms === null ? null : Number(row.after_ms) }));
    },
    async removeLanes(tx, destination, removed) {
      await tx.execute(sql.removeLanes, [destination, removed]);
    },
    async freeLanes(tx, destination, freed) {
      const rows = freed.map(({ lane, blockedMs, afterMs, failures }) => ({ lane, blocked_ms: blockedMs, after_ms: afterMs, failures }));
      const names = freed.map(({ lane }) => lane);
      await tx.execute(sql.freeLanes, [destination, names, JSON.stringify(rows)]);
    },

    find: (tx, seqs) => (seqs.length === 0 ? Promise.resolve([]) : tx.query(sql.find, [seqs], { name: "delivery-find" })),
    lockRows: (tx, seqs) => tx.query(sql.lockRows, [seqs], { name: "delivery-lock-rows" }),
    async holdLanes(tx, destination, wanted) {
      const rows = await tx.query(sql.holdLanes, [destination, wanted]);
      return rows.map((row) => ({ lane: String(row.lane), isLeased: Number(row.is_leased) === 1 }));
    },
    async change(tx, changed) {
      await tx.execute(sql.change, [JSON.stringify(changed.map(toChange))], { name: "delivery-change" });
    },
    async logDecisions(tx, entries) {
      const rows = entries.map(({ from, to, ...entry }) => ({ ...entry, from_state: from, to_state: to }));
      await tx.execute(sql.logDecisions, [JSON.stringify(rows)]);
    },
    async orderedLanes(tx, keys) {
      const rows = await tx.query(sql.orderedLanes, [keys.map(({ producer }) => producer), keys.map(({ id }) => id)]);
      return rows.map((row) => ({ key: String(row.order_key), destinations: JSON.parse(String(row.destinations)) as string[] }));
    },
    async wakeLane(tx, destination, lane) {
      await tx.execute(sql.wakeLane, [destination, lane]);
    },
    async findDead(statements, destination, limit) {
      const rows = await statements.query(sql.findDead, [destination, limit]);
      return rows.map((row) => deliveryId(String(row.seq), String(row.code)));
    },
    async search(statements, { destination, state, afterSeq, limit }) {
      return (await statements.query(sql.search, [destination, state, afterSeq, limit])).map(toShownDelivery);
    },
    async searchNotifications(statements, { receiver, businessKey, messageId, state, afterSeq, limit }) {
      const rows = await statements.query(sql.searchNotifications, [receiver, businessKey, messageId, state, afterSeq, limit]);
      return rows.map(toShownDelivery);
    },
    async attempts(statements, seq) {
      return (await statements.query(sql.attempts, [seq])).map(toShownAttempt);
    },
    async payload(statements, seq) {
      const [row] = await statements.query(sql.payload, [seq]);
      return row === undefined ? null : (row.payload as Uint8Array);
    },
    async countOpen(statements, destination) {
      const [row] = await statements.query(sql.countOpen, [destination, openMax]);
      return Number(row?.open_count);
    },
    async findReceivers(statements, names) {
      if (names.length === 0) return new Set();
      const rows = await statements.query(findReceivers(receivers), [names]);
      return new Set(rows.map((row) => row.receiver as string));
    },
    async list(statements, producer, id) {
      return (await statements.query(sql.list, [producer, id])).map(toDelivery);
    },
    async wasTried(statements, destination, withinMs) {
      const [row] = await statements.query(sql.wasTried, [destination, withinMs]);
      return row?.was_tried === true;
    },
    async dueDestinations(statements) {
      const rows = await statements.query(sql.dueDestinations, [], { name: "delivery-due-destinations" });
      return rows.map((row) => ({ destination: String(row.destination), afterMs: Number(row.after_ms) }));
    },
  };
}

function toTouched({ destination, lane, afterMs }: TouchedLane): object {
  return { destination, lane, after_ms: afterMs };
}

function toInsert(delivery: NewDelivery, place: number): object {
  return {
    place,
    code: delivery.code,
    producer: delivery.producer,
    id: delivery.id,
    ordinal: delivery.ordinal,
    message_id: delivery.messageId,
    destination: delivery.destination,
    receiver: delivery.receiver,
    business_key: delivery.businessKey,
    ack_mode: delivery.ackMode,
    lane: delivery.lane,
    delay_ms: delivery.delayMs,
    give_up_ms: delivery.giveUpMs,
  };
}
