import { committedValue, type Namespace, type OwnedTx, type Row, tableOf } from "@waybill/sql";
import type { NewHalfMessage } from "../store.ts";
import type { HalfMessageTable } from "../table.ts";
import { toClaimed, toDecidedRows, toLogEntry, toRouted, toStanding } from "../to-standing.ts";
import { keyValues } from "./key-values.ts";
import { checkNow } from "./statements/check-now.ts";
import { claimChecks } from "./statements/claim-checks.ts";
import { countUndecided } from "./statements/count-undecided.ts";
import { decideRows } from "./statements/decide.ts";
import { dueProducers } from "./statements/due-producers.ts";
import { extend } from "./statements/extend.ts";
import { findBlocker } from "./statements/find-blocker.ts";
import { findOverdue } from "./statements/find-overdue.ts";
import { insertBodies } from "./statements/insert-bodies.ts";
import { insertDecided } from "./statements/insert-decided.ts";
import { insertHalfMessages } from "./statements/insert-half-messages.ts";
import { insertLog } from "./statements/insert-log.ts";
import { insertNonce } from "./statements/insert-nonce.ts";
import { list } from "./statements/list.ts";
import { listAll } from "./statements/list-all.ts";
import { lockStandings } from "./statements/lock-standings.ts";
import { nextDeadline } from "./statements/next-deadline.ts";
import { readLog } from "./statements/read-log.ts";
import { readNow } from "./statements/read-now.ts";
import { readPayload } from "./statements/read-payload.ts";
import { readRouted } from "./statements/read-routed.ts";
import { readStandings } from "./statements/read-standings.ts";
import { releaseCheck } from "./statements/release-check.ts";
import { resume } from "./statements/resume.ts";
import { suspend } from "./statements/suspend.ts";
import { walkDueIndex } from "./statements/walk-due-index.ts";
import { writeChecked } from "./statements/write-checked.ts";

/**
 * Half messages on PostgreSQL. Batches travel as one JSON value, whatever their length: one text of a statement. What looks up rows has no name and so no
 * plan that is kept: one made while a table was small reads all of it when it is large, until the server analyses it. The exceptions are made for units that
 * look up by index (`byIndex`), and written so that nothing but an index is left.
 */
export function postgresHalfMessageTable(space: Namespace): HalfMessageTable {
  const halfMessages = tableOf(space, "half_message");
  const bodies = tableOf(space, "half_message_body");
  const log = tableOf(space, "decision_log");
  const sql = {
    checkNow: checkNow(halfMessages),
    claimChecks: claimChecks(halfMessages),
    countUndecided: countUndecided(halfMessages),
    decide: decideRows(halfMessages, bodies, log),
    dueProducers: dueProducers(halfMessages),
    extend: extend(halfMessages),
    findBlocker: findBlocker(halfMessages),
    findOverdue: findOverdue(halfMessages),
    nextDeadline: nextDeadline(halfMessages),
    insertBodies: insertBodies(bodies),
    insertDecided: insertDecided(halfMessages),
    insertHalfMessages: insertHalfMessages(halfMessages, bodies),
    insertLog: insertLog(log),
    insertNonce: insertNonce(tableOf(space, "nonce")),
    list: list(halfMessages),
    listAll: listAll(halfMessages),
    lock: lockStandings(halfMessages),
    readLog: readLog(log),
    readPayload: readPayload(bodies),
    readRouted: readRouted(bodies),
    read: readStandings(halfMessages),
    releaseCheck: releaseCheck(halfMessages),
    resume: resume(halfMessages),
    suspend: suspend(halfMessages),
    writeChecked: writeChecked(halfMessages),
  };
  return {
    async insertNew(tx, rows) {
      const values = rows.map(({ halfMessage, prepareToken }) => ({
        ...columnsOf(halfMessage),
        prepare_token: prepareToken,
        prepared_by: halfMessage.preparedBy,
        suspend_after_ms: halfMessage.suspendAfterMs,
        check_after_ms: halfMessage.checkAfterMs,
      }));
      const messages = JSON.stringify(rows.flatMap(({ halfMessage }) => bodiesOf(halfMessage)));
      const fresh = await tx.query(sql.insertHalfMessages, [JSON.stringify(values), messages], { name: "half-insert" });
      return fresh.map(toStanding);
    },
    async insertDecided(tx, rows, purgeAfterMs) {
      const values = rows.map(({ producer, id, to, actor, keyId, prepareToken, body }) => ({
        ...(body === null ? { message_count: 0 } : columnsOf(body)),
        producer,
        id,
        state: to,
        prepare_token: prepareToken,
        prepared_by: keyId,
        actor,
      }));
      await tx.execute(sql.insertDecided, [JSON.stringify(values), purgeAfterMs], { name: "half-insert-decided" });
    },
    async insertBodies(tx, all) {
      const values = all.flatMap(bodiesOf);
      await tx.execute(sql.insertBodies, [JSON.stringify(values)], { name: "half-insert-bodies" });
    },
    async insertLog(tx, entries) {
      const values = entries.map(({ producer, id, event, from, to, actor, reason, checkNumber }) => {
        return { producer, id, event, from_state: from, to_state: to, actor, reason, check_number: checkNumber };
      });
      await tx.execute(sql.insertLog, [JSON.stringify(values)], { name: "half-insert-log" });
    },
    read: async (statements, keys) => (await statements.query(sql.read, [keyValues(keys)])).map(toStanding),
    lock: async (tx, keys) => (await tx.query(sql.lock, [keyValues(keys)], { name: "half-lock" })).map(toStanding),
    async decide(tx, rows, purgeAfterMs) {
      const values = rows.map(({ producer, id, version, from, to, actor, lastCheck, reason, checkNumber }) => {
        return { producer, id, version, from_state: from, state: to, actor, last_check: lastCheck, reason, check_number: checkNumber };
      });
      return toDecidedRows(await tx.query(sql.decide, [JSON.stringify(values), purgeAfterMs], { name: "half-decide" }));
    },
    checked(tx, row) {
      const { producer, id, version, isAnswered, lastCheck, checkAfterMs, notFound, isSuspended } = row;
      return tx.execute(sql.writeChecked, [producer, id, version, isAnswered, lastCheck, checkAfterMs, notFound, isSuspended]);
    },
    extend: (tx, { producer, id }, forMs) => tx.execute(sql.extend, [producer, id, forMs]),
    suspend: (tx, { producer, id }, checkAfterMs) => tx.execute(sql.suspend, [producer, id, checkAfterMs]),
    resume: (tx, { producer, id }, suspendAfterMs) => tx.execute(sql.resume, [producer, id, suspendAfterMs]),
    checkNow: (tx, { producer, id }) => tx.execute(sql.checkNow, [producer, id]),
    readRouted: async (tx, keys) => (await tx.query(sql.readRouted, [keyValues(keys)])).map(toRouted),

    async readLog(statements, { producer, id }) {
      return (await statements.query(sql.readLog, [producer, id])).map(toLogEntry);
    },
    async list(statements, producer, state, after, limit) {
      return (await statements.query(sql.list, [producer, state, after, limit])).map(toStanding);
    },
    async listAll(statements, state, after, limit) {
      return (await statements.query(sql.listAll, [state, after.producer, after.id, limit])).map(toStanding);
    },
    async readPayload(statements, { producer, id }, ordinal) {
      const [row] = await statements.query(sql.readPayload, [producer, id, ordinal]);
      return row === undefined ? null : (row.payload as Uint8Array);
    },
    async findBlocker(statements, { producer, id }) {
      const [row] = await statements.query(sql.findBlocker, [producer, id]);
      return row === undefined ? null : (row.id as string);
    },
    async countUndecided(statements, producer, max) {
      const [row] = await statements.query(sql.countUndecided, [producer, max]);
      return Number(row?.undecided);
    },

    async nextDeadline(statements, producer) {
      const [row] = await statements.query(sql.nextDeadline, [producer]);
      return row === undefined || row.after_ms === null ? null : Number(row.after_ms);
    },
    async dueProducers(statements) {
      const rows = await statements.query(sql.dueProducers, []);
      return rows.map((row) => ({ producer: row.producer as string, afterMs: Number(row.after_ms) }));
    },
    async claimChecks(units, producer, max, leaseMs, token) {
      const claim = async (tx: OwnedTx): Promise<readonly Row[]> => {
        await tx.query(walkDueIndex, []);
        return tx.query(sql.claimChecks, [producer, max, leaseMs, token]);
      };
      const operation = "claim of checks";
      return committedValue(operation, await units.unitOfWork(claim, { operation })).map((row) => toClaimed(row, token));
    },
    async releaseCheck(statements, { producer, id }, token) {
      await statements.execute(sql.releaseCheck, [producer, id, token]);
    },
    async overdue(statements, producer, graceMs, max) {
      return (await statements.query(sql.findOverdue, [producer, graceMs, max])).map((row) => row.id as string);
    },

    async nowMs(statements) {
      const [row] = await statements.query(readNow, []);
      return Number(row?.now_ms);
    },
    async insertNonce(tx, { keyId, nonce, expiresAfterMs }) {
      return (await tx.execute(sql.insertNonce, [keyId, nonce, expiresAfterMs])) === 1;
    },
  };
}

function columnsOf({
  producer,
  id,
  fingerprint,
  barrier,
  orderKey,
  traceparent,
  messages,
}: NewHalfMessage): Readonly<Record<string, unknown>> {
  return { producer, id, fingerprint, message_count: messages.length, barrier, order_key: orderKey, traceparent };
}

function bodiesOf({ producer, id, messages }: NewHalfMessage): readonly object[] {
  return messages.map((message, ordinal) => ({
    producer,
    id,
    ordinal,
    message_id: message.messageId,
    type: message.type,
    topic: message.topic,
    key: message.key,
    business_key: message.businessKey,
    delay_ms: message.delayMs,
    headers: JSON.stringify(message.headers),
    payload: Buffer.from(message.payload).toString("base64"),
    destinations: JSON.stringify(message.destinations),
  }));
}
