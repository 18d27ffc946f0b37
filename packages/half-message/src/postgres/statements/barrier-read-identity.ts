import type { Identifier } from "@waybill/sql";

/** The barrier's identity. No row: it has none. */
export const readIdentity = (identities: Identifier): string => `
  select identity::text as identity
  from ${identities}`;
