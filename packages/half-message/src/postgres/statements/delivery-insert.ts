import type { Identifier } from "@waybill/sql";
import { touchLanes } from "./delivery-touch-lanes.ts";

/**
 * Touches the lanes of $1 as `touchLanes` does, then inserts deliveries in the order of their places in $2, a JSON array of objects: code, producer, id, ordinal,
 * message_id, destination, receiver, business_key, ack_mode, lane, delay_ms, give_up_ms (null: never). One with a lane is scheduled by it, any other by itself.
 */
export const insertDeliveries = (deliveries: Identifier, lanes: Identifier): string => `
  with touched as (
    ${touchLanes(lanes)}
    returning 1
  )
  insert into ${deliveries}
    (code, producer, id, ordinal, message_id, destination, receiver, business_key, ack_mode, lane, open_lane, due_at, not_before, give_up_at)
  select code, producer, id, ordinal, message_id, destination, receiver, business_key, ack_mode, lane, lane,
         case when lane is null then now() + delay_ms * interval '1 millisecond' end,
         case when lane is not null and (delay_ms > 0 or receiver is not null) then now() + delay_ms * interval '1 millisecond' end,
         now() + (delay_ms + give_up_ms) * interval '1 millisecond'
  from json_to_recordset($2::json) as new (
         place integer, code bigint, producer text, id text, ordinal smallint, message_id text, destination text, receiver text,
         business_key text, ack_mode text, lane text, delay_ms float8, give_up_ms float8)
  -- counted, so that all lanes are locked before the first row gets its seq
  cross join (select count(*) from touched) as locked
  order by place`;
