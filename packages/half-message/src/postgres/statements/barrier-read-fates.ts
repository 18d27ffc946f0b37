import type { Identifier } from "@waybill/sql";

/**
 * The fates of half messages $2 of producer $1, as far as they are known here: a row for each with its id and fate, or one row with
 * nulls. Each row names the barrier's identity; no row at all: it has none. Served by the primary key.
 */
export const readFates = (barrier: Identifier, identities: Identifier): string => `
  select own.identity::text as identity, known.id, known.fate
  from ${identities} as own
  left join ${barrier} as known on known.producer = $1 and known.id = any($2::text[])`;
