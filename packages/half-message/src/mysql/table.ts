import { isWaybillError } from "@waybill/core";
import { committedValue, type Namespace, type OwnedTx, type OwnedValue, tableOf } from "@waybill/sql";
import type { ClaimedCheck, NewHalfMessage } from "../store.ts";
import type { DecidedRow, HalfMessageTable } from "../table.ts";
import { toClaimed, toDecidedRows, toLogEntry, toRouted, toStanding } from "../to-standing.ts";
import { keysByProducer } from "./key-values.ts";
import { checkNow } from "./statements/check-now.ts";
import { claimChecks } from "./statements/claim-checks.ts";
import { countUndecided } from "./statements/count-undecided.ts";
import { decideRows } from "./statements/decide.ts";
import { dueProducers } from "./statements/due-producers.ts";
import { extend } from "./statements/extend.ts";
import { findBlocker } from "./statements/find-blocker.ts";
import { findDueChecks } from "./statements/find-due-checks.ts";
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
import { readDecided } from "./statements/read-decided.ts";
import { readLog } from "./statements/read-log.ts";
import { readNow } from "./statements/read-now.ts";
import { readPayload } from "./statements/read-payload.ts";
import { readRouted } from "./statements/read-routed.ts";
import { readStandings } from "./statements/read-standings.ts";
import { releaseCheck } from "./statements/release-check.ts";
import { resume } from "./statements/resume.ts";
import { suspend } from "./statements/suspend.ts";
import { writeChecked } from "./statements/write-checked.ts";

const duplicateKey = 1062;

/** Half messages on MySQL and MariaDB. */
export function mysqlHalfMessageTable(space: Namespace): HalfMessageTable {
  const halfMessages = tableOf(space, "half_message");
  const bodies = tableOf(space, "half_message_body");
  const log = tableOf(space, "decision_log");
  const sql = {
    checkNow: checkNow(halfMessages),
    countUndecided: countUndecided(halfMessages),
    dueProducers: dueProducers(halfMessages),
    extend: extend(halfMessages),
    findDueChecks: findDueChecks(halfMessages),
    findBlocker: findBlocker(halfMessages),
    findOverdue: findOverdue(halfMessages),
    nextDeadline: nextDeadline(halfMessages),
    insertNonce: insertNonce(tableOf(space, "nonce")),
    list: list(halfMessages),
    listAll: listAll(halfMessages),
    readLog: readLog(log),
    readPayload: readPayload(bodies),
    releaseCheck: releaseCheck(halfMessages),
    resume: resume(halfMessages),
    suspend: suspend(halfMessages),
    writeChecked: writeChecked(halfMessages),
  };

  const table: HalfMessageTable = {
    async insertNew(tx, rows) {
      const values = rows.flatMap(({ halfMessage, prepareToken }) => [
        ...columnsOf(halfMessage, prepareToken),
        halfMessage.orderKey,
        halfMessage.orderKey === null ? null : 1,
        halfMessage.traceparent,
        halfMessage.preparedBy,
        halfMessage.suspendAfterMs,
        halfMessage.checkAfterMs,
      ]);
      await tx.execute(insertHalfMessages(halfMessages, rows.length), values);
      // Nothing says which of them were inserted but their tokens.
      const standings = await table.read(
        tx,
        rows.map(({ halfMessage }) => halfMessage),
      );
      const tokens = new Set(standings.map(({ producer, id, prepareToken }) => `${producer}/${id}/${prepareToken}`));
      const fresh = rows.filter(({ halfMessage: { producer, id }, prepareToken }) => tokens.has(`${producer}/${id}/${prepareToken}`));
      if (fresh.length > 0)
        await table.insertBodies(
          tx,
          fresh.map(({ halfMessage }) => halfMessage),
        );
      return standings;
    },
    async insertDecided(tx, rows, purgeAfterMs) {
      const values = rows.flatMap(({ producer, id, to, actor, keyId, prepareToken, body }): OwnedValue[] => [
        producer,
        id,
        to,
        body?.fingerprint ?? null,
        body?.messages.length ?? 0,
        prepareToken,
        body?.barrier ?? null,
        body?.orderKey ?? null,
        body?.traceparent ?? null,
        keyId,
        actor,
        purgeAfterMs,
      ]);
      await tx.execute(insertDecided(halfMessages, rows.length), values);
    },
    async insertBodies(tx, all) {
      const rows = all.flatMap(({ producer, id, messages }) =>
        messages.map((message, ordinal): OwnedValue[] => [
          producer,
          id,
          ordinal,
          message.messageId,
          message.type,
          message.topic,
          message.key,
          message.businessKey,
          message.delayMs,
          JSON.stringify(message.headers),
          message.payload,
          JSON.stringify(message.destinations),
        ]),
      );
      await tx.execute(insertBodies(bodies, rows.length), rows.flat());
    },
    async insertLog(tx, entries) {
      const values = entries.flatMap(({ producer, id, event, from, to, actor, reason, checkNumber }) => {
        return [producer, id, event, from, to, actor, reason, checkNumber];
      });
      await tx.execute(insertLog(log, entries.length), values);
    },
    async read(statements, keys) {
      const { counts, values } = keysByProducer(keys);
      return (await statements.query(readStandings(halfMessages, counts), values)).map(toStanding);
    },
    async lock(tx, keys) {
      const { counts, values } = keysByProducer(keys);
      return (await tx.query(lockStandings(halfMessages, counts), values)).map(toStanding);
    },
    async decide(tx, rows, purgeAfterMs) {
      let decided = 0;
      for (const alike of groupsOf(rows)) {
        const { producer, version, to, actor, lastCheck } = alike[0] as DecidedRow;
        const keys = [producer, version, ...alike.map(({ id }) => id)];
        const values = [to, actor, purgeAfterMs, lastCheck, lastCheck, lastCheck, ...keys];
        decided += await tx.execute(decideRows(halfMessages, alike.length), values);
      }
      if (decided !== rows.length) return { decided: [], messages: [] };
      await table.insertLog(
        tx,
        rows.map((row) => ({ ...row, event: row.to })),
      );
      const { counts, values } = keysByProducer(rows);
      return toDecidedRows(await tx.query(readDecided(halfMessages, bodies, counts), values));
    },
    checked(tx, { producer, id, version, isAnswered, lastCheck, checkAfterMs, notFound, isSuspended }) {
      const [answered, suspended] = [isAnswered ? 1 : 0, isSuspended ? 1 : 0];
      const what = [checkAfterMs, answered, answered, answered, notFound, lastCheck, suspended, suspended, suspended];
      return tx.execute(sql.writeChecked, [...what, producer, id, version]);
    },
    extend: (tx, { producer, id }, forMs) => tx.execute(sql.extend, [forMs, forMs, producer, id]),
    suspend: (tx, { producer, id }, checkAfterMs) => tx.execute(sql.suspend, [checkAfterMs, producer, id]),
    resume: (tx, { producer, id }, suspendAfterMs) => tx.execute(sql.resume, [suspendAfterMs, producer, id]),
    checkNow: (tx, { producer, id }) => tx.execute(sql.checkNow, [producer, id]),
    async readRouted(tx, keys) {
      const { counts, values } = keysByProducer(keys);
      return (await tx.query(readRouted(bodies, counts), values)).map(toRouted);
    },

    async readLog(statements, { producer, id }) {
      return (await statements.query(sql.readLog, [producer, id])).map(toLogEntry);
    },
    async list(statements, producer, state, after, limit) {
      return (await statements.query(sql.list, [producer, state, state, after, limit])).map(toStanding);
    },
    async listAll(statements, state, after, limit) {
      const values = [state, state, after.producer, after.producer, after.id, limit];
      return (await statements.query(sql.listAll, values)).map(toStanding);
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
      return rows.flatMap((row) => {
        return row.after_ms === null ? [] : [{ producer: row.producer as string, afterMs: Number(row.after_ms) }];
      });
    },
    async claimChecks(units, producer, max, leaseMs, token) {
      const claim = async (tx: OwnedTx): Promise<readonly ClaimedCheck[]> => {
        const due = await tx.query(sql.findDueChecks, [producer, max]);
        if (due.length === 0) return [];
        const ids = due.map((row) => row.id as string);
        await tx.execute(claimChecks(halfMessages, ids.length), [leaseMs, token, producer, ...ids]);
        return due.map((row) => toClaimed(row, token));
      };
      const operation = "claim of checks";
      return committedValue(operation, await units.unitOfWork(claim, { operation }));
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
      try {
        await tx.execute(sql.insertNonce, [keyId, nonce, expiresAfterMs]);
        return true;
      } catch (error) {
        if (isWaybillError(error, "WAYBILL_DATABASE") && error.facts.errno === duplicateKey) return false;
        throw error;
      }
    },
  };
  return table;
}

function columnsOf({ producer, id, fingerprint, barrier, messages }: NewHalfMessage, prepareToken: string): OwnedValue[] {
  return [producer, id, fingerprint, messages.length, prepareToken, barrier];
}

/** Rows that one statement decides: alike in all but their ids. */
function groupsOf(rows: readonly DecidedRow[]): readonly (readonly DecidedRow[])[] {
  const groups = new Map<string, DecidedRow[]>();
  for (const row of rows) {
    const alike = `${row.producer}/${row.version}/${row.to}/${row.actor}/${row.lastCheck ?? ""}`;
    const group = groups.get(alike);
    if (group === undefined) groups.set(alike, [row]);
    else group.push(row);
  }
  return [...groups.values()];
}
