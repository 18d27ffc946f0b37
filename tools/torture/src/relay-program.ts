/**
 * A relay of the torture run, in a process of its own. One argument: `RelayProgramOptions` as JSON. SIGTERM stops it in an orderly way. It tells
 * a few of its events, and why it ended if it ended by itself; nothing else of it is asked when the run is judged.
 *
 * A broken build is this program, started from a copy of the packages.
 */
import { writeSync } from "node:fs";
import { createRelay } from "@waybill/relay";
import { openDatabase } from "@waybill/sql";
import { destinationTransport } from "./destination-transport.ts";

export interface RelayProgramOptions {
  readonly url: string;
  /** The destination's socket. */
  readonly destination: string;
  readonly leaseMs: number;
  /** Of a message, in one call; how many calls at a time. */
  readonly batchMax: number;
  readonly callsMax: number;
}

const told: ReadonlySet<string> = new Set([
  "relay.leaseAcquired",
  "relay.leaseLost",
  "relay.leaseReleased",
  "relay.restarting",
  "relay.soloEnded",
  "relay.soloDeathCounted",
  "relay.subscriptionStopped",
  "relay.stopped",
]);

const options = JSON.parse(process.argv[2] ?? "{}") as RelayProgramOptions;
const database = openDatabase({ url: options.url });
const transport = destinationTransport(options.destination);
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());

await createRelay({
  database,
  transport,
  transportName: "torture",
  leaseMs: options.leaseMs,
  batchMax: options.batchMax,
  callsMax: options.callsMax,
  publishDeadlineMs: 1_000,
  statementDeadlineMs: 4_000,
  saveMs: 100,
  pollMaxMs: 50,
  holeFenceAfterMs: 1_000,
  messageBackoff: { firstMs: 20, maxMs: 500 },
  topicBackoff: { firstMs: 20, maxMs: 500 },
  outageBackoff: { firstMs: 20, maxMs: 500 },
  onEvent: (event) => {
    if (!told.has(event.name)) return;
    writeSync(1, `${JSON.stringify(event, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}\n`);
  },
}).run({ signal: stop.signal });

await transport.close({ deadlineMs: 500 });
await database.close();
process.stdin.destroy();
