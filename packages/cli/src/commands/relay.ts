/**
 * Relays as a process of their own, one or several: configuration in, life cycle around them, nothing about messages.
 *
 *     configure ─▶ admin server ─▶ relays run ──signal──▶ drained ─▶ transports, databases, admin server closed ─▶ exit 0
 *                                      └── none is left that can go on: logged, the same way out, exit 1 or 3
 */
import { type Clock, configProblemsOf, isWaybillError, systemClock, withDeadline } from "@waybill/core";
import { readHighestId } from "@waybill/outbox";
import { createRelays, type RelayEnd, type RelayStanding, type Relays } from "@waybill/relay";
import { type AdminServer, parseAdmin, startAdminServer } from "../admin-server.ts";
import { closeTransport } from "../close-transport.ts";
import type { CommandDefinition } from "../command.ts";
import type { Configuration } from "../configuration.ts";
import { type ExitCode, exitCodeOf, exitCodes } from "../exit-codes.ts";
import { createLog, type Log } from "../log.ts";
import { renderMetrics } from "../metrics.ts";
import { processReadiness, readinessOf } from "../readiness.ts";
import { effectiveSettings, gatherProblems, type RelayEntry, relayEntries, relaySettings } from "../relay-entries.ts";
import { type RelayParts, relayParts } from "../relay-parts.ts";
import { admin, databases, drainDeadlineMs, logLevel, onlyTopics, onlyTypes, readyMaxAgeMs, totalNumbers } from "../settings.ts";
import { type Stop, stopOnSignals } from "../signals.ts";

/** A scrape waits this long for a database, and then goes without. */
const scrapeDeadlineMs = 1_000;
/** Nothing is at stake there any more: one that hangs must not take what is left of the drain deadline. */
const databaseCloseMs = 500;

export const relay: CommandDefinition = {
  path: ["relay"],
  description: "Publish a subscription of the ledger, or several of several databases, until told to stop",
  settings: [...relaySettings, databases, ...totalNumbers, admin, readyMaxAgeMs, drainDeadlineMs, logLevel],
  notes:
    'Logs JSON lines on stdout. SIGTERM and SIGINT stop it: what is on its way settles, the cursor is saved, the lease handed over.\nA second signal ends it at once. Several relays stand in the --config file: {"databases": [{"name", "database", "subscriptions": [{…}]}]}.',
  async run(configuration) {
    const clock = systemClock;
    const log = createLog({ level: configuration.get(logLevel) ?? "info", clock, writeLine });
    const entries = relayEntries(configuration);
    const parts = await processParts(configuration, entries, log);
    log.write({ name: "cli.configured", settings: effectiveSettings(configuration, entries) });
    return runRelays(parts, clock, log);
  },
};

interface ProcessParts {
  readonly relays: Relays;
  readonly parts: readonly RelayParts[];
  readonly admin: ReturnType<typeof parseAdmin>;
  readonly readyMaxAgeMs: number;
  readonly drainDeadlineMs: number;
}

async function runRelays(given: ProcessParts, clock: Clock, log: Log): Promise<ExitCode> {
  const { relays, parts } = given;
  /** What a relay still holds, by its place. */
  const closing = new Map<number, string>(parts.map((_, place) => [place, "the relay"]));
  /** What the process waits for, once it was told to stop. */
  const waitingFor = (): string =>
    parts
      .flatMap(({ entry }, place) => {
        const what = closing.get(place);
        return what === undefined ? [] : [entry.databaseName === null ? what : `${what} of ${entry.name}`];
      })
      .join(", ");
  const stop = stopOnSignals({
    process,
    clock,
    deadlineMs: given.drainDeadlineMs,
    onStopping: (signal) => log.write({ name: "cli.stopping", signal, drainDeadlineMs: given.drainDeadlineMs }),
    onDeadline: () => log.write({ name: "cli.drainDeadlinePassed", waitingFor: waitingFor() }),
  });
  const leftMs = (): number => Math.max(1, (stop.deadlineAtMs() ?? clock.monotonicMs() + given.drainDeadlineMs) - clock.monotonicMs());
  /** Something did not close, and may keep the process alive. */
  let isLeft = false;
  /** Each as soon as its relay has ended: none waits for the slowest. */
  const close = async (part: RelayParts, place: number): Promise<void> => {
    closing.set(place, "the transport");
    if (!(await closeTransport(part.loaded?.transport, leftMs()))) {
      isLeft = true;
      const { stream, subscription } = part.entry;
      part.options.onEvent?.({ name: "relay.transportBroken", stream, subscription, code: "closeFailed" });
    }
    closing.set(place, "the database");
    await part.database?.close({ deadlineMs: Math.min(leftMs(), databaseCloseMs) });
    closing.delete(place);
  };
  let adminServer: AdminServer | null = null;
  let exitCode: ExitCode = exitCodes.done;
  try {
    adminServer = await startAdmin(given, stop);
    if (adminServer !== null) log.write({ name: "cli.adminListening", url: adminServer.url });
    parts.forEach((part, place) => part.onEnd(() => close(part, place)));
    exitCode = exitCodeOfEnds(await relays.run({ signal: stop.signal }), parts, log);
  } catch (error) {
    exitCode = exitCodeOf(error);
    log.write(failure(error));
    await Promise.all(parts.map(close));
  }
  await adminServer?.close();
  stop.end();
  log.write({ name: "cli.stopped", exitCode });
  if (isLeft) process.exit(exitCode);
  return exitCode;
}

/** Not 0 only if none was left that could go on: while one is, that one has work, and the others are begun anew. */
function exitCodeOfEnds(ends: readonly RelayEnd[], parts: readonly RelayParts[], log: Log): ExitCode {
  const failed = ends.flatMap((end) => (end.kind === "failed" ? [end] : []));
  for (const { name, error } of failed) log.write(failure(error), parts.length === 1 ? {} : { relay: name });
  if (failed.length < ends.length) return exitCodes.done;
  const codes = new Set(failed.map(({ error }) => exitCodeOf(error)));
  const [code] = codes;
  return codes.size === 1 && code !== undefined ? code : exitCodes.failed;
}

function failure(error: unknown) {
  const { code, message } = isWaybillError(error)
    ? error
    : { code: "UNEXPECTED", message: error instanceof Error ? error.name : "no error" };
  return { name: "cli.failed", code, message } as const;
}

function startAdmin({ admin: at, relays, parts, readyMaxAgeMs: maxAgeMs }: ProcessParts, stop: Stop): Promise<AdminServer | null> {
  if (at === null || at === undefined) return Promise.resolve(null);
  const readinessOfOne = (one: RelayStanding) => readinessOf(one, stop.signal.aborted, maxAgeMs);
  return startAdminServer({
    ...at,
    readiness: () => {
      const standings = relays.health();
      const [only] = standings;
      if (parts.length === 1 && parts[0]?.entry.databaseName === null && only !== undefined) return readinessOfOne(only);
      return processReadiness(standings.map((one) => ({ name: one.name, ...readinessOfOne(one) })));
    },
    async metrics() {
      const standings = relays.health();
      return renderMetrics(
        await Promise.all(
          parts.map(async (part, place) => {
            const one = standings[place] as RelayStanding;
            return {
              metrics: part.metrics,
              gauges: { ...one, isReady: readinessOfOne(one).isReady, highestId: await highestIdOf(part, one) },
            };
          }),
        ),
      );
    },
  });
}

/** null: nobody needs to know, or the database does not say in time. */
async function highestIdOf({ database, space, entry }: RelayParts, { health }: RelayStanding): Promise<bigint | null> {
  // Only a holder's backlog is known, and a standby has no need to ask.
  if (health.state !== "active" || database === null || space === null) return null;
  const asked = readHighestId(database, space, { stream: entry.stream, deadlineMs: scrapeDeadlineMs }).catch(() => null);
  // Opening a connection takes its own time.
  const answer = await withDeadline(systemClock, scrapeDeadlineMs, asked);
  return answer.kind === "settled" ? answer.value : null;
}

/** Makes everything, so that everything that is wrong is known before anything starts. */
async function processParts(configuration: Configuration, entries: readonly RelayEntry[], log: Log): Promise<ProcessParts> {
  const parts = await Promise.all(entries.map((entry) => relayParts(entry, log)));
  const adminText = configuration.get(admin);
  const at = adminText === null ? null : parseAdmin(adminText);
  if (at === undefined) configuration.complain(admin.name, "must be HOST:PORT, [IPv6]:PORT or off");
  const relays = parts.length === 0 ? null : makeRelays(configuration, parts);
  try {
    gatherProblems(configuration, entries);
    configuration.checked({
      relays,
      ...Object.fromEntries(parts.flatMap(({ database, space, loaded }, place) => [[`${place}`, database && space && loaded]])),
    });
  } catch (error) {
    await Promise.all(parts.map(({ loaded }) => closeTransport(loaded?.transport, scrapeDeadlineMs)));
    throw error;
  }
  return {
    relays: relays as Relays,
    parts,
    admin: at,
    readyMaxAgeMs: configuration.get(readyMaxAgeMs) ?? 0,
    drainDeadlineMs: configuration.get(drainDeadlineMs) ?? 0,
  };
}

/** What is wrong is told where it was configured; then the answer is null. */
function makeRelays(configuration: Configuration, parts: readonly RelayParts[]): Relays | null {
  const totals = Object.fromEntries(
    totalNumbers.flatMap((setting) => {
      const value = configuration.get(setting);
      return value === null ? [] : [[setting.name, value]];
    }),
  );
  try {
    return createRelays({ relays: parts.map(({ options }) => options), ...totals });
  } catch (error) {
    const problems = configProblemsOf(error);
    if (problems === null) throw error;
    for (const { option, problem } of problems) {
      const [, place, own] = /^relays\[(\d+)\]\.(.+)$/.exec(option) ?? [];
      const name = own ?? option;
      // Told already, as the name of its database or as the same subscription.
      if (own === "name") continue;
      const of = place === undefined ? configuration : (parts[Number(place)]?.entry.configuration ?? configuration);
      of.complain({ topics: onlyTopics.name, types: onlyTypes.name }[name] ?? name, problem);
    }
    return null;
  }
}

function writeLine(line: string): number {
  if (line !== "") process.stdout.write(line);
  return process.stdout.writableLength;
}
