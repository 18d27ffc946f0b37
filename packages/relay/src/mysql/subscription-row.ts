import { outboxName } from "@waybill/outbox";
import { type Connection, committedValue, type Namespace, type OwnedTx, type Row, type Statements, tableOf } from "@waybill/sql";
import { decodeDeaths, encodeDeaths } from "../solo-deaths.ts";
import type { Acquisition, CursorToSave, Fence, SubscriptionRow, SubscriptionView } from "../subscriptions.ts";
import { decodeRanges, encodeRanges } from "./encoded-ranges.ts";
import { acquireLease } from "./statements/acquire-lease.ts";
import { ensureSubscription } from "./statements/ensure-subscription.ts";
import { findFreeLease } from "./statements/find-free-lease.ts";
import { limitLockWait } from "./statements/limit-lock-wait.ts";
import { lockSubscription } from "./statements/lock-subscription.ts";
import { readSubscription } from "./statements/read-subscription.ts";
import { releaseLease } from "./statements/release-lease.ts";
import { renewLease } from "./statements/renew-lease.ts";
import { saveCursor } from "./statements/save-cursor.ts";
import { settleAcquisition } from "./statements/settle-acquisition.ts";
import { stopSubscription } from "./statements/stop-subscription.ts";
import { yieldLease } from "./statements/yield-lease.ts";

/** The row of one subscription on MySQL or MariaDB. `stream` and `subscription` are checked names. */
export function mysqlSubscriptionRow(space: Namespace, stream: string, subscription: string): SubscriptionRow {
  const table = tableOf(space, "subscription");
  const outbox = tableOf(space, outboxName(stream));
  const text = {
    acquire: acquireLease(table),
    ensure: ensureSubscription(table, outbox, tableOf(space, "stream")),
    findFree: findFreeLease(table),
    lock: lockSubscription(table),
    read: readSubscription(table),
    release: releaseLease(table),
    renew: renewLease(table),
    save: saveCursor(table),
    settle: settleAcquisition(table),
    stop: stopSubscription(table),
    yield: yieldLease(table),
  };
  const name = [stream, subscription] as const;
  const fenced = (fence: Fence): [string, string, string, string] => [...name, String(fence.epoch), fence.owner];

  return {
    async ensure(statements: Statements, from) {
      await statements.execute(text.ensure, [...name, from === "now" ? 1 : 0, stream]);
    },
    async view(statements, owner) {
      const [row] = await statements.query(text.read, [owner, ...name]);
      return row === undefined ? null : viewOf(row);
    },
    async acquire(connection: Connection, owner, leaseMs, configHash) {
      const operation = "acquire the lease";
      const outcome = await connection.unitOfWork(
        async (tx) => {
          const [row] = await tx.query(text.findFree, [...name, owner]);
          if (row === undefined) return null;
          await tx.execute(text.acquire, [owner, leaseMs, configHash, ...name]);
          return acquisitionOf(row);
        },
        { operation },
      );
      return committedValue(operation, outcome);
    },
    async settleAcquisition(connection, fence, found) {
      const values = [encodeDeaths(found.soloDeaths), found.serverIdentity, found.ledgerIdentity, ...fenced(fence)];
      return (await connection.execute(text.settle, values)) === 1;
    },
    async renew(connection, fence, leaseMs, identity) {
      return (await connection.execute(text.renew, [leaseMs, ...fenced(fence), identity], { name: "waybill_renew" })) === 1;
    },
    async save(connection, fence, leaseMs, identity, cursor: CursorToSave) {
      const values = [
        String(cursor.lastId),
        encodeRanges(cursor.ranges),
        cursor.progressed,
        cursor.soloId === null ? null : String(cursor.soloId),
        encodeDeaths(cursor.soloDeaths),
        leaseMs,
        ...fenced(fence),
        identity,
      ];
      return (await connection.execute(text.save, values, { name: "waybill_save" })) === 1;
    },
    async release(connection, fence) {
      return (await connection.execute(text.release, fenced(fence))) === 1;
    },
    async yield(connection, fence) {
      return (await connection.execute(text.yield, [...name, String(fence.epoch)])) === 1;
    },
    async stop(tx: OwnedTx, fence, reason) {
      return (await tx.execute(text.stop, [reason, ...fenced(fence)])) === 1;
    },
    async lock(tx: OwnedTx, fence, lockMs) {
      // The server counts in whole seconds; MySQL's least is one.
      await tx.execute(limitLockWait, [Math.max(1, Math.round(lockMs / 1_000))]);
      return (await tx.query(text.lock, fenced(fence))).length === 1;
    },
  };
}

function viewOf(row: Row): SubscriptionView {
  return {
    state: row["state"] as SubscriptionView["state"],
    stateReason: row["state_reason"] as string | null,
    isFree: Number(row["is_free"]) === 1, // a bigint on MySQL 9, and so text
    configHash: row["config_hash"] as string | null,
  };
}

/** The row as it was before the lease was taken. */
function acquisitionOf(before: Row): Acquisition {
  return {
    epoch: BigInt(before["epoch"] as string) + 1n,
    cursor: { lastId: BigInt(before["last_id"] as string), ranges: decodeRanges(before["holes"] as string) },
    ownerBefore: before["owner_before"] as string | null,
    progressedBefore: Number(before["progressed_before"]) === 1,
    soloIdBefore: before["solo_id_before"] === null ? null : BigInt(before["solo_id_before"] as string),
    soloDeaths: decodeDeaths(before["solo_deaths"] as string),
    serverIdentity: before["server_identity"] as string | null,
    ledgerIdentity: before["ledger_identity"] as string | null,
  };
}
