import type { Identifier } from "@waybill/sql";

/**
 * The fates of `count` half messages ?2, ?3, … of producer ?1, as far as they are known here: a row for each with its id and fate, or one
 * row with nulls. Each row names the barrier's identity; no row at all: it has none. Served by the primary key.
 */
export const readFates = (barrier: Identifier, identities: Identifier, count: number): string => `
  select own.identity, known.id, known.fate
  from ${identities} as own
  left join ${barrier} as known on known.producer = ? and known.id in (${Array.from({ length: count }, () => "?").join(", ")})`;
