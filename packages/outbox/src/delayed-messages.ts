/**
 * Messages that wait until they are due, and how they enter the ledger.
 *
 *     waybill_outbox_delayed          one transaction, one mover of a stream at a time          waybill_outbox
 *     due_at  id  key
 *     ──────  1   a   ──┐   lock the stream's row ── taken? ─▶ busy, later
 *      past   2   b   ──┼─▶ read what is due, in order ─▶ try the locks of its keys ─▶ lock its rows
 *     ──────  3   a   ──┘        └── a key that is held: all of that key waits, the others go on
 *      future 4   c                                                    └─▶ delete and insert ─▶ COMMIT ─▶ ids 7 (a), 8 (b) …
 *
 * Promised: each message enters once, whoever moves and however often they die: its row is gone in the transaction in which the other appears. A
 * crash, or a COMMIT without an answer, leaves nothing to remember: the next mover looks what still waits.
 *
 * Order: by due time, then in the order of appending. A transaction that holds the lock of a key (`serialiseKey`) may have taken an id already. If
 * we inserted a message of that key beside it, ours could commit and be published first, under the higher id. So the mover takes the same lock
 * before its insert – in a statement of its own, like everybody – and never waits for it: somebody's long transaction holds up its own keys
 * and nothing else. Writers that exclude each other in another way cannot be seen from here; beside them, order holds among delayed messages.
 *
 * Cancelling is deleting the row. Where that is under way the row is locked, and we do not wait for it either: the message, and what comes after it in
 * its key, is passed over until the next look.
 */
import { type Connection, committedValue, type Namespace, type OwnedTx, type Units } from "@waybill/sql";
import { defaultStream, ledgerTables } from "./ledger-tables.ts";
import { mysqlMoving } from "./mysql/move-due.ts";
import { postgresMoving } from "./postgres/move-due.ts";

/** A message that is due. `lock`: what its key is locked by; null: it has no key. */
export interface DueMessage {
  readonly id: string;
  readonly lock: string | null;
  readonly bytes: number;
  readonly lateMs: number;
}

/** What is passed over because somebody holds it: locks of keys, and ids of messages without one. Of one pass only. */
export interface PassedOver {
  readonly locks: readonly string[];
  readonly ids: readonly string[];
}

/** With what a pass begins. */
export const nothingPassedOver: PassedOver = { locks: [], ids: [] };

/** What moving asks of a dialect. Everything but `untilDueMs` happens in the transaction that locked the stream's row. */
export interface Moving {
  untilDueMs(connection: Connection, deadlineMs: number): Promise<number | null>;
  /** False: somebody else has the row. */
  lockStream(tx: OwnedTx): Promise<boolean>;
  readDue(tx: OwnedTx, passedOver: PassedOver, messagesMax: number): Promise<readonly DueMessage[]>;
  /** Tries to lock keys, without waiting, and answers those that are ours now. */
  tryLocks(tx: OwnedTx, locks: readonly string[]): Promise<ReadonlySet<string>>;
  /** Tries to lock waiting messages, without waiting, and answers those that are ours now. */
  tryMessages(tx: OwnedTx, ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** Inserts what is locked into the ledger, in due order, and deletes it here. Answers how many. */
  move(tx: OwnedTx, ids: readonly string[]): Promise<number>;
}

export interface MoveDueOptions {
  /** What the last step of this pass answered. */
  readonly passedOver: PassedOver;
  /** Messages of one step. Default 250. Steps also end at 1 048 576 bytes of payload: whoever waits for one of its keys waits for all of it. */
  readonly messagesMax?: number;
  /** Milliseconds for one step. Default 15 000. */
  readonly deadlineMs?: number;
  /** Called inside the transaction: before anything is written, and when all of it is. May come again if the database asks for a repetition. */
  readonly onStep?: (step: "moving" | "committing", messages: number) => void;
}

/**
 * What a step did. `lateMs`: for how long the oldest of them had been due. `isMore`: the pass goes on, with this `passedOver`. `busy`: somebody
 * else moves, or does upkeep.
 */
export type MovedDue =
  | {
      readonly kind: "moved";
      readonly messages: number;
      readonly lateMs: number;
      readonly passedOver: PassedOver;
      readonly isMore: boolean;
    }
  | { readonly kind: "busy" };

export interface DelayedMessages {
  /** Milliseconds until the next message is due, 0 and less if it is; null: none waits. One index probe. */
  untilDueMs(connection: Connection, options: { readonly deadlineMs: number }): Promise<number | null>;
  /**
   * Moves the first messages that are due into the ledger, one bounded step with each call. Any number of callers may do so at once; one works,
   * the others answer `busy`.
   *
   * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN (call it again)
   */
  moveDue(units: Units, options: MoveDueOptions): Promise<MovedDue>;
}

const bytesMax = 1_048_576;
/** More is not passed over in one pass: it would be looked through with every step. */
const passedOverMax = 1_000;

/**
 * The delayed messages of a stream. Does no I/O.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID
 */
export function createDelayedMessages({
  space,
  stream = defaultStream,
}: {
  readonly space: Namespace;
  readonly stream?: string;
}): DelayedMessages {
  const tables = ledgerTables(space, stream);
  const moving = space.dialect === "postgres" ? postgresMoving(tables, stream) : mysqlMoving(tables, stream);
  const operation = "moving delayed messages";
  return {
    untilDueMs: (connection, { deadlineMs }) => moving.untilDueMs(connection, deadlineMs),
    moveDue: async (units, { passedOver, messagesMax = 250, deadlineMs = 15_000, onStep = () => undefined }) => {
      const outcome = await units.unitOfWork((tx) => moveOnce(tx, moving, passedOver, messagesMax, onStep), { operation, deadlineMs });
      return committedValue(operation, outcome);
    },
  };
}

/** One transaction's work. */
async function moveOnce(
  tx: OwnedTx,
  moving: Moving,
  passedOver: PassedOver,
  messagesMax: number,
  onStep: NonNullable<MoveDueOptions["onStep"]>,
): Promise<MovedDue> {
  if (!(await moving.lockStream(tx))) return { kind: "busy" };
  const found = await moving.readDue(tx, passedOver, messagesMax);
  const due = upToBytes(found);
  const free = await tryAll(tx, moving, due);
  const held = due.filter((message) => !free.includes(message));
  if (free.length > 0) {
    onStep("moving", free.length);
    const moved = await moving.move(
      tx,
      free.map(({ id }) => id),
    );
    if (moved !== free.length) throw new Error("A delayed message that was locked was not moved: nothing is moved.");
    onStep("committing", free.length);
  }
  const next = alsoPassedOver(passedOver, held);
  const isLeft = found.length === messagesMax || due.length < found.length;
  return {
    kind: "moved",
    messages: free.length,
    lateMs: free[0]?.lateMs ?? 0,
    passedOver: next,
    isMore: isLeft && next.locks.length + next.ids.length < passedOverMax,
  };
}

/** What can be moved now: neither its key nor its row, nor a row of its key, is held by somebody. */
async function tryAll(tx: OwnedTx, moving: Moving, due: readonly DueMessage[]): Promise<readonly DueMessage[]> {
  const locks = [...new Set(due.flatMap(({ lock }) => (lock === null ? [] : [lock])))];
  const ours = locks.length === 0 ? new Set<string>() : await moving.tryLocks(tx, locks);
  const candidates = due.filter(({ lock }) => lock === null || ours.has(lock));
  if (candidates.length === 0) return [];
  const locked = await moving.tryMessages(
    tx,
    candidates.map(({ id }) => id),
  );
  const heldLocks = new Set(candidates.flatMap(({ id, lock }) => (locked.has(id) || lock === null ? [] : [lock])));
  return candidates.filter(({ id, lock }) => locked.has(id) && (lock === null || !heldLocks.has(lock)));
}

/** The first of them whose payloads are within the bound together, and one at least. */
function upToBytes(found: readonly DueMessage[]): readonly DueMessage[] {
  let bytes = 0;
  const end = found.findIndex((message, index) => {
    bytes += message.bytes;
    return index > 0 && bytes > bytesMax;
  });
  return end === -1 ? found : found.slice(0, end);
}

function alsoPassedOver({ locks, ids }: PassedOver, held: readonly DueMessage[]): PassedOver {
  return {
    locks: [...new Set([...locks, ...held.flatMap(({ lock }) => (lock === null ? [] : [lock]))])],
    ids: [...ids, ...held.flatMap(({ id, lock }) => (lock === null ? [id] : []))],
  };
}
