// Messages given up or held, as the engines see them

export { createDeadLetters } from "./create-dead-letters.ts";
export type {
  DeadLetter,
  DeadLetterMessage,
  DeadLetterOrigin,
  DeadLetterState,
  DeadLetterSummary,
  DeadLetters,
  Lane,
  LookUp,
  NewDeadLetter,
  OpenLane,
  Reader,
  Refusal,
  ReleasedLane,
} from "./dead-letters.ts";
export { laneDigest } from "./lane-digest.ts";

// As operators see them

export type { DeadLetterFilter, DeadLetterPlace } from "./dead-letter-filter.ts";
export type { Decided, DecisionOptions } from "./decide-dead-letters.ts";
export { discardDeadLetters, redriveDeadLetters } from "./decide-dead-letters.ts";
export type { ListDeadLettersOptions, ListedDeadLetter } from "./list-dead-letters.ts";
export { listDeadLetters } from "./list-dead-letters.ts";
export type { ShownDeadLetter } from "./show-dead-letters.ts";
export { showDeadLetters } from "./show-dead-letters.ts";

// Their table

export { deadLetterMigrations } from "./migrations.ts";
