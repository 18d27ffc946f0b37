/**
 * What one call of the transport carries: messages of one topic, from lanes that are in no other call.
 *
 *     ready lanes   a a a a   b b b   c c   d d d d d        a call, and the ones beside it, share the lanes out:
 *                                                            [a a b b] [c c d d], not [a a a a] [b b b c]
 */
import type { OutgoingMessage } from "@waybill/core";
import type { Entry, Lane } from "./lanes.ts";
import { outgoingMessage } from "./outgoing.ts";

/** Entries that were taken for one call: `counts[i]` of them, in order, belong to `lanes[i]`. */
export interface Batch {
  readonly lanes: Lane[];
  readonly counts: number[];
  readonly messages: OutgoingMessage[];
  readonly entries: Entry[];
  bytes: number;
}

export interface BatchBounds {
  readonly messagesMax: number;
  readonly ofLaneMax: number;
  /** A larger message goes alone. */
  readonly bytesMax: number;
}

export function emptyBatch(): Batch {
  return { lanes: [], counts: [], messages: [], entries: [], bytes: 0 };
}

/**
 * How much of one lane a call takes while so many are ready, and so many calls may begin. Many receivers confirm a lane's messages one by one:
 * long rows of few lanes would leave them little to work on at a time. It also publishes in about the ledger's order, so that what the
 * cursor has to save stays short.
 */
export function ofLaneAtMost(messagesMax: number, lanesReady: number, callsLeft: number): number {
  return Math.ceil(messagesMax / Math.ceil(lanesReady / Math.max(1, callsLeft)));
}

/** Moves what a lane can publish into the batch, as far as the batch has room. The lane is busy then. */
export function takeFrom(lane: Lane, batch: Batch, { messagesMax, ofLaneMax, bytesMax }: BatchBounds): void {
  const count = batch.messages.length;
  const end = Math.min(messagesMax, count + ofLaneMax);
  for (const entry of lane.entries) {
    if (entry.row === null || entry.unreadable !== null || entry.headers === null) break;
    // Behind the copies that are here there may be more, before anything of the ledger.
    if (entry.isSpilled !== lane.entries[0]?.isSpilled) break;
    if (batch.messages.length >= end || (batch.messages.length > 0 && batch.bytes + entry.bytes > bytesMax)) break;
    batch.messages.push(outgoingMessage(entry.row, entry.headers));
    batch.entries.push(entry);
    batch.bytes += entry.bytes;
  }
  lane.inHand = batch.messages.length - count;
  lane.isBusy = true;
  batch.lanes.push(lane);
  batch.counts.push(lane.inHand);
}
