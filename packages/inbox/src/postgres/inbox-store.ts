import { isWaybillError } from "@waybill/core";
import { committedValue, type Identifier, type Namespace, type OwnedTx, type Row, tableOf } from "@waybill/sql";
import type { Attempts, Claim, Claimed, InboxStore } from "../inbox-store.ts";
import { areNewer, highestVersions } from "../newer-versions.ts";
import { claimMessage } from "./statements/claim.ts";
import { claimAllMessages } from "./statements/claim-all.ts";
import { claimAnyway } from "./statements/claim-anyway.ts";
import { clearAttempts } from "./statements/clear-attempts.ts";
import { countAttempt } from "./statements/count-attempt.ts";
import { limitLockWait } from "./statements/limit-lock-wait.ts";
import { raiseVersions } from "./statements/raise-versions.ts";
import { readAttempts } from "./statements/read-attempts.ts";
import { readObjections } from "./statements/read-objections.ts";
import { readPrint } from "./statements/read-print.ts";
import { readPrints } from "./statements/read-prints.ts";
import { removeAttempts } from "./statements/remove-attempts.ts";
import { removeHandled } from "./statements/remove-handled.ts";
import { shortenLockWait } from "./statements/shorten-lock-wait.ts";
import { startAttempt } from "./statements/start-attempt.ts";
import { unclaimMessage } from "./statements/unclaim.ts";
import { unclaimAllMessages } from "./statements/unclaim-all.ts";
import { withdrawStart } from "./statements/withdraw-start.ts";

/** Milliseconds that a look waits for another's unit: one that is about to end, or whose process has just ended, is no hindrance. */
const lookMs = "500";
/** Milliseconds that the version of an entity is waited for. */
const raiseMs = "1500";

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
  const versions = tableOf(space, "inbox_version");
  const sql = {
    claim: claimMessage(inbox, letters),
    claimAll: claimAllMessages(inbox),
    claimAnyway: claimAnyway(inbox),
    clearAttempts: clearAttempts(attempts),
    countAttempt: countAttempt(attempts),
    raiseVersions: raiseVersions(versions),
    readAttempts: readAttempts(attempts),
    readObjections: readObjections(letters),
    readPrint: readPrint(inbox),
    readPrints: readPrints(inbox),
    removeAttempts: removeAttempts(attempts),
    removeHandled: removeHandled(inbox),
    startAttempt: startAttempt(attempts, inbox),
    unclaim: unclaimMessage(inbox),
    unclaimAll: unclaimAllMessages(inbox),
    withdrawStart: withdrawStart(attempts),
  };
  const unclaimAll = async (tx: OwnedTx, messageIds: readonly string[]): Promise<void> => {
    if (messageIds.length > 0) await tx.query(sql.unclaimAll, [consumer, messageIds]);
  };
  const printsOf = async (statements: Pick<OwnedTx, "query">, messageIds: readonly string[]): Promise<ReadonlyMap<string, string>> => {
    if (messageIds.length === 0) return new Map();
    const rows = await statements.query(sql.readPrints, [consumer, messageIds]);
    return new Map(rows.map((row) => [row.message_id as string, row.fingerprint as string]));
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

    async claimAll(tx, claims) {
      const [first] = claims;
      if (first === undefined) return [];
      const given = JSON.stringify(claims.map(toGiven));
      const inserted = await tx.query(sql.claimAll, [consumer, given], { name: "inbox-claim-all" });
      const mine = new Set(inserted.map((row) => row.message_id));
      const objections = await tx.query(sql.readObjections, [consumer, given, first.waitsBehindDead, first.retentionMs], {
        name: "inbox-read-objections",
      });
      const handled = await printsOf(
        tx,
        claims.flatMap(({ messageId }) => (mine.has(messageId) ? [] : [messageId])),
      );
      const against = new Map(objections.map((row) => [row.message_id, row]));
      await unclaimAll(
        tx,
        [...against.keys()].filter((messageId): messageId is string => mine.has(messageId)),
      );
      return claims.map(({ messageId, fingerprint }): Claimed => {
        if (!mine.has(messageId)) return { kind: "handled", isSameContent: handled.get(messageId) === fingerprint };
        const row = against.get(messageId);
        return row === undefined ? { kind: "claimed" } : (toClaimed(row, fingerprint) ?? { kind: "claimed" });
      });
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

    unclaimAll,

    async areHandled(statements, prints) {
      const handled = await printsOf(
        statements,
        prints.map(({ messageId }) => messageId),
      );
      return prints.map(({ messageId, fingerprint }) => handled.get(messageId) === fingerprint);
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

    async raiseVersions(tx, given) {
      if (given.length === 0) return [];
      const json = JSON.stringify(highestVersions(given).map((one) => ({ ...one, version: String(one.version) })));
      // Whoever has an entity may take long, and others of this unit are not to wait for it.
      const [limits] = await tx.query(shortenLockWait, [raiseMs]);
      const rows = await tx.query(sql.raiseVersions, [consumer, json], { name: "inbox-raise-versions" });
      await tx.query(limitLockWait, [String(limits?.before)]);
      const before = rows.map((row) => ({ topic: String(row.topic), entity: String(row.entity), version: row.previous }));
      return areNewer(given, before);
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

/** A claim as the statements take it. What is left out is null there. */
function toGiven({ messageId, fingerprint, lane, createdAtMs }: Claim): Readonly<Record<string, unknown>> {
  return { message_id: messageId, fingerprint, ...lane, created_at_ms: createdAtMs };
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
