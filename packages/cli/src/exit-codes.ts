import { isWaybillError } from "@waybill/core";

/** What the process ends with. */
export const exitCodes = {
  done: 0,
  /** It ran and failed, or found something wrong; or a second signal came. */
  failed: 1,
  /** Usage or configuration. */
  usage: 2,
  /** The schema is not the one needed. */
  schema: 3,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export function exitCodeOf(error: unknown): ExitCode {
  if (!isWaybillError(error)) return exitCodes.failed;
  switch (error.code) {
    case "WAYBILL_CONFIG_INVALID":
    case "WAYBILL_IDENTIFIER_INVALID":
    case "WAYBILL_TRANSPORT_UNKNOWN":
      return exitCodes.usage;
    case "WAYBILL_SCHEMA_MISMATCH":
    case "WAYBILL_MIGRATION_CHANGED":
      return exitCodes.schema;
    default:
      return exitCodes.failed;
  }
}
