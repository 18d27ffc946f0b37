/** Where in a ledger a reader is to stand. */
import { waybillError } from "@waybill/core";
import { findIdAtTime, type Reader } from "@waybill/outbox";
import type { Namespace } from "@waybill/sql";
import type { LedgerEnds } from "./operator-row.ts";

/**
 * `beginning`: at the first message that is still there. `now`: behind the last one. `id`: that message is the next. `timeMs`, milliseconds since
 * 1970: at the messages of that time, back by `marginMs` (default 60 000), as long as a writer's transaction may take: a message is as old as its
 * insert, and its commit may be that much later.
 */
export type Position = "beginning" | "now" | { readonly id: bigint } | { readonly timeMs: number; readonly marginMs?: number };

const marginMsDefault = 60_000;

/**
 * The id after which a reader at `position` goes on. A time before everything that is still there is the beginning.
 *
 * @throws WAYBILL_POSITION_REFUSED for an id whose history was removed, or that is not handed out yet
 */
export async function lastIdAt(
  reader: Reader,
  space: Namespace,
  stream: string,
  { removedTo, highestId }: LedgerEnds,
  position: Position,
): Promise<bigint> {
  // A note of what was removed that lies beyond all ids is of another history.
  const lowest = removedTo > highestId ? 1n : removedTo + 1n;
  if (position === "beginning") return lowest - 1n;
  if (position === "now") return highestId;
  if ("id" in position) {
    if (position.id >= lowest && position.id <= highestId + 1n) return position.id - 1n;
    const advice = position.id < lowest ? `history up to ${lowest - 1n} was removed` : `ids have come to ${highestId}`;
    throw waybillError(
      "WAYBILL_POSITION_REFUSED",
      `A reader of stream ${stream} cannot stand at id ${position.id}: ${advice}. Choose an id from ${lowest} to ${highestId + 1n}, the beginning or now.`,
      { stream, asked: position.id, lowest, highest: highestId },
    );
  }
  const timeMs = position.timeMs - (position.marginMs ?? marginMsDefault);
  const found = (await findIdAtTime(reader, space, { stream, timeMs })) ?? highestId + 1n;
  return (found < lowest ? lowest : found) - 1n;
}
