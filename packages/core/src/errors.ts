/**
 * Every error that Waybill throws: one class, one catalogue.
 *
 * A code names what went wrong and never changes; its facts say what was found (ids, names, numbers, codes – never a payload, a
 * key, a parameter, a header's value or a URL with credentials); the message says what to do about it. Callers branch with
 * `isWaybillError(error, code)`, which also narrows the facts.
 */

/** One thing that is wrong with a configuration. All of them are reported together. */
export interface ConfigProblem {
  /** The option, as the caller wrote it: `leaseMs`, `--lease-ms`, `orderPlaced.topic`. */
  readonly option: string;
  /** What is wrong and what is accepted instead. Never the value of a secret. */
  readonly problem: string;
}

/** One rule that a payload breaks: where, and which. Never the value found there. */
export interface PayloadIssue {
  readonly path: string;
  readonly rule: string;
}

/** Code → facts: the one place to look, and the one place to add. */
export interface WaybillErrorFacts {
  /** A factory or the command line was given options it cannot work with. Fix all of them. */
  WAYBILL_CONFIG_INVALID: { readonly problems: readonly ConfigProblem[] };
  /** A schema, prefix, stream or consumer name that is not a plain identifier. */
  WAYBILL_IDENTIFIER_INVALID: { readonly what: string };
  /** `--transport` names neither a known scheme nor a module that exports a transport. */
  WAYBILL_TRANSPORT_UNKNOWN: { readonly problem: string; readonly known: readonly string[] };
  /** The database has no, an older or a newer schema than this version needs. Older: `waybill migrate up`. Newer: upgrade. */
  WAYBILL_SCHEMA_MISMATCH: { readonly set: string; readonly found: number | null; readonly needed: number };
  /** An applied migration differs from the file of the same number. Somebody must look. */
  WAYBILL_MIGRATION_CHANGED: { readonly set: string; readonly migration: string; readonly applied: string; readonly file: string };
  /** A value of a statement is no text, number, null or bytes. `position` counts from 1; `found` is its JavaScript type. */
  WAYBILL_VALUE_INVALID: { readonly position: number; readonly found: string };
  /** What was passed as a transaction is none. */
  WAYBILL_NOT_IN_TRANSACTION: { readonly handle: "pool" | "knex" | "autocommit" | "finished" | "nested" | "unknown" };
  /** No entry of the catalogue has this message type. */
  WAYBILL_MESSAGE_TYPE_UNKNOWN: { readonly type: string };
  /** A handler said that it will never take this message: a dead letter at once. `reason` is the handler's own word. */
  WAYBILL_MESSAGE_REJECTED: { readonly reason: string };
  /** A handler asks for its message again after so long. */
  WAYBILL_RETRY_AFTER: { readonly afterMs: number };
  /** A message id of the caller's own was appended before; `isSameContent` tells a repeat from a mix-up. */
  WAYBILL_MESSAGE_ID_REPEATED: { readonly messageId: string; readonly isSameContent: boolean };
  /** A message, or a field of its envelope, breaks the grammar or a limit: id, type, topic, key. */
  WAYBILL_MESSAGE_INVALID: { readonly field: "id" | "type" | "topic" | "key" | "source" | "payload" | "createdAt"; readonly rule: string };
  /** The payload breaks its schema. */
  WAYBILL_PAYLOAD_INVALID: { readonly type: string; readonly issues: readonly PayloadIssue[] };
  /** The payload holds something JSON cannot carry. */
  WAYBILL_PAYLOAD_NOT_JSON: {
    readonly type: string;
    readonly found:
      | "bigint"
      | "cycle"
      | "not a finite number"
      | "lone surrogate"
      | "undefined"
      | "function"
      | "symbol"
      | "invalid date"
      | "not plain data"
      | "nested too deeply"
      | "malformed";
    readonly path: string;
  };
  /** What a handler returned is too large to be kept. */
  WAYBILL_RESULT_TOO_LARGE: { readonly messageId: string; readonly bytes: number; readonly bytesMax: number };
  /** A request was handled, but its answer was not kept, for its work ended the transaction itself. Asking again tells nothing more. */
  WAYBILL_RESULT_LOST: { readonly messageId: string };
  /** The same request is being handled, here or elsewhere, and has not ended within the time given. Ask again under the same id. */
  WAYBILL_IN_PROGRESS: { readonly messageId: string; readonly waitedMs: number };
  /** Payload, headers and key together exceed the limit. Shrink, or store and refer. */
  WAYBILL_PAYLOAD_TOO_LARGE: { readonly type: string; readonly bytes: number; readonly bytesMax: number };
  /** A header's name or value breaks the grammar, or there are too many. */
  WAYBILL_HEADERS_INVALID: { readonly header: string; readonly rule: string };
  /** A signed request is unsigned, forged or too old. */
  WAYBILL_SIGNATURE_INVALID: { readonly reason: "missing" | "malformed" | "forged" | "stale" };
  /** We gave up waiting. Whether the operation took effect is unknown unless the operation says otherwise. */
  WAYBILL_DEADLINE: { readonly operation: string; readonly deadlineMs: number };
  /**
   * The database refused, or its connection was lost. `isTransient`: the same unit of work may succeed later. `errno`: the number MySQL
   * and MariaDB gave, which says more there than the SQLSTATE; null on PostgreSQL.
   */
  WAYBILL_DATABASE: {
    readonly operation: string;
    readonly sqlState: string | null;
    readonly errno: number | null;
    readonly isTransient: boolean;
  };
  /** A statement was sent after an error inside its unit of work: only a rollback may follow. */
  WAYBILL_UNIT_POISONED: { readonly operation: string };
  /** A COMMIT went out and no answer came back. Ask by id; assume nothing. `messageId`: of the half message that belongs to it. */
  WAYBILL_OUTCOME_UNKNOWN: { readonly operation: string; readonly messageId?: string };
  /**
   * The local transaction of this half message may not commit any more: a check-back has rolled it back for good, or it was joined before.
   * Roll back; a new try of the business operation needs a new half message.
   */
  WAYBILL_FENCED: { readonly producer: string; readonly messageId: string };
  /**
   * The half message was not prepared, so its local transaction was not begun. `reason`: a problem's code, `deadline`, or a word about the
   * connection; `status`: of the last answer. `mayBeStored`: it may be there; check-back rolls it back.
   */
  WAYBILL_PREPARE_FAILED: {
    readonly producer: string;
    readonly messageId: string;
    readonly reason: string;
    readonly status: number | null;
    readonly mayBeStored: boolean;
  };
  /** The half-message service did not do what was asked. `reason`: a problem's code, or a word about the connection. */
  WAYBILL_SERVICE_REFUSED: { readonly reason: string; readonly status: number | null };
  /** A commit was asked for a half message whose local transaction never joined the barrier: nothing would prove that it committed. */
  WAYBILL_NOT_JOINED: { readonly producer: string; readonly messageId: string };
  /** The transaction is of another database, or another schema, than the barrier for which the half message was prepared. Nothing was written. */
  WAYBILL_WRONG_BARRIER: { readonly producer: string; readonly messageId: string };
  /** The server takes no writes: a standby, or a primary that is about to hand over. Soon it may, or another one does. */
  WAYBILL_READ_ONLY: { readonly found: "standby" | "read-only" };
  /** The ledger cannot be read safely: a cached sequence, ids given out again. An operator decides. */
  WAYBILL_LEDGER_UNSAFE: { readonly rule: string; readonly found: string };
  /**
   * An operation on a subscription that its row does not allow. `missing`, `exists`, `streamMissing`: there is no such row, or one already. `stopped`: it
   * waits for a decision, which this is none of. `decisionNeeded`: resuming it must say what becomes of what was published. `deadLetters`: some of its
   * dead letters are not decided, and nobody would be left to publish them. `spilled`: nobody would be left to publish what waits in its spill.
   */
  WAYBILL_SUBSCRIPTION_REFUSED: {
    readonly stream: string;
    readonly subscription: string;
    readonly reason: "missing" | "exists" | "streamMissing" | "stopped" | "decisionNeeded" | "deadLetters" | "spilled";
  };
  /** A place that the ledger does not have: its history begins at `lowest`, and its ids have come to `highest`. */
  WAYBILL_POSITION_REFUSED: { readonly stream: string; readonly asked: bigint; readonly lowest: bigint; readonly highest: bigint };
  /**
   * A broker's exchange, queue, binding or topic is not as it must be, and only an operator can put it right. `argument`: the one that
   * differs, where the broker says.
   */
  WAYBILL_TOPOLOGY: {
    readonly system: string;
    readonly what: "exchange" | "queue" | "binding" | "topic";
    readonly name: string;
    readonly argument: string | null;
    readonly brokerCode: string | null;
  };
  /** A transport could not do its work; see the outcome it came in. `reason` is a stable word, `brokerCode` the broker's own. */
  WAYBILL_TRANSPORT: { readonly system: string; readonly reason: string; readonly brokerCode: string | null };
}

export type WaybillErrorCode = keyof WaybillErrorFacts;

const brand = Symbol.for("waybill.error");

/**
 * The one error class. Made by `waybillError`, recognised by `isWaybillError`.
 * The brand is a registered symbol, so that two installed copies of this package recognise each other's errors.
 */
export class WaybillError<Code extends WaybillErrorCode = WaybillErrorCode> extends Error {
  readonly code: Code;
  readonly facts: WaybillErrorFacts[Code];

  constructor(code: Code, message: string, facts: WaybillErrorFacts[Code], cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "WaybillError";
    this.code = code;
    this.facts = facts;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Makes an error. `message` says what to do; `facts` say what was found; `cause` is what was caught, if anything. */
export function waybillError<Code extends WaybillErrorCode>(
  code: Code,
  message: string,
  facts: WaybillErrorFacts[Code],
  cause?: unknown,
): WaybillError<Code> {
  return new WaybillError(code, message, facts, cause);
}

/** True if `error` is a Waybill error, of this code when one is given. Works across two installed copies of the package. */
export function isWaybillError(error: unknown): error is WaybillError;
export function isWaybillError<Code extends WaybillErrorCode>(error: unknown, code: Code): error is WaybillError<Code>;
export function isWaybillError(error: unknown, code?: WaybillErrorCode): boolean {
  return error instanceof Error && brand in error && (code === undefined || (error as unknown as WaybillError).code === code);
}

/** Collects problems of a configuration, so that all of them are reported at once. */
export function throwConfigProblems(what: string, problems: readonly ConfigProblem[]): void {
  if (problems.length === 0) return;
  const lines = problems.map(({ option, problem }) => `${option}: ${problem}`).join("; ");
  throw waybillError("WAYBILL_CONFIG_INVALID", `${what} cannot start: ${lines}.`, { problems });
}

/** What an error finds wrong with options, whether with several of them or with a name that is none; null: it is about something else. */
export function configProblemsOf(error: unknown): readonly ConfigProblem[] | null {
  if (isWaybillError(error, "WAYBILL_CONFIG_INVALID")) return error.facts.problems;
  if (!isWaybillError(error, "WAYBILL_IDENTIFIER_INVALID")) return null;
  const { what } = error.facts;
  return [{ option: what, problem: error.message.replace(`The ${what} `, "").replace(/\.$/, "") }];
}
