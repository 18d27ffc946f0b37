import { type ConfigProblem, throwConfigProblems } from "@waybill/core";
import type { DeadLetterOrigin, DeadLetterState } from "./dead-letters.ts";

/** Which dead letters an operator means; what is left out asks for any. */
export interface DeadLetterFilter {
  readonly origin?: DeadLetterOrigin;
  /** `stream/subscription` of a relay, or the consumer of an inbox. */
  readonly reader?: string;
  readonly state?: DeadLetterState;
  readonly topic?: string;
  readonly type?: string;
  readonly messageId?: string;
  readonly key?: string;
  /** As a whole: `status:422`. */
  readonly reason?: string;
  /** Given up, or put behind one that was, at this time or later, by the database's clock: milliseconds since 1970. */
  readonly sinceMs?: number;
}

/** Where a row is, and where a page ended. */
export interface DeadLetterPlace {
  readonly origin: DeadLetterOrigin;
  readonly reader: string;
  readonly sequence: bigint;
  readonly messageId: string;
}

/** As parameters: origin, reader, state, topic, type, message id, key, reason, microseconds since 1970. */
export function filterValues(filter: DeadLetterFilter): readonly (string | null)[] {
  const { origin = null, reader = null, state = null, topic = null, type = null, messageId = null, key = null, reason = null } = filter;
  const since = filter.sinceMs === undefined ? null : String(Math.trunc(filter.sinceMs * 1_000));
  return [origin, reader, state, topic, type, messageId, key, reason, since];
}

/** As parameters: origin, reader, sequence, message id. */
export function placeValues(place: DeadLetterPlace | null): readonly (string | null)[] {
  return place === null ? [null, null, null, null] : [place.origin, place.reader, String(place.sequence), place.messageId];
}

/** @throws WAYBILL_CONFIG_INVALID if a limit is no whole number from 1 to `max` */
export function checkLimit(what: string, option: string, value: number, max: number): void {
  const isUsable = Number.isInteger(value) && value >= 1 && value <= max;
  const problems: ConfigProblem[] = isUsable ? [] : [{ option, problem: `must be a whole number from 1 to ${max}` }];
  throwConfigProblems(what, problems);
}
