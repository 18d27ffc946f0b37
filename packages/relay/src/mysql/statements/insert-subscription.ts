import type { Identifier } from "@waybill/sql";

/**
 * Makes a subscription that has read everything up to an id. stream · subscription · id. The transaction has seen that there is none of that name.
 */
export const insertSubscription = (subscriptions: Identifier): string => `
  insert into ${subscriptions} (stream, subscription, last_id, holes, solo_deaths)
  values (?, ?, ?, '[]', '{}')`;
