/**
 * Loaded before the command line of the product (`node --import`), so that the real relay can be made to die at an event: its log is one JSON line an
 * event, written synchronously where the event happens. `block MS` on stdin blocks its event loop.
 */
import { createFailpoint, onStdinLine } from "./failpoint.ts";

const failpoint = createFailpoint();
onStdinLine((line) => {
  const blockMs = /^block (\d+)$/.exec(line)?.[1];
  // Neither a timer nor an answer gets through, as when somebody's code computes for long.
  if (blockMs !== undefined) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(blockMs));
  else failpoint.arm(line);
});

const write = process.stdout.write.bind(process.stdout);
process.stdout.write = ((chunk: string | Uint8Array, ...rest: never[]): boolean => {
  const isWritten = write(chunk, ...rest);
  if (typeof chunk === "string") {
    const name = /"name":"([A-Za-z.]+)"/.exec(chunk)?.[1];
    if (name !== undefined) failpoint.pass(name);
  }
  return isWritten;
}) as typeof process.stdout.write;
