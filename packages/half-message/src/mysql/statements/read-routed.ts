import type { Identifier } from "@waybill/sql";
import { amongKeys } from "./repeated.ts";

/** Where the messages of so many half messages, by producer and id, go: in the order of their deliveries, without payloads. */
export const readRouted = (bodies: Identifier, counts: readonly number[]): string => `
  select producer, id, ordinal, message_id, \`key\`, business_key, delay_ms, destinations
  from ${bodies}
  where ${amongKeys(counts)}
  order by producer, id, ordinal`;
