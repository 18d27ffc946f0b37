import { isWaybillError } from "@waybill/core";

/**
 * The server's number for an error: from one of ours, or as `mysql2` and what is built on it leave it on theirs. null where whoever made the
 * transaction hides it, and for what is no error of the server.
 */
export function errorNumber(error: unknown): number | null {
  if (isWaybillError(error, "WAYBILL_DATABASE")) return error.facts.errno;
  if (typeof error !== "object" || error === null) return null;
  const { errno } = error as { readonly errno?: unknown };
  return typeof errno === "number" && errno > 0 ? errno : null;
}
