import { AuditInputError } from "./audit-input-error.ts";
import {
  consumerFrom,
  deadLetterFrom,
  effectFrom,
  faultFrom,
  handledFrom,
  intentFrom,
  ledgerRowFrom,
  receivedFrom,
  subscriptionFrom,
  textsAt,
} from "./entries.ts";
import { arrayAt, countAt, type Fields, objectAt, optional } from "./fields.ts";
import type { History } from "./history.ts";

/**
 * A history as JSON text. 64-bit ids become decimal text. One text is at most about 500 MB, some two million messages: beyond
 * that call `audit` in the process that read the tables.
 */
export function formatHistory(history: History): string {
  return JSON.stringify(history, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}

/**
 * The history in a JSON text. Throws `AuditInputError` that names the first place which is not as `History` says. Names that
 * `History` does not know are refused at the top: a misspelt list would otherwise be a list of nothing.
 */
export function parseHistory(text: string): History {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AuditInputError("history", "must be JSON", { cause });
  }
  const fields = objectAt(value, "history");
  for (const name of Object.keys(fields)) if (!known.has(name)) throw new AuditInputError(`history.${name}`, "is not part of a history");
  return {
    intents: listAt(fields, "intents", intentFrom),
    ledger: listAt(fields, "ledger", ledgerRowFrom),
    subscriptions: listAt(fields, "subscriptions", subscriptionFrom),
    received: listAt(fields, "received", receivedFrom),
    deadLetters: listAt(fields, "deadLetters", deadLetterFrom),
    consumers: listAt(fields, "consumers", consumerFrom),
    effects: listAt(fields, "effects", effectFrom),
    ...optional(fields, "businessRows", "history", textsAt),
    ...optional(fields, "unorderedTopics", "history", textsAt),
    ...optional(fields, "handled", "history", (from) => listAt(from, "handled", handledFrom)),
    ...optional(fields, "faults", "history", (from) => listAt(from, "faults", faultFrom)),
    ...optional(fields, "takeovers", "history", countAt),
  };
}

const known: ReadonlySet<string> = new Set([
  "intents",
  "ledger",
  "subscriptions",
  "received",
  "deadLetters",
  "consumers",
  "effects",
  "businessRows",
  "handled",
  "unorderedTopics",
  "faults",
  "takeovers",
] satisfies (keyof History)[]);

function listAt<Entry>(fields: Fields, name: string, read: (fields: Fields, where: string) => Entry): readonly Entry[] {
  return arrayAt(fields[name], `history.${name}`).map((value, at) => read(objectAt(value, `${name}[${at}]`), `${name}[${at}]`));
}
