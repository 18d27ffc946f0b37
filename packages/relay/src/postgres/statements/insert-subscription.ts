import type { Identifier } from "@waybill/sql";

/**
 * Makes subscription $2 of stream $1, which has read everything up to id $3. The transaction has seen that there is none of that name.
 */
export const insertSubscription = (subscriptions: Identifier): string => `
  insert into ${subscriptions} (stream, subscription, last_id)
  values ($1, $2, $3::bigint)`;
