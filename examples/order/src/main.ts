/** `node dist/main.js`: the order service as a process. Configuration by environment, events as JSON lines on stderr. */
import { isWaybillError, type WaybillEvent } from "@waybill/core";
import { readConfiguration } from "./configuration.ts";
import { startService } from "./service.ts";

/** The longest a stop may take, all that is under way included. */
const drainDeadlineMs = 10_000;

const loud: ReadonlySet<WaybillEvent["name"]> = new Set([
  "inbox.retrying",
  "inbox.deadLettered",
  "inbox.failureRateHigh",
  "inbox.failureRateNormal",
  "inbox.sourceFailed",
  "source.rebuilding",
  "source.gapFound",
  "source.redeliveredOften",
  "sql.connectionLost",
  "http.alertNotTold",
]);

function log(entry: Readonly<Record<string, unknown>>): void {
  const text = JSON.stringify({ time: new Date().toISOString(), service: "order", ...entry }, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  process.stderr.write(`${text}\n`);
}

function describe(error: unknown): Readonly<Record<string, unknown>> {
  if (isWaybillError(error)) return { code: error.code, problem: error.message };
  return { code: error instanceof Error && "code" in error ? String(error.code) : "unknown" };
}

async function main(): Promise<void> {
  const service = await startService(readConfiguration(process.env), {
    onEvent: (event) => {
      if (loud.has(event.name)) log({ ...event });
    },
    onFailure: (error) => log({ name: "requestFailed", ...describe(error) }),
  });
  log({ name: "listening", url: service.url });

  const stop = (): void => {
    process.once("SIGTERM", () => process.exit(1));
    process.once("SIGINT", () => process.exit(1));
    setTimeout(() => process.exit(1), drainDeadlineMs).unref();
    service.close().catch((error: unknown) => log({ name: "stopFailed", ...describe(error) }));
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  try {
    await service.ended;
  } catch (error) {
    // Whoever restarts this process must see it end: its API alone, with nobody at the messages, looks well.
    setTimeout(() => process.exit(1), drainDeadlineMs).unref();
    await service.close();
    throw error;
  }
}

main().catch((error: unknown) => {
  log({ name: "failed", ...describe(error) });
  process.exitCode = isWaybillError(error, "WAYBILL_CONFIG_INVALID") ? 2 : isWaybillError(error, "WAYBILL_SCHEMA_MISMATCH") ? 3 : 1;
});
