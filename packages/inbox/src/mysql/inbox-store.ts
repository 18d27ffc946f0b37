import { isWaybillError, newMessageId } from "@waybill/core";
import { type Lane, laneDigest } from "@waybill/dead-letter";
import {
  committedValue,
  type Identifier,
  type Namespace,
  type OwnedTx,
  type Row,
  type Statements,
  tableOf,
  type Units,
} from "@waybill/sql";
import type { Attempts, Claim, Claimed, InboxStore, MessagePrint } from "../inbox-store.ts";
import { areNewer, highestVersions } from "../newer-versions.ts";
import { claimMessage } from "./statements/claim.ts";
import { claimAllMessages } from "./statements/claim-all.ts";
import { clearAttempts } from "./statements/clear-attempts.ts";
import { countAttempt } from "./statements/count-attempt.ts";
import { findOldAttempts } from "./statements/find-old-attempts.ts";
import { findOldHandled } from "./statements/find-old-handled.ts";
import { lockVersions } from "./statements/lock-versions.ts";
import { lookAtClaim } from "./statements/look-at-claim.ts";
import { pause } from "./statements/pause.ts";
import { raiseVersions } from "./statements/raise-versions.ts";
import { readAttempts } from "./statements/read-attempts.ts";
import { readClaim } from "./statements/read-claim.ts";
import { readClaims } from "./statements/read-claims.ts";
import { readPrevious } from "./statements/read-previous.ts";
import { readPrints } from "./statements/read-prints.ts";
import { readToken } from "./statements/read-token.ts";
import { removeAttempts } from "./statements/remove-attempts.ts";
import { removeHandled } from "./statements/remove-handled.ts";
import { startAttempt } from "./statements/start-attempt.ts";
import { unclaimMessage } from "./statements/unclaim.ts";
import { unclaimAllMessages } from "./statements/unclaim-all.ts";
import { withdrawStart } from "./statements/withdraw-start.ts";

/**
 * A look waits for another's unit, for one that is about to end, or whose process has just ended, is no hindrance. The server knows whole
 * seconds of waiting only, so it looks again and again: half a second in all.
 */
const looksMax = 6;
const pauseSeconds = 0.1;

export interface MysqlInboxStoreOptions {
  readonly space: Namespace;
  readonly consumer: string;
  /** The table of dead letters, which a claim looks at. */
  readonly letters: Identifier;
}

/**
 * The inbox's rows on MySQL and MariaDB.
 *
 * A claim inserts first and asks afterwards: by then the row is locked, by us or by who has committed it, so whatever another unit did to
 * the message – handle it, or put it aside – is committed and seen. If something speaks against the message, our row goes again.
 */
export function mysqlInboxStore({ space, consumer, letters }: MysqlInboxStoreOptions): InboxStore {
  const inbox = tableOf(space, "inbox");
  const attempts = tableOf(space, "inbox_attempt");
  const versions = tableOf(space, "inbox_version");
  const sql = {
    claim: claimMessage(inbox),
    claimAll: claimAllMessages(inbox),
    clearAttempts: clearAttempts(attempts),
    countAttempt: countAttempt(attempts),
    findOldAttempts: findOldAttempts(attempts),
    findOldHandled: findOldHandled(inbox),
    lookAtClaim: lookAtClaim(inbox),
    raiseVersions: raiseVersions(versions),
    readAttempts: readAttempts(attempts),
    readClaim: readClaim(inbox, letters),
    readClaims: readClaims(inbox, letters),
    readPrevious: readPrevious(versions),
    readPrints: readPrints(inbox),
    readToken: readToken(inbox),
    removeAttempts: removeAttempts(attempts),
    removeHandled: removeHandled(inbox),
    startAttempt: startAttempt(attempts, inbox),
    unclaim: unclaimMessage(inbox),
    unclaimAll: unclaimAllMessages(inbox),
    withdrawStart: withdrawStart(attempts),
  };

  /** Inserts the row and answers the token by which it is known again. */
  const insert = async (tx: OwnedTx, { messageId, fingerprint }: MessagePrint): Promise<string> => {
    const token = newMessageId();
    await tx.execute(sql.claim, [consumer, messageId, fingerprint, token]);
    return token;
  };
  const unclaim = async (tx: OwnedTx, messageId: string): Promise<void> => {
    await tx.execute(sql.unclaim, [consumer, messageId]);
  };
  const unclaimAll = async (tx: OwnedTx, messageIds: readonly string[]): Promise<void> => {
    if (messageIds.length > 0) await tx.execute(sql.unclaimAll, [JSON.stringify(messageIds.map(hexOf)), consumer]);
  };
  /** Writes a count and reads what it has come to, in one transaction; null if nothing was written. */
  const counted = async (units: Units, text: string, values: readonly (string | number)[]): Promise<Attempts | null> => {
    const operation = "count an attempt";
    const work = async (tx: OwnedTx): Promise<Attempts | null> => {
      if ((await tx.execute(text, values)) === 0) return null;
      const [row] = await tx.query(sql.readAttempts, [consumer, values[1] as string]);
      return toAttempts(row ?? {});
    };
    return committedValue(operation, await units.unitOfWork(work, { operation }));
  };

  const removeOld = async (statements: Statements, find: string, remove: string, olderThanMs: number, rowsMax: number): Promise<number> => {
    const old = await statements.query(find, [consumer, olderThanMs, rowsMax]);
    if (old.length === 0) return 0;
    return statements.execute(remove, [JSON.stringify(old.map(({ id }) => id)), consumer, olderThanMs]);
  };

  return {
    async claim(tx, claim) {
      const { messageId, fingerprint, lane } = claim;
      const token = await insert(tx, claim);
      const digest = lane === null ? null : laneDigest(lane as Lane);
      const found = [token, fingerprint, consumer, messageId, consumer, digest, claim.waitsBehindDead ? 1 : 0];
      const [row] = await tx.query(sql.readClaim, [...found, claim.createdAtMs, claim.retentionMs, consumer, messageId]);
      const claimed = toClaimed(row ?? {}, fingerprint);
      if (claimed.kind !== "claimed" && claimed.kind !== "handled") await unclaim(tx, messageId);
      return claimed;
    },

    async claimAll(tx, claims) {
      const [first] = claims;
      if (first === undefined) return [];
      // By their ids as hex, which is the order of the key: units that want the same rows meet at the first of them.
      const given = claims.map(toGiven).sort((one, other) => (one.id < other.id ? -1 : 1));
      const json = JSON.stringify(given);
      const token = newMessageId();
      await tx.execute(sql.claimAll, [consumer, token, json]);
      const asked = [token, consumer, consumer, first.waitsBehindDead ? 1 : 0, first.retentionMs, json, consumer];
      const rows = await tx.query(sql.readClaims, asked);
      const against = new Map(rows.map((row) => [given[Number(row.place) - 1]?.id, row]));
      const claimed = claims.map(({ messageId }): Claimed => {
        const row = against.get(hexOf(messageId));
        if (row === undefined) return { kind: "claimed" };
        return Number(row.is_mine) === 1 ? objectionOf(row) : { kind: "handled", isSameContent: Number(row.is_same) === 1 };
      });
      const isRefused = (kind: Claimed["kind"] | undefined): boolean => kind !== "claimed" && kind !== "handled";
      await unclaimAll(
        tx,
        claims.flatMap(({ messageId }, place) => (isRefused(claimed[place]?.kind) ? [messageId] : [])),
      );
      return claimed;
    },

    async claimAnyway(tx, print) {
      const token = await insert(tx, print);
      const [row] = await tx.query(sql.readToken, [token, consumer, print.messageId]);
      return Number(row?.is_mine) === 1 ? { kind: "claimed" } : handled(row ?? {}, print.fingerprint);
    },

    unclaim,
    unclaimAll,

    async areHandled(statements, prints) {
      if (prints.length === 0) return [];
      const json = JSON.stringify(prints.map(({ messageId, fingerprint }) => ({ id: hexOf(messageId), print: fingerprint })));
      const rows = await statements.query(sql.readPrints, [json, consumer]);
      const places = new Set(rows.map((row) => Number(row.place)));
      return prints.map((_, index) => places.has(index + 1));
    },

    async isBeingClaimed(units, { messageId }) {
      for (let look = 1; ; look++) {
        const operation = "look at a claim";
        const work = async (tx: OwnedTx): Promise<void> => {
          if (look > 1) await tx.query(pause, [pauseSeconds]);
          await tx.query(sql.lookAtClaim, [consumer, messageId]);
        };
        const looked = await units.unitOfWork(work, { operation, repetitionsMax: 0 });
        if (looked.kind !== "rolledBack" || !isLocked(looked.error)) {
          committedValue(operation, looked);
          return false;
        }
        if (look === looksMax) return true;
      }
    },

    async raiseVersions(tx, given) {
      if (given.length === 0) return [];
      const highest = highestVersions(given);
      const json = JSON.stringify(
        highest.map(({ topic, entity, version }) => ({ topic, entity: hexOf(entity), version: String(version) })),
      );
      // Not waited for: a statement that waits goes on in the server when we have given it up, and keeps what its unit has locked.
      const places = highest.flatMap(({ topic, entity }) => [topic, hexOf(entity)]);
      await tx.query(lockVersions(versions, highest.length), [consumer, ...places]);
      await tx.execute(sql.raiseVersions, [consumer, json]);
      const rows = await tx.query(sql.readPrevious, [json, consumer]);
      const before = rows.flatMap((row) => {
        const one = highest[Number(row.place) - 1];
        return one === undefined ? [] : [{ ...one, version: row.previous }];
      });
      return areNewer(given, before);
    },

    async readAttempts(statements, messageId) {
      const [row] = await statements.query(sql.readAttempts, [consumer, messageId]);
      return row === undefined ? null : toAttempts(row);
    },

    startAttempt: (database, messageId) => counted(database, sql.startAttempt, [consumer, messageId, consumer, messageId]),

    async countAttempt(database, messageId, { isStartCounted, isFailed }) {
      const [starts, failures] = [isStartCounted ? 0 : 1, isFailed ? 1 : 0];
      const values = [consumer, messageId, Math.max(starts, failures), failures, starts, failures];
      return (await counted(database, sql.countAttempt, values)) ?? { started: 0, failed: 0 };
    },

    async withdrawStart(statements, messageId) {
      await statements.execute(sql.withdrawStart, [consumer, messageId]);
    },

    async clearAttempts(tx, messageId) {
      await tx.execute(sql.clearAttempts, [consumer, messageId]);
    },

    removeHandled: (statements, olderThanMs, rowsMax) => removeOld(statements, sql.findOldHandled, sql.removeHandled, olderThanMs, rowsMax),
    removeAttempts: (statements, olderThanMs, rowsMax) =>
      removeOld(statements, sql.findOldAttempts, sql.removeAttempts, olderThanMs, rowsMax),
  };
}

/** A claim as the statements take it. What is left out is null there. */
interface Given {
  readonly id: string;
  readonly print: string;
  readonly lane?: string;
  readonly created?: number;
}

function toGiven({ messageId, fingerprint, lane, createdAtMs }: Claim): Given {
  return {
    id: hexOf(messageId),
    print: fingerprint,
    ...(lane === null ? {} : { lane: Buffer.from(laneDigest(lane)).toString("hex") }),
    ...(createdAtMs === null ? {} : { created: createdAtMs }),
  };
}

function hexOf(messageId: string): string {
  return Buffer.from(messageId, "utf8").toString("hex");
}

/** 3572: NOWAIT met a lock. MariaDB calls it a wait that ran out, 1205. */
function isLocked(error: Error): boolean {
  return isWaybillError(error, "WAYBILL_DATABASE") && (error.facts.errno === 3572 || error.facts.errno === 1205);
}

function toClaimed(row: Row, fingerprint: string): Claimed {
  return Number(row.is_mine) === 1 ? objectionOf(row) : handled(row, fingerprint);
}

/** What speaks against a message whose row is ours; `claimed`: nothing does. */
function objectionOf(row: Row): Claimed {
  if (row.is_filed_same !== null) return { kind: "onFile", isSameContent: Number(row.is_filed_same) === 1 };
  if (row.must_wait !== null) return { kind: "mustWait" };
  return Number(row.too_old) === 1 ? { kind: "tooOld" } : { kind: "claimed" };
}

function handled(row: Row, fingerprint: string): Extract<Claimed, { kind: "handled" }> {
  return { kind: "handled", isSameContent: row.fingerprint === fingerprint };
}

function toAttempts(row: Row): Attempts {
  return { started: Number(row.started), failed: Number(row.failed) };
}
