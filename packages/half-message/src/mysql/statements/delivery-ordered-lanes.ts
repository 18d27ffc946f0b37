import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** Where messages may wait for those of `rows` half messages (producer and id of each): key and destinations of each that keeps the order of prepares. */
export const orderedLanes = (halfMessages: Identifier, bodies: Identifier, rows: number): string => `
  select half.order_key, body.destinations
  from ${halfMessages} as half
  join ${bodies} as body on body.producer = half.producer and body.id = half.id
  where (${repeated("(half.producer = ? and half.id = ?)", rows, " or ")}) and half.order_key is not null`;
