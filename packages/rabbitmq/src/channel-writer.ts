/**
 * Writes messages into a channel of the driver's as bytes of our own, all messages of one turn of the loop in one piece.
 *
 *     publish ─▶ frames into a piece of memory ─▶ ... ─▶ end of the turn ─▶ the channel's own queue in the driver ─▶ socket
 *        │                                                                   └ behind and before whatever else it sends on the channel
 *        └ its callback into the driver's list of what is unconfirmed, as if the driver had written it
 *
 * The driver hands every message to the socket by itself: a system call each, a wake-up of the broker each, and a small message is
 * cheaper to make than to hand over like that. It has no option for it: its own queue and list are used, where they are found as they
 * were read in 2.3.1. Where they are not, there is no writer, and the driver writes.
 *
 * What was given to `publish` counts as written, as with the driver, which buffers as well. If the channel ends before the turn does,
 * the bytes are forgotten, and the driver tells every callback.
 */
import type { Writable } from "node:stream";
import type { OutgoingMessage } from "@waybill/core";
import type { DriverConfirmChannel } from "./driver.ts";
import { publishFrames } from "./publish-frames.ts";

export interface ChannelWriter {
  /** False: it was not written, and the driver shall do it, or say why not. */
  publish(message: OutgoingMessage, routingKey: string, onConfirm: (error: Error | null) => void): boolean;
  /** Hands over what was written so far: what the driver writes next comes behind it. */
  flush(): void;
}

/** What the driver's objects hold, though it promises it to nobody. */
interface Bookkeeping {
  readonly ch: number;
  readonly connection: {
    readonly channels: readonly ({ readonly channel: object; readonly buffer: Writable } | null | undefined)[];
    readonly frameMax: number;
    /** Whether a heartbeat is needed. */
    sentSinceLastCheck: boolean;
  };
  pushConfirmCallback(onConfirm: (error: Error | null) => void): void;
}

/** One piece for the socket. Large enough to make few of them, and to be given back soon. */
const pieceBytes = 65_536;
/** A larger message is written by the driver, which cuts its body into frames; copying it once more would cost as much as is gained. */
const messageBytesMax = 16_384;

/** Null: this driver is not as we know it. */
export function channelWriter(driver: DriverConfirmChannel, exchange: string): ChannelWriter | null {
  if (!hasBookkeeping(driver)) return null;
  const channel: Bookkeeping = driver;
  const { connection, ch } = channel;
  const frames = publishFrames(ch, exchange);
  const bytesMax = Math.min(messageBytesMax, connection.frameMax);
  let piece = Buffer.alloc(0);
  /** Written into the piece, and handed over of that. */
  let written = 0;
  let handed = 0;

  const flush = (): void => {
    if (handed === written) return;
    const bytes = piece.subarray(handed, written);
    handed = written;
    if (!isOpen(channel)) return;
    connection.sentSinceLastCheck = true;
    connection.channels[ch]?.buffer.write(bytes);
  };

  return {
    flush,
    publish(message, routingKey, onConfirm) {
      if (!isOpen(channel)) return false;
      const needed = frames.bytesMax(message, routingKey);
      if (needed === null || needed > bytesMax) return false;
      if (written + needed > piece.length) {
        flush();
        piece = Buffer.allocUnsafeSlow(pieceBytes);
        written = handed = 0;
      }
      const end = frames.write(piece, written);
      if (end === null) return false;
      if (handed === written) queueMicrotask(flush);
      written = end;
      channel.pushConfirmCallback(onConfirm);
      return true;
    },
  };
}

/** As the driver sees it: when a channel or its connection ends, it gives them other methods. */
function isOpen(channel: Bookkeeping): boolean {
  const { connection, ch } = channel;
  return (
    connection.channels[ch]?.channel === channel && !Object.hasOwn(channel, "sendMessage") && !Object.hasOwn(connection, "sendMessage")
  );
}

function hasBookkeeping(driver: object): driver is Bookkeeping {
  const { ch, connection, pushConfirmCallback } = driver as Partial<Bookkeeping>;
  return (
    typeof ch === "number" &&
    typeof pushConfirmCallback === "function" &&
    typeof connection?.frameMax === "number" &&
    connection.frameMax > 0 &&
    typeof connection.sentSinceLastCheck === "boolean" &&
    Array.isArray(connection.channels) &&
    typeof connection.channels[ch]?.buffer?.write === "function" &&
    isOpen(driver as Bookkeeping)
  );
}
