// Messages given up or held, as the engines see them
export type {
  DeadLetter,
  DeadLetterMessage,
  DeadLetterOrigin,
  DeadLetters,
  DeadLetterState,
  DeadLetterSummary,
  Lane,
  LookUp,
  NewDeadLetter,
  OpenLane,
  Reader,
  ReleasedLane,
} from "./dead-letters.ts";
