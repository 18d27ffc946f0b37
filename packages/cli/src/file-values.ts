/** Values of a configuration file: objects, and secrets that stand there by the name of a file. */
import { readFileSync } from "node:fs";
import type { Secret } from "@waybill/core";

export type Json = Readonly<Record<string, unknown>>;

/** The text of a secret that is needed now, wherever it is. */
export function textOfSecret(value: unknown): string | null {
  if (typeof value === "string") return value;
  if (isSecret(value)) return value.reveal();
  if (!isObject(value) || typeof value.file !== "string") return null;
  try {
    return readFileSync(value.file, "utf8").replace(/\r?\n$/, "");
  } catch {
    return null;
  }
}

function isSecret(value: unknown): value is Secret {
  return typeof value === "object" && value !== null && "reveal" in value;
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
