import type { Socket } from "node:net";

/** One direction of a proxied link: what `from` sends goes to `to`, late or not at all for a while, never out of order. */
export interface Direction {
  /** Sends bytes on, after the delay that is in place now. */
  forward(chunk: Buffer): void;
  /** Ends `to` behind everything that was forwarded. */
  end(): void;
  /** Looks again whether anything may pass. */
  refresh(): void;
}

/** What one packet is cut into, and how long after its predecessor each piece passes. */
export interface Pieces {
  readonly bytes: number;
  readonly everyMs: number;
}

export interface DirectionOptions {
  readonly from: Socket;
  readonly to: Socket;
  /** Asked once per packet. */
  readonly delayMs: () => number;
  /** How a packet of so many bytes is cut; null: not at all. Asked once per packet. */
  readonly piecesOf: (bytes: number) => Pieces | null;
  /** True while nothing may pass. */
  readonly isDark: () => boolean;
  readonly onData: (chunk: Buffer) => void;
}

const waitingBytesMax = 1_048_576;

export function directionOf({ from, to, delayMs, piecesOf, isDark, onData }: DirectionOptions): Direction {
  /** Null is the end of the stream. */
  const waiting: { readonly chunk: Buffer | null; readonly dueMs: number }[] = [];
  let waitingBytes = 0;
  let lastDueMs = 0;
  let timer: NodeJS.Timeout | undefined;
  let isFull = false;

  const send = (chunk: Buffer | null): void => {
    if (to.destroyed || to.writableEnded) return;
    if (chunk === null) to.end();
    else if (!to.write(chunk)) isFull = true;
  };
  /** Sends what is due, and reads on only while there is room and light. */
  const refresh = (): void => {
    clearTimeout(timer);
    const isHeld = isDark();
    for (let first = waiting[0]; !isHeld && first !== undefined && first.dueMs <= performance.now(); first = waiting[0]) {
      waiting.shift();
      waitingBytes -= first.chunk?.length ?? 0;
      send(first.chunk);
    }
    const next = waiting[0];
    if (next !== undefined && !isHeld) timer = setTimeout(refresh, Math.max(1, Math.ceil(next.dueMs - performance.now())));
    if (isHeld || isFull || waitingBytes > waitingBytesMax) from.pause();
    else from.resume();
  };
  const enqueue = (chunk: Buffer | null, delay: number): void => {
    lastDueMs = Math.max(lastDueMs, performance.now() + delay);
    waiting.push({ chunk, dueMs: lastDueMs });
    waitingBytes += chunk?.length ?? 0;
  };
  const forward = (chunk: Buffer): void => {
    const delay = delayMs();
    const pieces = piecesOf(chunk.length);
    if (pieces === null) enqueue(chunk, delay);
    else {
      for (let start = 0; start < chunk.length; start += pieces.bytes) {
        enqueue(chunk.subarray(start, start + pieces.bytes), delay);
        lastDueMs += pieces.everyMs;
      }
    }
    refresh();
  };
  const end = (): void => {
    enqueue(null, 0);
    refresh();
  };
  to.on("drain", () => {
    isFull = false;
    refresh();
  });
  to.once("close", () => clearTimeout(timer));
  from.on("data", onData);
  from.once("end", end);
  refresh();
  return { forward, end, refresh };
}
