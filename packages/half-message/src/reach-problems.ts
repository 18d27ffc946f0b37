/**
 * Where an endpoint may be, as options say it: networks and ports. What no caller takes for a network is refused at start, by the option's name; with one
 * such entry a caller opens none of the others, so that every call would be in vain. Which networks are never opened is the caller's say.
 */
import { isIP } from "node:net";
import type { ConfigProblem } from "@waybill/core";

/** Left out, an option has no problem. */
export function networksProblems(option: string, value: unknown): readonly ConfigProblem[] {
  if (value === undefined || (Array.isArray(value) && value.every(isNetwork))) return [];
  return [{ option, problem: "must be a list of addresses or networks such as 10.20.0.0/16" }];
}

/** Left out, an option has no problem. */
export function portsProblems(option: string, value: unknown): readonly ConfigProblem[] {
  if (value === undefined || (Array.isArray(value) && value.every(isPort))) return [];
  return [{ option, problem: "must be a list of whole numbers from 1 to 65535" }];
}

function isNetwork(value: unknown): boolean {
  if (typeof value !== "string") return false;
  const [, address = "", prefix] = /^([^/%]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(value) ?? [];
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return bits > 0 && (prefix === undefined || Number(prefix) <= bits);
}

function isPort(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= 65_535;
}
