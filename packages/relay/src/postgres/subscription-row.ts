import { outboxName } from "@waybill/outbox";
import { type Connection, type Namespace, type OwnedTx, type Row, type Statements, tableOf } from "@waybill/sql";
import { decodeDeaths, encodeDeaths } from "../solo-deaths.ts";
import type { Acquisition, CursorToSave, Fence, SubscriptionRow, SubscriptionView } from "../subscriptions.ts";
import { decodeRanges } from "./encoded-ranges.ts";
import { acquireLease } from "./statements/acquire-lease.ts";
import { ensureSubscription } from "./statements/ensure-subscription.ts";
import { lockSubscription } from "./statements/lock-subscription.ts";
import { readSubscription } from "./statements/read-subscription.ts";
import { releaseLease } from "./statements/release-lease.ts";
import { renewLease } from "./statements/renew-lease.ts";
import { saveCursor } from "./statements/save-cursor.ts";
import { settleAcquisition } from "./statements/settle-acquisition.ts";
import { stopSubscription } from "./statements/stop-subscription.ts";
import { yieldLease } from "./statements/yield-lease.ts";

/** The row of one subscription on PostgreSQL. `stream` and `subscription` are checked names. */
export function postgresSubscriptionRow(space: Namespace, stream: string, subscription: string): SubscriptionRow {
  const table = tableOf(space, "subscription");
  const idSequence = tableOf(space, `${outboxName(stream)}_id_seq`);
  const text = {
    acquire: acquireLease(table),
    ensure: ensureSubscription(table, idSequence, tableOf(space, "stream")),
    lock: lockSubscription(table),
    read: readSubscription(table),
    release: releaseLease(table),
    renew: renewLease(table),
    save: saveCursor(table),
    settle: settleAcquisition(table),
    stop: stopSubscription(table),
    yield: yieldLease(table),
  };
  const fenced = (fence: Fence): [string, string, string, string] => [stream, subscription, String(fence.epoch), fence.owner];

  return {
    async ensure(statements: Statements, from) {
      await statements.query(text.ensure, [stream, subscription, from === "now"]);
    },
    async view(statements, owner) {
      const [row] = await statements.query(text.read, [stream, subscription, owner]);
      return row === undefined ? null : viewOf(row);
    },
    async acquire(connection: Connection, owner, leaseMs, configHash) {
      const [row] = await connection.query(text.acquire, [stream, subscription, owner, leaseMs, configHash]);
      return row === undefined ? null : acquisitionOf(row);
    },
    async settleAcquisition(connection, fence, found) {
      const values = [...fenced(fence), encodeDeaths(found.soloDeaths), found.serverIdentity, found.ledgerIdentity];
      return (await connection.query(text.settle, values)).length === 1;
    },
    async renew(connection, fence, leaseMs, identity) {
      return (await connection.query(text.renew, [...fenced(fence), leaseMs, identity], { name: "waybill_renew" })).length === 1;
    },
    async save(connection, fence, leaseMs, identity, cursor: CursorToSave) {
      const values = [
        ...fenced(fence),
        leaseMs,
        identity,
        String(cursor.lastId),
        cursor.ranges.map((range) => String(range.low)),
        cursor.ranges.map((range) => String(range.high)),
        cursor.progressed,
        cursor.soloId === null ? null : String(cursor.soloId),
        encodeDeaths(cursor.soloDeaths),
        cursor.isDurable ? "on" : "off",
      ];
      return (await connection.query(text.save, values, { name: "waybill_save" })).length === 1;
    },
    async release(connection, fence) {
      return (await connection.query(text.release, fenced(fence))).length === 1;
    },
    async yield(connection, fence) {
      return (await connection.query(text.yield, [stream, subscription, String(fence.epoch)])).length === 1;
    },
    async stop(tx: OwnedTx, fence, reason) {
      return (await tx.query(text.stop, [...fenced(fence), reason])).length === 1;
    },
    async lock(tx: OwnedTx, fence, lockMs) {
      return (await tx.query(text.lock, [...fenced(fence), `${lockMs}ms`])).length === 1;
    },
  };
}

function viewOf(row: Row): SubscriptionView {
  return {
    state: row["state"] as SubscriptionView["state"],
    stateReason: row["state_reason"] as string | null,
    isFree: row["is_free"] === true,
    configHash: row["config_hash"] as string | null,
  };
}

function acquisitionOf(row: Row): Acquisition {
  return {
    epoch: BigInt(row["epoch"] as string),
    cursor: {
      lastId: BigInt(row["last_id"] as string),
      ranges: decodeRanges(row["hole_lo"] as readonly string[], row["hole_hi"] as readonly string[]),
    },
    ownerBefore: row["owner_before"] as string | null,
    progressedBefore: row["progressed_before"] === true,
    soloIdBefore: row["solo_id_before"] === null ? null : BigInt(row["solo_id_before"] as string),
    soloDeaths: decodeDeaths(row["solo_deaths"] as string),
    serverIdentity: row["server_identity"] as string | null,
    ledgerIdentity: row["ledger_identity"] as string | null,
  };
}
