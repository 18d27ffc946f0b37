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

// Its table
export { deadLetterMigrations } from "./migrations.ts";
