import type { Identifier } from "@waybill/sql";

/**
 * Whether somebody has tried in vain to deliver to destination ?1, ?4 in the last ?2, ?3, ?5, ?6 ms. What was tried was put off, so it stands among what is
 * due last: reads no more than came to the destination in that time. Served by the indexes of due lanes, of open lanes and of due deliveries.
 */
export const wasTried = (deliveries: Identifier, lanes: Identifier): string => `
  select exists (
           select 1
           from ${lanes} as lane force index (due)
           join ${deliveries} as delivery force index (lane_order)
             on delivery.destination = lane.destination and delivery.open_lane = lane.lane
           where lane.destination = ? and lane.due_at > utc_timestamp(6) - interval ? * 1000 microsecond
             and delivery.last_at > utc_timestamp(6) - interval ? * 1000 microsecond and delivery.last_outcome <> 'notSent'
         ) or exists (
           select 1
           from ${deliveries} force index (due)
           where destination = ? and due_at > utc_timestamp(6) - interval ? * 1000 microsecond
             and last_at > utc_timestamp(6) - interval ? * 1000 microsecond and last_outcome <> 'notSent'
         ) as was_tried`;
