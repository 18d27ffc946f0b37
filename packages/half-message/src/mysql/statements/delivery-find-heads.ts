import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/**
 * For each of `rows` lanes that follow ?1, ?2 = destination: its first delivery that may go now; seq is null where there is none. One probe of the
 * index of open lanes each, however many wait behind.
 */
export const findHeads = (deliveries: Identifier, lanes: Identifier, rows: number): string => `
  select wanted.lane,
         (
          select head.seq
          from ${deliveries} as head force index (lane_order)
          where head.destination = ? and head.open_lane = wanted.lane
            and (head.not_before is null or head.not_before <= utc_timestamp(6))
          order by head.seq
          limit 1
         ) as seq
  from ${lanes} as wanted
  where wanted.destination = ? and wanted.lane in (${repeated("?", rows, ", ")})`;
