/**
 * Messages that were not confirmed in time, and how they enter the ledger again.
 *
 *     waybill_confirmation             one transaction, any number of movers              waybill_outbox
 *     due_at  message  consumer
 *     ──────  m1       inventory ──┐   lock what is due, leave what others have
 *      past   m1       billing   ──┼─▶ repeats left? ── yes ─▶ insert the copy, same id ─▶ due again, later ─▶ COMMIT ─▶ m1 once more
 *     ──────  m2       inventory ──┘        └── no ─▶ given up: the caller writes what is to be written ─▶ rows gone ─▶ COMMIT
 *
 * A crash, or a COMMIT without an answer, leaves nothing to remember: the next mover looks what is due. A confirmation that comes meanwhile waits for
 * the row and deletes it; then the message is repeated once in vain, and its receiver dedupes. A repeat is a repetition: it may come after later
 * messages of its key.
 *
 * A row that somebody has – a consumer confirms in the transaction of its handler – is left alone in every statement: waiting for it, the mover would
 * stand as long as the handler runs. The rows of one message may so go apart; then it is repeated for each part.
 */
import { type Connection, committedValue, type Namespace, type OwnedTx, type Statements, type Units } from "@waybill/sql";
import { defaultStream, ledgerTables } from "./ledger-tables.ts";
import { mysqlConfirming } from "./mysql/confirmations.ts";
import { postgresConfirming } from "./postgres/confirmations.ts";
import type { StoredMessage } from "./stored-message.ts";

/** A row that is due, without what it carries. */
export interface DueConfirmation {
  readonly messageId: string;
  readonly consumer: string;
  readonly repeats: number;
  readonly bytes: number;
  readonly lateMs: number;
}

/** A message, and somebody who has not confirmed it. */
export type Unconfirmed = Pick<DueConfirmation, "messageId" | "consumer">;

/** What is due, and all rows of it that are locked now. */
export interface LockedCopies {
  readonly messages: readonly StoredMessage[];
  readonly locked: readonly Unconfirmed[];
}

/** What confirmations ask of a dialect. */
export interface Confirming {
  untilDueMs(connection: Connection, deadlineMs: number): Promise<number | null>;
  /** The server ends the count itself after `limitMs`: a refusal, which costs no connection. */
  measure(
    statements: Statements & Units,
    rowsMax: number,
    limits: { readonly limitMs: number; readonly deadlineMs: number },
  ): Promise<MeasuredConfirmations>;
  /** Locks what is due and free. */
  lockDue(tx: OwnedTx, rowsMax: number): Promise<readonly DueConfirmation[]>;
  /** One message for each id. Locks those of its rows that are free, due or not. */
  read(tx: OwnedTx, messageIds: readonly string[]): Promise<LockedCopies>;
  /** Inserts copies into the ledger. */
  append(tx: OwnedTx, messages: readonly StoredMessage[]): Promise<unknown>;
  /** Only what is locked: somebody may have the others for as long as a handler runs. */
  postpone(tx: OwnedTx, locked: readonly Unconfirmed[], waitMsMax: number): Promise<unknown>;
  /** As `postpone`. */
  remove(tx: OwnedTx, locked: readonly Unconfirmed[]): Promise<unknown>;
}

/** A message that its consumers never confirmed. */
export interface UnconfirmedMessage {
  readonly messageId: string;
  readonly type: string;
  readonly topic: string;
  readonly key: string | null;
  /** JSON text of an object of strings, as stored. */
  readonly headers: string | null;
  readonly payload: string | Uint8Array | null;
  /** Those that have not confirmed, as far as this step has seen. */
  readonly consumers: readonly string[];
  readonly repeats: number;
}

export interface RepeatDueOptions {
  /** Messages that were repeated so often and are due again are given up. Default 5. */
  readonly repeatsMax?: number;
  /** Rows of one step. Default 100. Steps also end at 1 048 576 bytes of payload. */
  readonly rowsMax?: number;
  /** Milliseconds for one step. Default 15 000. */
  readonly deadlineMs?: number;
  /** Writes down what is given up, in the transaction that forgets it. */
  readonly giveUp: (tx: OwnedTx, messages: readonly UnconfirmedMessage[]) => Promise<void>;
  /** Called inside the transaction: before anything is written, and when all of it is. May come again if the database asks for a repetition. */
  readonly onStep?: (step: "repeating" | "committing", messages: number) => void;
}

/** What a step did. `isMore`: there may be more that is due. */
export interface RepeatedDue {
  readonly repeated: number;
  readonly givenUp: readonly UnconfirmedMessage[];
  readonly lateMs: number;
  readonly isMore: boolean;
}

/** What waits for confirmations: one for each message and consumer. Counted up to 1 000, the first by when they are due. */
export interface MeasuredConfirmations {
  readonly waiting: number;
  /** Of them, those whose message entered the ledger again. */
  readonly repeated: number;
  /** Milliseconds since the oldest of them was appended; null: none waits. */
  readonly oldestMs: number | null;
}

export interface Confirmations {
  /** Milliseconds until the next message that is not confirmed is due, 0 and less if it is; null: none waits. One index probe. */
  untilDueMs(connection: Connection, options: { readonly deadlineMs: number }): Promise<number | null>;
  /**
   * Counts what waits. The server ends the count after a quarter of `deadlineMs`, which is WAYBILL_DATABASE and leaves the connection as it was.
   *
   * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE
   */
  measure(statements: Statements & Units, options: { readonly deadlineMs: number }): Promise<MeasuredConfirmations>;
  /**
   * Appends again what is due, or gives it up: one bounded step with each call. Any number of callers may do so at once.
   *
   * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN (call it again)
   */
  repeatDue(units: Units, options: RepeatDueOptions): Promise<RepeatedDue>;
  /** Appends messages that were given up once more, with their ids. Nobody waits for a confirmation then. */
  appendAgain(tx: OwnedTx, messages: readonly Omit<UnconfirmedMessage, "consumers" | "repeats">[]): Promise<void>;
}

const bytesMax = 1_048_576;
const measuredMax = 1_000;
/** The longest wait, unless more was given. */
const waitMsMax = 86_400_000;

/**
 * The confirmations of a stream. Does no I/O.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID
 */
export function createConfirmations({
  space,
  stream = defaultStream,
}: {
  readonly space: Namespace;
  readonly stream?: string;
}): Confirmations {
  const tables = ledgerTables(space, stream);
  const confirming = space.dialect === "postgres" ? postgresConfirming(tables, stream) : mysqlConfirming(tables, stream);
  const operation = "repeating messages that are not confirmed";
  return {
    untilDueMs: (connection, { deadlineMs }) => confirming.untilDueMs(connection, deadlineMs),
    measure: (statements, { deadlineMs }) =>
      confirming.measure(statements, measuredMax, { limitMs: Math.ceil(deadlineMs / 4), deadlineMs }),
    repeatDue: async (units, { deadlineMs = 15_000, ...options }) =>
      committedValue(operation, await units.unitOfWork((tx) => repeatOnce(tx, confirming, options), { operation, deadlineMs })),
    appendAgain: async (tx, messages) => {
      await confirming.append(tx, messages.map(toStored));
    },
  };
}

/** One transaction's work. */
async function repeatOnce(
  tx: OwnedTx,
  confirming: Confirming,
  { repeatsMax = 5, rowsMax = 100, giveUp, onStep = () => undefined }: Omit<RepeatDueOptions, "deadlineMs">,
): Promise<RepeatedDue> {
  const found = await confirming.lockDue(tx, rowsMax);
  const rows = upToBytes(found);
  const ids = [...new Set(rows.map(({ messageId }) => messageId))];
  if (ids.length === 0) return { repeated: 0, givenUp: [], lateMs: 0, isMore: false };
  onStep("repeating", ids.length);
  const { messages, locked } = await confirming.read(tx, ids);
  const rowsOf = (id: string): readonly DueConfirmation[] => rows.filter(({ messageId }) => messageId === id);
  const lockedOf = (of: readonly { readonly messageId: string }[]): readonly Unconfirmed[] => {
    const wanted = new Set(of.map(({ messageId }) => messageId));
    return locked.filter(({ messageId }) => wanted.has(messageId));
  };
  const isSpent = ({ messageId }: StoredMessage): boolean => rowsOf(messageId).every(({ repeats }) => repeats >= repeatsMax);
  const givenUp = messages.filter(isSpent).map((message): UnconfirmedMessage => {
    const waiting = rowsOf(message.messageId);
    const { messageId, type, topic, key, headers, payload, payloadBytes } = message;
    const consumers = waiting.map(({ consumer }) => consumer);
    return { messageId, type, topic, key, headers, payload: payloadBytes ?? payload, consumers, repeats: waiting[0]?.repeats ?? 0 };
  });
  const again = messages.filter((message) => !isSpent(message));
  if (givenUp.length > 0) {
    await giveUp(tx, givenUp);
    await confirming.remove(tx, lockedOf(givenUp));
  }
  if (again.length > 0) {
    await confirming.append(tx, again);
    await confirming.postpone(tx, lockedOf(again), waitMsMax);
  }
  onStep("committing", ids.length);
  const isMore = found.length === rowsMax || rows.length < found.length;
  return { repeated: again.length, givenUp, lateMs: Math.max(...rows.map(({ lateMs }) => lateMs)), isMore };
}

/** The first of them whose payloads are within the bound together, and one at least. */
function upToBytes(found: readonly DueConfirmation[]): readonly DueConfirmation[] {
  let bytes = 0;
  const end = found.findIndex((row, index) => {
    bytes += row.bytes;
    return index > 0 && bytes > bytesMax;
  });
  return end === -1 ? found : found.slice(0, end);
}

function toStored({ messageId, type, topic, key, headers, payload }: Omit<UnconfirmedMessage, "consumers" | "repeats">): StoredMessage {
  const isText = typeof payload === "string";
  return {
    messageId,
    type,
    topic,
    key,
    headers,
    payload: isText ? payload : null,
    payloadBytes: isText ? null : payload,
    fingerprint: null,
  };
}
