import type { Identifier } from "@waybill/sql";

/**
 * A row if the identity is ?1. A locking read, for that makes no snapshot: what the business transaction reads later it reads as of
 * then. The row is never updated, so the lock is in nobody's way.
 */
export const checkIdentity = (identities: Identifier): string => `
  select 1 as is_ours
  from ${identities}
  where identity = ?
  lock in share mode`;
