// Appending

export { append } from "./append.ts";
export { cancel } from "./cancel.ts";
export { confirm } from "./confirm.ts";
export type { ConfirmOptions } from "./confirm-by.ts";
export type { Append, Cancel, Confirm, FindOptions, Outbox, OutboxOptions } from "./create-outbox.ts";
export { createOutbox } from "./create-outbox.ts";
export type { DelayOptions } from "./delay.ts";
export type { Appended, Asked, Reader } from "./find-message.ts";
export type { AppendOptions } from "./read-call.ts";

// The ledger, as a relay reads it

export type { LedgerOptions } from "./create-ledger.ts";
export { createLedger } from "./create-ledger.ts";
export type { FindIdAtTimeOptions } from "./find-id-at-time.ts";
export { findIdAtTime } from "./find-id-at-time.ts";
export type {
  Ahead,
  FenceReport,
  HoleProof,
  HoleProofOptions,
  IdRange,
  Ledger,
  LedgerBatch,
  LedgerFacts,
  LedgerRow,
  LookAheadRequest,
  ReadRequest,
} from "./ledger.ts";
export { payloadBytesInlineMax } from "./ledger.ts";
export { storedPayload } from "./ledger-row.ts";
export { listStreams } from "./list-streams.ts";
export type { ListedTopic } from "./list-topics.ts";
export { listTopics } from "./list-topics.ts";
export type { ReadHighestIdOptions } from "./read-highest-id.ts";
export { readHighestId } from "./read-highest-id.ts";

// Sets of ids

export { addRange, countIds, hasId, intersectRanges, normaliseRanges, rangesFromIds, subtractRanges, uniteRanges } from "./id-ranges.ts";

// Messages that wait until they are due

export type { DelayedMessages, MoveDueOptions, MovedDue, PassedOver } from "./delayed-messages.ts";
export { createDelayedMessages, nothingPassedOver } from "./delayed-messages.ts";

// Messages whose consumers must confirm

export type { Confirmations, MeasuredConfirmations, RepeatDueOptions, RepeatedDue, UnconfirmedMessage } from "./confirmations.ts";
export { createConfirmations } from "./confirmations.ts";

// Waking relays

export type { Hint, HintOptions } from "./create-hint.ts";
export { createHint, hintChannel } from "./create-hint.ts";

// Tables and their upkeep

export type { CreatedStream, CreateStreamOptions } from "./create-stream.ts";
export { createStream } from "./create-stream.ts";
export type { HistoryStatements, HistoryStep, RemovedHistory } from "./history-step.ts";
export type { KeepPartitionsOptions } from "./keep-partitions.ts";
export { keepPartitions } from "./keep-partitions.ts";
export { outboxName } from "./ledger-tables.ts";
export type { LedgerMeasure, MeasureLedgerOptions } from "./measure-ledger.ts";
export { measureLedger } from "./measure-ledger.ts";
export { outboxMigrations } from "./migrations.ts";
export type { KeptPartitions } from "./postgres/partitions.ts";
export type { RemoveHistoryOptions } from "./remove-history.ts";
export { removeHistory } from "./remove-history.ts";
