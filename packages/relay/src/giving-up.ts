/**
 * Writes dead letters and held messages: a copy is durable before its id counts as finished.
 *
 *     lane busy ─▶ BEGIN ─▶ lock the subscription's row under epoch and owner ─▶ insert the copy ─▶ COMMIT ─▶ id finished, lane goes on
 *                              └ no row: the lease is lost, nothing was written          └ no answer: rule R1 – the next session
 *                                                                                           looks the sequence up and finds it, or not
 *
 * A crash anywhere before the COMMIT publishes or gives up again; a crash after it is found by the look-up. Cursor and retention
 * need not wait for a dead letter: it is a copy. What was spilled moves: its copy there is deleted in the same transaction.
 *
 * Under the policy `stop` its topic is stopped before the insert is sent, so that nothing of it is sent behind a durable dead letter.
 */
import { isWaybillError } from "@waybill/core";
import type { NewDeadLetter } from "@waybill/dead-letter";
import { type LedgerRow, storedPayload } from "@waybill/outbox";
import type { OwnedTx } from "@waybill/sql";
import { keyPolicyOf } from "./key-policy.ts";
import type { Entry, Lane } from "./lanes.ts";
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";
import type { Waiting } from "./waiting.ts";

const heldAtOnceMax = 100;

export interface GivingUp {
  /** True while the dead-letter table may have open rows: then what is read is looked up before it is published. */
  readonly mayBeOpen: boolean;
  /** How often rows were inserted; with `isInserting` it tells whether an answer about the table is still true. */
  readonly inserts: number;
  readonly isInserting: boolean;
  /** Somebody asked the table while nothing of ours was on its way, and nothing was open. */
  nothingIsOpen(): void;
  /** Gives the lane's first entry up. The lane is busy until then. */
  giveUp(lane: Lane, reason: string): Promise<void>;
  /** Copies what is loaded at the head of a lane behind its dead letter. The lane is busy until then. */
  hold(lane: Lane): Promise<void>;
  /**
   * Runs a unit of work under the fence, on the upkeep connection. False: nothing was done – the session has been ended, or a row is
   * locked by somebody else; ask again later.
   */
  fenced(operation: string, work: (tx: OwnedTx) => Promise<void>): Promise<boolean>;
}

export function createGivingUp(session: Session, progress: Progress, waiting: Waiting, mayBeOpenAtStart: boolean): GivingUp {
  const { row, connections, fence, lease, deadLetters, reader, cursor, lanes, spill } = session;
  let mayBeOpen = mayBeOpenAtStart;
  let inserts = 0;
  let inserting = 0;

  // One unit at a time: they share a connection and a row, and a crowd of them would only wait past their deadlines.
  let turn: Promise<unknown> = Promise.resolve();
  const fenced = (operation: string, work: (tx: OwnedTx) => Promise<void>): Promise<boolean> => {
    const mine = turn.then(() => fencedNow(operation, work));
    turn = mine;
    return mine;
  };

  // While a unit runs it keeps renewals and saves waiting, so it must end long before our trust in the lease does.
  const deadlineMs = Math.min(15_000, Math.floor(session.settings.leaseMs / 3));
  const lockMs = Math.ceil(session.settings.leaseMs / 10);

  const fencedNow = async (operation: string, work: (tx: OwnedTx) => Promise<void>): Promise<boolean> => {
    if (session.ended.aborted || !lease.isTrusted()) return false;
    let waited: Error | null = null;
    try {
      const outcome = await connections.upkeep.unitOfWork(
        async (tx) => {
          // On MySQL and MariaDB a unit is repeated after such a wait, as after a deadlock; it would only wait again, past its deadline.
          if (waited !== null) throw waited;
          try {
            if (!(await row.lock(tx, fence, lockMs))) return false;
            await work(tx);
          } catch (error) {
            if (isLockTimeout(error)) waited = error;
            throw error;
          }
          return true;
        },
        { operation, deadlineMs },
      );
      // Somebody else is at a row, an operator perhaps: nothing was done, and it is this lane's turn again later.
      if (outcome.kind === "rolledBack" && isLockTimeout(outcome.error)) return false;
      if (outcome.kind !== "committed") session.fail(outcome.error);
      else if (!outcome.value) lease.lose();
      return outcome.kind === "committed" && outcome.value;
    } catch (error) {
      session.fail(error);
      return false;
    }
  };

  /** Of entries that all stand in the ledger, or all in the spill. */
  const insert = async (operation: string, letters: readonly NewDeadLetter[], areSpilled: boolean): Promise<boolean> => {
    mayBeOpen = true;
    inserts += 1;
    inserting += 1;
    try {
      return await fenced(operation, async (tx) => {
        await deadLetters.insert(tx, reader, letters);
        if (areSpilled) await spill.delete(tx, letters);
      });
    } finally {
      inserting -= 1;
    }
  };

  const finish = (entry: Entry): void => {
    progress.survived(entry.id);
    progress.settled(entry);
    if (entry.isSpilled) entry.isFinished = true;
    else cursor.finish(entry);
    lanes.leave(entry);
    session.isDirty = true;
  };

  return {
    get mayBeOpen() {
      return mayBeOpen;
    },
    get inserts() {
      return inserts;
    },
    get isInserting() {
      return inserting > 0;
    },
    nothingIsOpen() {
      mayBeOpen = false;
    },
    fenced,
    async giveUp(lane, reason) {
      const entry = lane.entries[0];
      if (entry === undefined || entry.row === null) return;
      session.report({ name: "relay.deadLettering", messageId: entry.messageId, sequence: entry.id, reason });
      const letter = letterOf(entry, entry.row, reason);
      // Parks what waits from now on, this one's bytes perhaps among them.
      if (keyPolicyOf(session.settings, lane.topic.name) === "stop") waiting.stopTopic(lane.topic);
      if (!(await insert("dead letter", [letter], entry.isSpilled))) return;
      finish(entry);
      lane.isOpen = lane.key !== null;
      session.report({ name: "relay.deadLettered", messageId: entry.messageId, sequence: entry.id, reason });
    },
    async hold(lane) {
      const held: { entry: Entry; row: LedgerRow }[] = [];
      for (const entry of lane.entries.slice(0, heldAtOnceMax)) {
        // What is behind the copies here may have to stay behind more of them.
        if (entry.row === null || entry.isSpilled !== lane.entries[0]?.isSpilled) break;
        held.push({ entry, row: entry.row });
        session.report({ name: "relay.holding", messageId: entry.messageId, sequence: entry.id });
      }
      const letters = held.map(({ entry, row: copied }) => letterOf(entry, copied, null));
      if (letters.length === 0 || !(await insert("held messages", letters, held[0]?.entry.isSpilled === true))) return;
      lane.hasHeld = true;
      for (const { entry } of held) {
        finish(entry);
        session.report({ name: "relay.held", messageId: entry.messageId, sequence: entry.id });
      }
    },
  };
}

/** 55P03 of PostgreSQL; 1205 of MySQL and MariaDB, whose SQLSTATE says nothing. */
function isLockTimeout(error: unknown): error is Error {
  return isWaybillError(error, "WAYBILL_DATABASE") && (error.facts.sqlState === "55P03" || error.facts.errno === 1205);
}

function letterOf(entry: Entry, row: LedgerRow, reason: string | null): NewDeadLetter {
  return {
    sequence: row.id,
    messageId: row.messageId,
    type: row.type,
    topic: row.topic,
    key: row.key,
    headers: row.headers,
    payload: storedPayload(row),
    createdAtMs: row.createdAtMs,
    reason,
    attempts: entry.attempts,
    mayBeStored: entry.mayBeStored,
  };
}
