/**
 * The relay as a process of its own: configuration in, life cycle around it, nothing about messages.
 *
 *     configure ─▶ admin server ─▶ relay.run ──signal──▶ drained ─▶ transport, database, admin server closed ─▶ exit 0
 *                                      └── cannot go on: logged, the same way out, exit 1 or 3
 */
import { type Clock, isWaybillError, type OnEvent, systemClock, type Transport } from "@waybill/core";
import { readHighestId } from "@waybill/outbox";
import { createRelay, type Relay, type RelayOptions } from "@waybill/relay";
import type { Database, Namespace } from "@waybill/sql";
import { type AdminServer, parseAdmin, startAdminServer } from "../admin-server.ts";
import type { CommandDefinition } from "../command.ts";
import type { Configuration } from "../configuration.ts";
import { type ExitCode, exitCodeOf, exitCodes } from "../exit-codes.ts";
import { loadTransport } from "../load-transport.ts";
import { createLog, type Log } from "../log.ts";
import { createMetrics, type Metrics } from "../metrics.ts";
import { readinessOf } from "../readiness.ts";
import {
  admin,
  database,
  drainDeadlineMs,
  from,
  hint,
  keyPolicies,
  keyPolicy,
  leaseMs,
  logLevel,
  onlyTopics,
  onlyTypes,
  prefix,
  readyMaxAgeMs,
  relayBackoffs,
  relayNumbers,
  retentionNumbers,
  schema,
  stream,
  subscription,
  transportSettings,
} from "../settings.ts";
import { type Stop, stopOnSignals } from "../signals.ts";
import { placeOf } from "../tables.ts";
import type { LoadedTransport } from "../transports/loaded-transport.ts";

/** A scrape waits this long for the database, and then goes without. */
const scrapeDeadlineMs = 1_000;
/** For looking at a broker before anything is published. */
const checkDeadlineMs = 8_000;

const outward = [database, ...transportSettings] as const;
const which = [stream, subscription, from, onlyTopics, onlyTypes, schema, prefix, keyPolicy, keyPolicies, leaseMs, hint] as const;
const around = [admin, readyMaxAgeMs, drainDeadlineMs, logLevel] as const;

export const relay: CommandDefinition = {
  path: ["relay"],
  description: "Publish a subscription of the ledger until told to stop",
  settings: [
    ...outward,
    ...which,
    ...relayNumbers,
    ...retentionNumbers,
    ...relayBackoffs.flatMap(({ firstMs, maxMs }) => [firstMs, maxMs]),
    ...around,
  ],
  notes:
    "Logs JSON lines on stdout. SIGTERM and SIGINT stop it: what is on its way settles, the cursor is saved, the lease handed over.\nA second signal ends it at once.",
  async run(configuration) {
    const clock = systemClock;
    const log = createLog({ level: configuration.get(logLevel) ?? "info", clock, writeLine });
    const metrics = createMetrics({
      stream: configuration.get(stream) ?? "default",
      subscription: configuration.get(subscription) ?? "default",
    });
    const onEvent: OnEvent = (event) => {
      log.write(event);
      metrics.record(event);
    };
    const parts = await partsOf(configuration, onEvent);
    log.write({ name: "cli.configured", settings: configuration.effective });
    return runRelay(parts, { clock, log, metrics });
  },
};

interface Parts {
  readonly relay: Relay;
  readonly database: Database;
  readonly loaded: LoadedTransport;
  readonly space: Namespace;
  readonly stream: string;
  readonly admin: ReturnType<typeof parseAdmin>;
  readonly readyMaxAgeMs: number;
  readonly drainDeadlineMs: number;
}

interface Watching {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

async function runRelay(parts: Parts, { clock, log, metrics }: Watching): Promise<ExitCode> {
  let waitingFor = "the relay";
  const stop = stopOnSignals({
    process,
    clock,
    deadlineMs: parts.drainDeadlineMs,
    onStopping: (signal) => log.write({ name: "cli.stopping", signal, drainDeadlineMs: parts.drainDeadlineMs }),
    onDeadline: () => log.write({ name: "cli.drainDeadlinePassed", waitingFor }),
  });
  let adminServer: AdminServer | null = null;
  let exitCode: ExitCode = exitCodes.done;
  try {
    adminServer = await startAdmin(parts, metrics, stop);
    if (adminServer !== null) log.write({ name: "cli.adminListening", url: adminServer.url });
    await Promise.race([checkTransport(parts.loaded, log, stop.signal), aborted(stop.signal)]);
    await parts.relay.run({ signal: stop.signal });
  } catch (error) {
    exitCode = exitCodeOf(error);
    const { code, message } = isWaybillError(error)
      ? error
      : { code: "UNEXPECTED", message: error instanceof Error ? error.name : "no error" };
    log.write({ name: "cli.failed", code, message });
  }
  const leftMs = (): number => Math.max(1, (stop.deadlineAtMs() ?? clock.monotonicMs() + parts.drainDeadlineMs) - clock.monotonicMs());
  waitingFor = "the transport";
  try {
    await parts.loaded.transport.close({ deadlineMs: leftMs() });
  } catch {
    // A module's own; the relay has settled everything it was given.
    log.write({ name: "relay.transportBroken", stream: parts.stream, subscription: "", code: "closeFailed" });
  }
  waitingFor = "the database";
  await parts.database.close({ deadlineMs: leftMs() });
  await adminServer?.close();
  stop.end();
  log.write({ name: "cli.stopped", exitCode });
  return exitCode;
}

/** A broker that is away now is no reason not to start: the relay waits for it, and says so. One that would lose messages is. */
async function checkTransport({ check }: LoadedTransport, log: Log, signal: AbortSignal): Promise<void> {
  try {
    const findings = (await check?.(checkDeadlineMs)) ?? [];
    for (const { level, ...finding } of findings) if (level !== "ok") log.write({ name: "cli.transportDoubtful", ...finding });
  } catch (error) {
    if (signal.aborted) return; // nobody waits for it any more, and its transport may be closed
    if (!isWaybillError(error, "WAYBILL_TRANSPORT")) throw error;
    log.write({ name: "cli.transportNotChecked", message: error.message, reason: error.facts.reason, brokerCode: error.facts.brokerCode });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function startAdmin(parts: Parts, metrics: Metrics, stop: Stop): Promise<AdminServer | null> {
  const { admin: at, relay: running, readyMaxAgeMs: maxAgeMs } = parts;
  if (at === null || at === undefined) return Promise.resolve(null);
  const readiness = () => readinessOf(running.health(), stop.signal.aborted, maxAgeMs);
  return startAdminServer({
    ...at,
    readiness,
    async metrics() {
      const health = running.health();
      // Only a holder's backlog is known, and a standby has no need to ask.
      const highestId =
        health.state === "active"
          ? await readHighestId(parts.database, parts.space, { stream: parts.stream, deadlineMs: scrapeDeadlineMs }).catch(() => null)
          : null;
      return metrics.render({ health, isReady: readiness().isReady, highestId });
    },
  });
}

/** Makes everything, so that everything that is wrong is known before anything starts. */
async function partsOf(configuration: Configuration, onEvent: OnEvent): Promise<Parts> {
  const statementDeadlineMs = numbersOf(configuration).statementDeadlineMs;
  const { opened, space } = placeOf(configuration, { onEvent, ...(statementDeadlineMs === undefined ? {} : { statementDeadlineMs }) });
  const loaded = await loadTransport(configuration, onEvent);
  const adminText = configuration.get(admin);
  const at = adminText === null ? null : parseAdmin(adminText);
  if (at === undefined) configuration.complain(admin.name, "must be HOST:PORT, [IPv6]:PORT or off");
  // The relay judges its options also where the database or the transport could not be made: it touches neither before it runs.
  const stub: Transport = { publish: async () => [], close: async () => undefined };
  const made = configuration.make(
    () =>
      createRelay({
        ...(loaded === null || loaded.batchMax === null ? {} : { batchMax: loaded.batchMax }),
        ...relayOptionsOf(configuration),
        database: opened ?? ({ dialect: "postgres" } as Database),
        transport: loaded?.transport ?? stub,
        ...(loaded === null ? {} : { transportName: loaded.name }),
        onEvent,
      }),
    (option) => ({ topics: onlyTopics.name, types: onlyTypes.name })[option] ?? option,
  );
  try {
    return {
      ...configuration.checked({ relay: made, database: opened, loaded, space }),
      stream: configuration.get(stream) ?? "default",
      admin: at,
      readyMaxAgeMs: configuration.get(readyMaxAgeMs) ?? 0,
      drainDeadlineMs: configuration.get(drainDeadlineMs) ?? 0,
    };
  } catch (error) {
    await loaded?.transport.close({ deadlineMs: scrapeDeadlineMs });
    throw error;
  }
}

function relayOptionsOf(configuration: Configuration): Omit<RelayOptions, "database" | "transport"> {
  const given = {
    stream: configuration.get(stream),
    subscription: configuration.get(subscription),
    from: configuration.get(from),
    topics: configuration.get(onlyTopics),
    types: configuration.get(onlyTypes),
    schema: configuration.get(schema),
    prefix: configuration.get(prefix),
    keyPolicy: configuration.get(keyPolicy),
    keyPolicies: configuration.get(keyPolicies) as RelayOptions["keyPolicies"] | null,
    leaseMs: configuration.get(leaseMs),
    hint: configuration.get(hint),
  };
  const backoffs = relayBackoffs.flatMap(({ option, firstMs, maxMs }) => {
    const [first, max] = [configuration.get(firstMs), configuration.get(maxMs)];
    return first === null || max === null ? [] : [[option, { firstMs: first, maxMs: max }]];
  });
  const named = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)) as Omit<
    RelayOptions,
    "database" | "transport"
  >;
  return { ...named, ...numbersOf(configuration), ...(Object.fromEntries(backoffs) as Pick<RelayOptions, "topicBackoff">) };
}

type RelayNumbers = Partial<Pick<RelayOptions, "statementDeadlineMs">>;

function numbersOf(configuration: Configuration): RelayNumbers {
  return Object.fromEntries(
    [...relayNumbers, ...retentionNumbers].flatMap((setting) => {
      const value = configuration.get(setting);
      return value === null ? [] : [[setting.name, value]];
    }),
  ) as RelayNumbers;
}

function writeLine(line: string): number {
  if (line !== "") process.stdout.write(line);
  return process.stdout.writableLength;
}
