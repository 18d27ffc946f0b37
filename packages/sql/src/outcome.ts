import { waybillError } from "@waybill/core";

/**
 * How a unit of work ended. `unknown`: COMMIT went out and its answer did not come back, so it is either; ask by id, assume nothing.
 */
export type Outcome<T> =
  | { readonly kind: "committed"; readonly value: T }
  | { readonly kind: "rolledBack"; readonly error: Error }
  | { readonly kind: "unknown"; readonly error: Error };

/**
 * The value of a committed unit of work, for callers that treat everything else as an error.
 *
 * @throws the error of a rolled back unit as it is; WAYBILL_OUTCOME_UNKNOWN, with its cause, for an unknown one
 */
export function committedValue<T>(operation: string, outcome: Outcome<T>): T {
  switch (outcome.kind) {
    case "committed":
      return outcome.value;
    case "rolledBack":
      throw outcome.error;
    case "unknown":
      throw waybillError(
        "WAYBILL_OUTCOME_UNKNOWN",
        `Nobody answered the COMMIT of ${operation}: ask by id whether it happened.`,
        { operation },
        outcome.error,
      );
  }
}
