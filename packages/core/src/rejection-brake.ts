/**
 * Tells one bad message from a bad destination. After ten rejections in a row with one code on one topic, a lowered size limit or
 * a wrong permission is likelier than ten poisonous messages: further rejections count as failures of the topic, which waits and
 * raises an alarm, until a message succeeds or an operator says go on (by a restart).
 */
export interface RejectionBrake {
  readonly code: string | null;
  readonly inARow: number;
}

export const rejectionsInARowMax = 10;

export const releasedBrake: RejectionBrake = Object.freeze({ code: null, inARow: 0 });

/** After a rejection with this code. */
export function afterRejection(brake: RejectionBrake, code: string): RejectionBrake {
  return { code, inARow: brake.code === code ? brake.inARow + 1 : 1 };
}

/** True if a rejection with this code is to be taken for a failure of the topic. */
export function isBraked(brake: RejectionBrake, code: string): boolean {
  return brake.code === code && brake.inARow >= rejectionsInARowMax;
}
