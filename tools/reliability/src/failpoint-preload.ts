/**
 * Loaded before the command line of the product (`node --import`), so that the real relay can be made to die at an event: its log is one JSON line an
 * event, written synchronously where the event happens.
 */
import { createFailpoint, onStdinLine } from "./failpoint.ts";

const failpoint = createFailpoint();
onStdinLine((line) => {
  failpoint.arm(line);
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
