import type { Identifier } from "@waybill/sql";

/** Where messages may wait for those of the half messages $1, $2 (arrays of producers and ids): key and destinations of each that keeps the order of prepares. */
export const orderedLanes = (halfMessages: Identifier, bodies: Identifier): string => `
  select half.order_key, body.destinations
  from unnest($1::text[], $2::text[]) as wanted (producer, id)
  join ${halfMessages} as half on half.producer = wanted.producer and half.id = wanted.id
  join ${bodies} as body on body.producer = half.producer and body.id = half.id
  where half.order_key is not null`;
