import { isWaybillError } from "@waybill/core";
import { committedValue, type Identifier, type Namespace, type OwnedTx, type Row, tableOf } from "@waybill/sql";
import type { Attempts, Claimed, InboxStore } from "../inbox-store.ts";
import { claimMessage } from "./statements/claim.ts";
import { claimAnyway } from "./statements/claim-anyway.ts";
import { clearAttempts } from "./statements/clear-attempts.ts";
import { countAttempt } from "./statements/count-attempt.ts";
import { limitLockWait } from "./statements/limit-lock-wait.ts";
import { readAttempts } from "./statements/read-attempts.ts";
import { readPrint } from "./statements/read-print.ts";
import { removeAttempts } from "./statements/remove-attempts.ts";
import { removeHandled } from "./statements/remove-handled.ts";
import { startAttempt } from "./statements/start-attempt.ts";
import { unclaimMessage } from "./statements/unclaim.ts";
import { withdrawStart } from "./statements/withdraw-start.ts";

/** Milliseconds that a look waits for another's unit: one that is about to end, or whose process has just ended, is no hindrance. */
const lookMs = "500";

export interface PostgresInboxStoreOptions {
  readonly space: Namespace;
  readonly consumer: string;
  /** The table of dead letters, which a claim looks at. */
  readonly letters: Identifier;
}

/** The inbox's rows on PostgreSQL. */
export function postgresInboxStore({ space, consumer, letters }: PostgresInboxStoreOptions): InboxStore {
  const inbox = tableOf(space, "inbox");
  const attempts = tableOf(space, "inbox_attempt");
  const sql = {
    claim: claimMessage(inbox, letters),
    claimAnyway: claimAnyway(inbox),
    clearAttempts: clearAttempts(attempts),
    countAttempt: countAttempt(attempts),
    readAttempts: readAttempts(attempts),
    readPrint: readPrint(inbox),
    removeAttempts: removeAttempts(attempts),
    removeHandled: removeHandled(inbox),
    startAttempt: startAttempt(attempts, inbox),
    unclaim: unclaimMessage(inbox),
    withdrawStart: withdrawStart(attempts),
  };
  return {
    async claim(tx, claim) {
      const { messageId, fingerprint, lane } = claim;
      const place = [consumer, messageId, fingerprint, lane?.topic ?? null, lane?.key ?? null, claim.waitsBehindDead];
      const values = [...place, claim.createdAtMs, claim.retentionMs];
      let [row] = await tx.query(sql.claim, values, { name: "inbox-claim" });
      if (row?.is_new === true && row.has_waited === true) {
        // The unit it waited for may have put the message aside. Nobody else can have the row before we end: the second look waits for none.
        await tx.query(sql.unclaim, [consumer, messageId]);
        [row] = await tx.query(sql.claim, values, { name: "inbox-claim" });
      }
      const claimed = toClaimed(row ?? {}, fingerprint);
      if (claimed !== null) return claimed;
      // Another unit committed the same row while our insert waited for it: this statement's snapshot is newer and shows it.
      const [known] = await tx.query(sql.readPrint, [consumer, messageId]);
      return { kind: "handled", isSameContent: known?.fingerprint === fingerprint };
    },

    async claimAnyway(tx, { messageId, fingerprint }) {
      const rows = await tx.query(sql.claimAnyway, [consumer, messageId, fingerprint]);
      if (rows.length === 1) return { kind: "claimed" };
      const [known] = await tx.query(sql.readPrint, [consumer, messageId]);
      return { kind: "handled", isSameContent: known?.fingerprint === fingerprint };
    },

    async unclaim(tx, messageId) {
      await tx.query(sql.unclaim, [consumer, messageId]);
    },

    async isBeingClaimed(units, { messageId, fingerprint }) {
      const work = async (tx: OwnedTx): Promise<void> => {
        await tx.query(limitLockWait, [lookMs]);
        const claimed = await tx.query(sql.claimAnyway, [consumer, messageId, fingerprint]);
        if (claimed.length === 1) await tx.query(sql.unclaim, [consumer, messageId]);
      };
      const operation = "look at a claim";
      const looked = await units.unitOfWork(work, { operation });
      if (looked.kind === "rolledBack" && isLockWaitOver(looked.error)) return true;
      committedValue(operation, looked);
      return false;
    },

    async readAttempts(statements, messageId) {
      const [row] = await statements.query(sql.readAttempts, [consumer, messageId], { name: "inbox-read-attempts" });
      return row === undefined ? null : toAttempts(row);
    },

    async startAttempt(statements, messageId) {
      const [row] = await statements.query(sql.startAttempt, [consumer, messageId], { name: "inbox-start-attempt" });
      return row === undefined ? null : toAttempts(row);
    },

    async countAttempt(statements, messageId, { isStartCounted, isFailed }) {
      const [row] = await statements.query(sql.countAttempt, [consumer, messageId, isStartCounted ? 0 : 1, isFailed ? 1 : 0]);
      return toAttempts(row ?? {});
    },

    async withdrawStart(statements, messageId) {
      await statements.query(sql.withdrawStart, [consumer, messageId]);
    },

    async clearAttempts(tx, messageId) {
      await tx.query(sql.clearAttempts, [consumer, messageId], { name: "inbox-clear-attempts" });
    },

    async removeHandled(statements, olderThanMs, rowsMax) {
      return (await statements.query(sql.removeHandled, [consumer, olderThanMs, rowsMax])).length;
    },

    async removeAttempts(statements, olderThanMs, rowsMax) {
      return (await statements.query(sql.removeAttempts, [consumer, olderThanMs, rowsMax])).length;
    },
  };
}

/** lock_not_available */
function isLockWaitOver(error: Error): boolean {
  return isWaybillError(error, "WAYBILL_DATABASE") && error.facts.sqlState === "55P03";
}

/** null: our insert met a row that the snapshot does not show. */
function toClaimed(row: Row, fingerprint: string): Claimed | null {
  if (typeof row.known_print === "string") return { kind: "handled", isSameContent: row.known_print === fingerprint };
  if (typeof row.is_filed_same === "boolean") return { kind: "onFile", isSameContent: row.is_filed_same };
  if (row.must_wait === true) return { kind: "mustWait" };
  if (row.too_old === true) return { kind: "tooOld" };
  return row.is_new === true ? { kind: "claimed" } : null;
}

function toAttempts(row: Row): Attempts {
  return { started: Number(row.started), failed: Number(row.failed) };
}
