/** From the entry of a relay to what it runs on. Nothing is opened yet that anybody would notice: the first statement does. */
import { isWaybillError, type OnEvent, type Transport } from "@waybill/core";
import type { OneOfRelays, RelayOptions } from "@waybill/relay";
import type { Database, Namespace } from "@waybill/sql";
import type { Configuration } from "./configuration.ts";
import { loadTransport } from "./load-transport.ts";
import type { Log } from "./log.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import type { RelayEntry } from "./relay-entries.ts";
import {
  from,
  hint,
  keyPolicies,
  keyPolicy,
  leaseMs,
  onlyTopics,
  onlyTypes,
  prefix,
  relayBackoffs,
  relayNumbers,
  retentionNumbers,
  schema,
} from "./settings.ts";
import { placeOf } from "./tables.ts";
import type { LoadedTransport } from "./transports/loaded-transport.ts";

/** For looking at a broker before anything is published. */
const checkDeadlineMs = 8_000;

export interface RelayParts {
  readonly entry: RelayEntry;
  readonly metrics: Metrics;
  /** Each null: something is wrong with it, and among the entry's problems. */
  readonly database: Database | null;
  readonly space: Namespace | null;
  readonly loaded: LoadedTransport | null;
  /** Whole in every case, so that a relay can judge them. */
  readonly options: OneOfRelays;
  /** Says what to do when its relay has ended. */
  readonly onEnd: (close: () => Promise<void>) => void;
}

export async function relayParts(entry: RelayEntry, log: Log): Promise<RelayParts> {
  const { configuration, databaseName, stream, subscription } = entry;
  const metrics = createMetrics({ ...(databaseName === null ? {} : { database: databaseName }), stream, subscription });
  const whose = databaseName === null ? {} : { relay: entry.name };
  const onEvent: OnEvent = (event) => {
    log.write(event, whose);
    metrics.record(event);
  };
  const numbers = numbersOf(configuration);
  const { statementDeadlineMs } = numbers;
  const opening = { onEvent, ...(statementDeadlineMs === undefined ? {} : { statementDeadlineMs }) };
  // Of several each needs one, for short work at its start and for whoever looks at it.
  const { opened, space } = placeOf(configuration, { ...opening, ...(databaseName === null ? {} : { connections: 1 }) });
  const loaded = await loadTransport(configuration, onEvent);
  // The relay judges its options also where the database or the transport could not be made: it touches neither before it runs.
  const stub: Transport = { publish: async () => [], close: async () => undefined };
  let afterEnd = async (): Promise<void> => undefined;
  const options: OneOfRelays = {
    name: entry.name,
    ...(loaded === null || loaded.batchMax === null ? {} : { batchMax: loaded.batchMax }),
    ...relayOptionsOf(configuration),
    ...numbers,
    stream,
    subscription,
    database: opened ?? ({ dialect: "postgres" } as Database),
    transport: loaded?.transport ?? stub,
    ...(loaded === null ? {} : { transportName: loaded.name }),
    onEvent,
    afterEnd: () => afterEnd(),
    beforeStart: ({ signal }) => checkTransport(loaded, log, whose, signal),
  };
  const onEnd: RelayParts["onEnd"] = (close) => {
    afterEnd = close;
  };
  return { entry, metrics, database: opened, space, loaded, options, onEnd };
}

/** A broker that is away now is no reason not to start: the relay waits for it, and says so. One that would lose messages is. */
async function checkTransport(
  loaded: LoadedTransport | null,
  log: Log,
  whose: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  try {
    const findings = (await loaded?.check?.(checkDeadlineMs)) ?? [];
    for (const { level, ...finding } of findings) if (level !== "ok") log.write({ name: "cli.transportDoubtful", ...finding }, whose);
  } catch (error) {
    if (signal.aborted) return; // nobody waits for it any more, and its transport may be closed
    if (!isWaybillError(error, "WAYBILL_TRANSPORT")) throw error;
    const { reason, brokerCode } = error.facts;
    log.write({ name: "cli.transportNotChecked", message: error.message, reason, brokerCode }, whose);
  }
}

function relayOptionsOf(configuration: Configuration): Omit<RelayOptions, "database" | "transport"> {
  const given = {
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
  return { ...named, ...(Object.fromEntries(backoffs) as Pick<RelayOptions, "topicBackoff">) };
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
