/**
 * Listens for errors of the driver's connections before the driver hands them over (A4).
 *
 * It reads on in the moment in which a connection opens: what the broker says in the same packet – that it closes the connection with
 * an error, for one – is told to a connection that nobody has seen yet, and an error that nobody listens to ends the process. The
 * class is the driver's own and exported to nobody, so it is found by its path; where it is not found, nothing is changed. A listener more
 * does nothing to connections of others: their errors are passed on, and end the process there, as before.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

interface ConnectionClass {
  readonly prototype: {
    open(this: { on(event: "error", listener: () => void): unknown }, ...given: unknown[]): unknown;
  };
}

/** Marks our function, also for a second copy of this package in the process. */
const mark = Symbol.for("waybill.amqplib.earlyErrors");

/** Once per process. */
export function listenForEarlyErrors(): void {
  const found = connectionClass();
  if (found === null || typeof found.prototype?.open !== "function" || mark in found.prototype.open) return;
  const { prototype } = found;
  const open = prototype.open;
  const listening: typeof open = function (...given) {
    this.on("error", () => undefined);
    return open.apply(this, given);
  };
  prototype.open = Object.defineProperty(listening, mark, { value: true });
}

function connectionClass(): ConnectionClass | null {
  const require = createRequire(import.meta.url);
  try {
    const file = join(dirname(require.resolve("amqplib")), "lib", "connection.js");
    return (require(file) as { readonly Connection?: ConnectionClass }).Connection ?? null;
  } catch {
    return null;
  }
}
