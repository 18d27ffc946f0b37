import type { Identifier } from "@waybill/sql";

/** Remembers a nonce of a key for milliseconds. Error 1062: it was used before. */
export const insertNonce = (nonces: Identifier): string => `
  insert into ${nonces} (key_id, nonce, expires_at)
  values (?, ?, utc_timestamp(6) + interval (? * 1000) microsecond)`;
