import type { IncomingMessage } from "node:http";
import type { Clock } from "@waybill/core";

export type ReadBody =
  | { readonly kind: "read"; readonly bytes: Uint8Array }
  | { readonly kind: "tooLarge" }
  | { readonly kind: "tooSlow" }
  /** The sender went away. */
  | { readonly kind: "gone" };

/** Reads a request's body, no more than `bytesMax` and no longer than `deadlineMs`. Never rejects. What is left unread is the caller's. */
export function readBody(
  request: IncomingMessage,
  options: { readonly bytesMax: number; readonly deadlineMs: number; readonly clock: Clock },
): Promise<ReadBody> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    const settle = (result: ReadBody): void => {
      timer.cancel();
      request.off("data", onData).off("end", onEnd).off("close", onGone);
      resolve(result);
    };
    const onData = (chunk: Uint8Array): void => {
      bytes += chunk.byteLength;
      if (bytes > options.bytesMax) settle({ kind: "tooLarge" });
      else chunks.push(chunk);
    };
    const onEnd = (): void => settle({ kind: "read", bytes: Buffer.concat(chunks) });
    const onGone = (): void => settle({ kind: "gone" });
    const timer = options.clock.setTimer(options.deadlineMs, () => settle({ kind: "tooSlow" }));
    request.on("data", onData).on("end", onEnd).on("close", onGone);
    // Stays: an error is followed by `close`, and must have a listener also when we no longer read.
    request.on("error", () => undefined);
  });
}

/**
 * Swallows what is left of a body and calls `onEnd`; after `bytesMax` or `deadlineMs` it destroys the connection instead.
 * Closing a socket with unread bytes in it sends a reset, which may overtake the answer.
 */
export function swallowBody(
  request: IncomingMessage,
  options: { readonly bytesMax: number; readonly deadlineMs: number; readonly clock: Clock },
  onEnd: () => void,
): void {
  let bytes = 0;
  const timer = options.clock.setTimer(options.deadlineMs, () => request.destroy());
  request.on("data", (chunk: Uint8Array) => {
    bytes += chunk.byteLength;
    if (bytes > options.bytesMax) request.destroy();
  });
  request.on("end", onEnd).on("close", () => timer.cancel());
  request.on("error", () => undefined);
  request.resume();
}
