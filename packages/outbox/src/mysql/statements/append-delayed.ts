import type { Identifier } from "@waybill/sql";
import { dueAt } from "./due-at.ts";

/**
 * Stores `count` messages, whose ids are claimed, until they are due. ? of the first: when it is due (see `due-at.ts`), message id, type, topic, key,
 * headers, payload, payload_bytes; then of the next, and so on.
 */
export const appendDelayed = (delayed: Identifier, count: number): string => `
  insert into ${delayed} (due_at, message_id, type, topic, \`key\`, headers, payload, payload_bytes)
  values ${Array.from({ length: count }, () => `(${dueAt}, ?, ?, ?, ?, ?, ?, ?)`).join(",\n    ")}`;
