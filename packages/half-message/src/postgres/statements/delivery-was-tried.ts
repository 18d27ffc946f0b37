import type { Identifier } from "@waybill/sql";

/**
 * Whether somebody has tried in vain to deliver to destination $1 in the last $2 ms. What was tried was put off, so it stands among what is due last: reads
 * no more than came to the destination in that time. Served by the indexes of due lanes, of open lanes and of due deliveries.
 */
export const wasTried = (deliveries: Identifier, lanes: Identifier): string => `
  select exists (
           select
           from ${lanes} as lane
           join ${deliveries} as delivery on delivery.destination = lane.destination and delivery.open_lane = lane.lane
           where lane.destination = $1 and lane.due_at > now() - $2 * interval '1 millisecond'
             and delivery.last_at > now() - $2 * interval '1 millisecond' and delivery.last_outcome <> 'notSent'
         ) or exists (
           select
           from ${deliveries}
           where destination = $1 and due_at > now() - $2 * interval '1 millisecond'
             and last_at > now() - $2 * interval '1 millisecond' and last_outcome <> 'notSent'
         ) as was_tried`;
