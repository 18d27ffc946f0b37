/** Which consumers must confirm a message: what the caller may say, and how it is told to them. */
import { type ConfigProblem, confirmByHeader, isWaybillError, sourceHeader, validateHeaders, waybillError } from "@waybill/core";
import type { DelayOptions } from "./delay.ts";

export interface ConfirmOptions {
  /**
   * Names of consumers, 1 to 8, that must confirm that their effects are committed, within `withinMs`: until each has (`confirm`), a copy is kept here, and
   * what is not confirmed in time is appended again. See the README.
   */
  readonly confirmBy?: readonly string[];
  /** Milliseconds they have: 1 to 86 400 000, a day. After each repeat they have twice as long, a day at most. Not for messages that are delayed. */
  readonly withinMs?: number;
}

const consumersMax = 8;
/** The fifth repeat comes after five days then, within the seven for which an inbox takes repetitions unless told otherwise: later it would be handled twice. */
const withinMsMax = 86_400_000;

export function confirmProblems({ confirmBy, withinMs, deliverAt, delayMs }: ConfirmOptions & DelayOptions): readonly ConfigProblem[] {
  if (confirmBy === undefined && withinMs === undefined) return [];
  const areNames = Array.isArray(confirmBy) && confirmBy.every((name) => typeof name === "string" && /^[A-Za-z0-9._/-]{1,100}$/.test(name));
  const isList = areNames && confirmBy.length >= 1 && confirmBy.length <= consumersMax && new Set(confirmBy).size === confirmBy.length;
  const isTime = Number.isInteger(withinMs) && Number(withinMs) >= 1 && Number(withinMs) <= withinMsMax;
  const isDelayed = deliverAt !== undefined || delayMs !== undefined;
  return [
    ...(isDelayed ? [{ option: "confirmBy", problem: "not together with deliverAt or delayMs" }] : []),
    ...(isList
      ? []
      : [{ option: "confirmBy", problem: `must be 1 to ${consumersMax} different names of consumers, and goes with withinMs` }]),
    ...(isTime ? [] : [{ option: "withinMs", problem: `must be a whole number from 1 to ${withinMsMax}, and goes with confirmBy` }]),
  ];
}

/**
 * Checks that a message's own headers leave room for the one that names its consumers: what is beyond the limits would be cut off by whoever receives it, and
 * nobody would confirm.
 *
 * @throws WAYBILL_HEADERS_INVALID
 */
export function checkRoomForConfirmBy(headers: ReadonlyMap<string, string>, confirmBy: readonly string[]): void {
  const all = new Map(headers).set(confirmByHeader, confirmBy.join(","));
  // What the catalogue sets itself is sent beside them and counts for nobody.
  for (const name of [sourceHeader, "content-type"]) all.delete(name);
  try {
    validateHeaders(all);
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_HEADERS_INVALID")) throw error;
    const { header } = error.facts;
    const rule = `${error.facts.rule}, and ${confirmByHeader}, which confirmBy adds, is one of them`;
    throw waybillError("WAYBILL_HEADERS_INVALID", `Header ${JSON.stringify(header)} cannot be sent: ${rule}.`, { header, rule }, error);
  }
}

/** Headers as JSON text, with the names of those that must confirm. */
export function withConfirmBy(headers: string | null, confirmBy: readonly string[]): string {
  const given = headers === null ? {} : (JSON.parse(headers) as Readonly<Record<string, string>>);
  return JSON.stringify({ ...given, [confirmByHeader]: confirmBy.join(",") });
}
