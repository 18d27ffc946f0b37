import type { Identifier } from "@waybill/sql";

/**
 * Locks at most `limit` due deliveries without a lane of destination ?1, and answers them. A row that somebody else is at is passed over. Served by
 * the index of due deliveries.
 */
export const findDueRows = (deliveries: Identifier, limit: number): string => `
  select seq
  from ${deliveries} force index (due)
  where destination = ? and due_at <= utc_timestamp(6)
  order by due_at
  limit ${limit}
  for update skip locked`;
