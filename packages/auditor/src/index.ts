// Judging
export { type AuditOptions, audit } from "./audit.ts";
export { AuditInputError } from "./audit-input-error.ts";
export type { DatabasePlace, Query } from "./database-place.ts";
export { digest } from "./digest.ts";
export { type HalfMessagePart, type HalfMessageState, readHalfMessages } from "./half-messages.ts";
export type {
  Consumer,
  DeadLetter,
  DeadLetterState,
  Effect,
  Fault,
  Handled,
  History,
  IdRange,
  Intent,
  KeyPolicy,
  LedgerRow,
  Received,
  SubscriptionState,
  TransactionOutcome,
} from "./history.ts";
// Collecting what is judged
export { createJournal, createReceivedLog, type JournalEntry, readJournal, readReceivedLog } from "./journal.ts";
export { createJsonLines, type JsonLines, readJsonLines } from "./json-lines.ts";
export { type KafkaTapOptions, tapKafka } from "./kafka/tap-kafka.ts";
export { formatHistory, parseHistory } from "./parse-history.ts";
export { type RabbitmqTapOptions, tapRabbitmq } from "./rabbitmq/tap-rabbitmq.ts";
export { type InboxPart, type LedgerPart, readBusinessRows, readEffects, readInbox, readLedger } from "./read-tables.ts";
export type { Tap, TapOptions } from "./tap.ts";
export {
  type Counts,
  combineVerdicts,
  type Effort,
  type InvariantCode,
  type TraceStep,
  type Verdict,
  type VerdictKind,
  type Witness,
} from "./verdict.ts";
