import type { Identifier } from "@waybill/sql";

/** Remembers nonce $2 of key $1 for $3 ms. No row: it was used before. */
export const insertNonce = (nonces: Identifier): string => `
  insert into ${nonces} (key_id, nonce, expires_at)
  values ($1, $2, clock_timestamp() + $3::float8 * interval '1 millisecond')
  on conflict do nothing`;
