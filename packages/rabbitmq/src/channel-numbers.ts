/**
 * Keeps a channel's number from being given away too early (A19).
 *
 *     broker closes channel 1 ─▶ the driver queues its answer behind what still waits to be written on 1, and forgets the channel
 *     we open another ─────────▶ it is channel 1 again, and the driver writes fresh channels' frames first
 *     the broker sees "open 1" for a channel that it has closed and nobody has let go of: 504, the connection ends with all that is on it
 *
 * So a number stays taken until everything of its channel is written. The driver has no option for it: its own bookkeeping is used,
 * where it is found as it was read in 2.3.1. Where it is not, nothing is changed; what is lost then is a connection, never a message.
 */
import type { Readable } from "node:stream";

/** What the driver's connection keeps of its channels, though it promises it to nobody. */
interface Bookkeeping {
  readonly channels: readonly ({ readonly buffer: Readable } | null | undefined)[];
  readonly freeChannels: { set(number: number): void; clear(number: number): void };
  releaseChannel(number: number): void;
}

export function keepChannelNumbers(connection: object): void {
  if (!hasBookkeeping(connection)) return;
  const { freeChannels } = connection;
  const release = connection.releaseChannel.bind(connection);
  connection.releaseChannel = (number) => {
    const buffer = connection.channels[number]?.buffer;
    release(number);
    if (buffer === undefined || buffer.readableEnded) return;
    freeChannels.set(number);
    buffer.once("end", () => freeChannels.clear(number));
  };
}

function hasBookkeeping(connection: object): connection is Bookkeeping {
  const { channels, freeChannels, releaseChannel } = connection as Partial<Bookkeeping>;
  const isFunction = (value: unknown): boolean => typeof value === "function";
  return Array.isArray(channels) && isFunction(freeChannels?.set) && isFunction(freeChannels?.clear) && isFunction(releaseChannel);
}
