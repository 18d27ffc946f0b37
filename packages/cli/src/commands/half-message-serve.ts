import { type ConfigProblem, configProblemsOf, type OnEvent, systemClock, throwConfigProblems } from "@waybill/core";
import { createHalfMessageService, type HalfMessageService, type HalfMessageServiceOptions } from "@waybill/half-message";
import { httpCaller } from "@waybill/http";
import { type Database, openDatabase } from "@waybill/sql";
import type { CommandDefinition } from "../command.ts";
import type { Configuration } from "../configuration.ts";
import { type ExitCode, exitCodeOf, exitCodes } from "../exit-codes.ts";
import { isObject, type Json, textOfSecret } from "../file-values.ts";
import { loadDestinations } from "../half-message/load-destinations.ts";
import { readServiceFile, withSecrets } from "../half-message/read-service-file.ts";
import { givenOptions, serveSettings } from "../half-message/serve-settings.ts";
import { createLog, type Log } from "../log.ts";
import { config, database, logLevel, prefix, schema } from "../settings.ts";
import { stopOnSignals } from "../signals.ts";

export const halfMessageServe: CommandDefinition = {
  path: ["half-message", "serve"],
  description: "Run the half-message service: --config names a JSON file with its options",
  settings: [database, schema, prefix, logLevel, ...serveSettings],
  hasOwnFile: true,
  notes:
    'The file holds the options of createHalfMessageService by their names; a secret is {"env": "NAME"} or {"file": "path"}, a destination a URL as of\nwaybill relay, or an object with "transport". What is given\nby flag or environment takes the place of what the file says under that name.\nLogs JSON lines on stdout. SIGTERM and SIGINT stop it: prepares are refused, what is under way is answered. A second signal ends it at once.',
  async run(configuration) {
    const clock = systemClock;
    const log = createLog({ level: configuration.get(logLevel) ?? "info", clock, writeLine });
    const parts = await partsOf(configuration, log);
    log.write({ name: "cli.configured", settings: configuration.effective });
    let waitingFor = "the service";
    const stop = stopOnSignals({
      process,
      clock,
      deadlineMs: parts.shutdownMs,
      onStopping: (signal) => log.write({ name: "cli.stopping", signal, drainDeadlineMs: parts.shutdownMs }),
      onDeadline: () => log.write({ name: "cli.drainDeadlinePassed", waitingFor }),
    });
    let exitCode: ExitCode = exitCodes.done;
    try {
      await parts.service.run({ signal: stop.signal });
    } catch (error) {
      exitCode = exitCodeOf(error);
      const { code, message } = error instanceof Error && "code" in error ? error : { code: "UNEXPECTED", message: "no error of ours" };
      log.write({ name: "cli.failed", code: String(code), message });
    }
    const leftMs = (): number => Math.max(1, (stop.deadlineAtMs() ?? clock.monotonicMs() + parts.shutdownMs) - clock.monotonicMs());
    waitingFor = "the transports";
    await Promise.allSettled(parts.transports.map((transport) => transport.close({ deadlineMs: leftMs() })));
    waitingFor = "the database";
    await Promise.all(parts.databases.map((opened) => opened.close({ deadlineMs: leftMs() })));
    stop.end();
    log.write({ name: "cli.stopped", exitCode });
    return exitCode;
  },
};

interface Parts {
  readonly service: HalfMessageService;
  readonly databases: readonly Database[];
  readonly transports: readonly HalfMessageServiceOptions["destinations"][string]["transport"][];
  readonly shutdownMs: number;
}

/** The service's own connections, and these for its loops. */
const moreConnections = 4;
const shutdownDefaultMs = 10_000;

async function partsOf(configuration: Configuration, log: Log): Promise<Parts> {
  configuration.checked({});
  const path = configuration.get(config);
  const said = { ...(path === null ? {} : readServiceFile(path)), ...givenOptions(configuration) };
  const file = withSecrets(said, process.env) as Json;
  const { database: fileDatabase, destinations: fileDestinations, producers: fileProducers, tls: fileTls, ...others } = file;
  const url = configuration.get(database)?.reveal() ?? textOfSecret(fileDatabase);
  if (url === null) {
    const problem = "is needed, by --database or in the file: postgres://… or mysql://…";
    throwConfigProblems("The half-message service", [{ option: "database", problem }]);
  }
  const onEvent: OnEvent = (event) => log.write(event);
  const connections = (typeof others.connections === "number" ? others.connections : 8) + moreConnections;
  const opened = openDatabase({ url: url ?? "", connections, applicationName: "waybill half-message", onEvent });
  const databases = [opened];
  let destinations: HalfMessageServiceOptions["destinations"] = {};
  try {
    destinations = await loadDestinations(fileDestinations, onEvent);
    const service = await createHalfMessageService({
      listen: "127.0.0.1:7420",
      keys: [],
      routes: {},
      ...others,
      producers: producersOf(fileProducers, databases),
      ...tlsOf(fileTls),
      ...named("schema", configuration.get(schema)),
      ...named("prefix", configuration.get(prefix)),
      database: opened,
      destinations,
      http: httpCaller(),
      onEvent,
      onAlert: (alert) => log.write({ name: "cli.alert", ...alert }),
    });
    const shutdownMs = typeof others.shutdownMs === "number" ? others.shutdownMs : shutdownDefaultMs;
    return { service, databases, transports: Object.values(destinations).map(({ transport }) => transport), shutdownMs };
  } catch (error) {
    await Promise.allSettled(Object.values(destinations).map(({ transport }) => transport.close({ deadlineMs: 1_000 })));
    await Promise.all(databases.map((each) => each.close({ deadlineMs: 1_000 })));
    complainOf(error, configuration);
    throw error;
  }
}

/** What the service finds wrong with its options is told with where they were given. @throws WAYBILL_CONFIG_INVALID if that is what it is */
function complainOf(error: unknown, configuration: Configuration): void {
  const path = configuration.get(config);
  for (const { option, problem } of configProblemsOf(error) ?? []) {
    const [name = ""] = option.split(/[.[]/);
    const isGiven = configuration.effective.some((setting) => setting.name === name);
    const place = isGiven ? `${configuration.placeOf(name)}${option.slice(name.length)}` : option;
    configuration.complainAt(isGiven || path === null ? place : `${place} in ${path}`, problem);
  }
  configuration.checked({});
}

function named(name: string, value: string | null): Readonly<Record<string, string>> {
  return value === null ? {} : { [name]: value };
}

/** PEM, as it stands there or in the files that are named. What cannot be read is told with all else that is wrong. */
function tlsOf(value: unknown): Pick<HalfMessageServiceOptions, "tls"> {
  if (value === undefined) return {};
  const problems: ConfigProblem[] = [];
  // Dropped, it would serve plain HTTP to those who asked for TLS.
  const isPair = isObject(value) && "cert" in value && "key" in value;
  if (!isPair) problems.push({ option: "tls", problem: "must be an object with cert and key" });
  const parts = Object.entries(isPair ? value : {}).map(([name, given]) => {
    const pem = textOfSecret(given);
    if (pem === null)
      problems.push({ option: `tls.${name}`, problem: 'must be PEM, {"env": "NAME"} or {"file": "path"} of a file that can be read' });
    return [name, pem ?? ""] as const;
  });
  throwConfigProblems("The half-message service", problems);
  return { tls: Object.fromEntries(parts) as unknown as { readonly cert: string; readonly key: string } };
}

/** Of a producer that is looked into directly, its database is opened here. */
function producersOf(value: unknown, databases: Database[]): HalfMessageServiceOptions["producers"] {
  const producers = (value ?? {}) as Record<string, Json>;
  return Object.fromEntries(
    Object.entries(producers).map(([name, producer]) => {
      const check = producer.check as Json | undefined;
      const url = check?.via === "direct" ? textOfSecret(check.database) : null;
      if (url === null) return [name, producer];
      const opened = openDatabase({ url, connections: 2, applicationName: "waybill half-message" });
      databases.push(opened);
      return [name, { ...producer, check: { ...check, database: opened } }];
    }),
  ) as HalfMessageServiceOptions["producers"];
}

function writeLine(line: string): number {
  if (line !== "") process.stdout.write(line);
  return process.stdout.writableLength;
}
