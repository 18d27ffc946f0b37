/**
 * The relays of one process, as they were configured: one by the settings of the command, or several by `databases`.
 *
 *     {"databases": [{"name": "shop", "database": {"file": "/run/secrets/shop"}, "subscriptions": [{"subscription": "kafka", "transport": "kafka://…"}, …]}, …]}
 *
 * An entry takes the settings by their names, those of the place of the tables beside the database, all others in the subscription. Whatever is
 * wrong with any of them is told together, with its place in the file.
 */
import { isWaybillError } from "@waybill/core";
import { type Configuration, type EffectiveSetting, readConfiguration } from "./configuration.ts";
import { databaseAddress } from "./database-address.ts";
import { isObject } from "./file-values.ts";
import type { Setting } from "./setting.ts";
import {
  config,
  database,
  databases,
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
  stream,
  subscription,
  transport,
  transportSettings,
} from "./settings.ts";

/** Where the tables are. */
const databaseSettings: readonly Setting<unknown>[] = [database, schema, prefix];

/** What one relay takes. */
export const relaySettings: readonly Setting<unknown>[] = [
  ...databaseSettings,
  ...transportSettings,
  stream,
  subscription,
  from,
  onlyTopics,
  onlyTypes,
  keyPolicy,
  keyPolicies,
  leaseMs,
  hint,
  ...relayNumbers,
  ...retentionNumbers,
  ...relayBackoffs.flatMap(({ firstMs, maxMs }) => [firstMs, maxMs]),
];

const databaseNames: ReadonlySet<string> = new Set(databaseSettings.map(({ name }) => name));
const relayNames: ReadonlySet<string> = new Set(relaySettings.map(({ name }) => name));

export interface RelayEntry {
  /** `shop/default/kafka`; without the database's name where there is one relay only, configured by itself. */
  readonly name: string;
  /** As configured; null: there is one relay only. */
  readonly databaseName: string | null;
  readonly stream: string;
  readonly subscription: string;
  /** Of this entry. */
  readonly configuration: Configuration;
}

/** What is wrong is among the problems of `configuration`, or of an entry's: see `gatherProblems`. */
export function relayEntries(
  configuration: Configuration,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): readonly RelayEntry[] {
  if (!configuration.effective.some(({ name }) => name === databases.name)) return [entryOf(null, configuration)];
  for (const { name, source } of configuration.effective) {
    if (relayNames.has(name) && source !== "default")
      configuration.complain(name, "is for one relay: with databases it belongs into their entries, or those away");
  }
  const place = configuration.placeOf(databases.name);
  const origin = place.startsWith(databases.name) ? place.slice(databases.name.length) : ` of ${place}`;
  const entries: RelayEntry[] = [];
  const places = new Map<string, string>();
  const names = new Map<string, string>();
  (configuration.get(databases) ?? []).forEach((ofDatabase, index) => {
    const at = `${databases.name}[${index}]`;
    const complain = (path: string, problem: string): void => configuration.complainAt(`${path}${origin}`, problem);
    const { name, subscriptions, ...values } = ofDatabase;
    const isName = typeof name === "string" && /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(name);
    if (!isName) complain(`${at}.name`, "must be a name for logs and metrics: letters, digits and . _ - behind the first, at most 63");
    else if (names.has(name)) complain(`${at}.name`, `is the name of ${names.get(name)}, too`);
    else names.set(name, at);
    for (const key of Object.keys(values)) {
      if (!databaseNames.has(key))
        complain(`${at}.${key}`, `is no setting of a database: ${[...databaseNames, "name", "subscriptions"].join(", ")}`);
    }
    const ofTables = Object.fromEntries(Object.entries(values).filter(([key]) => databaseNames.has(key)));
    if (!Array.isArray(subscriptions) || subscriptions.length === 0)
      complain(`${at}.subscriptions`, "must be a list of objects, at least one");
    (Array.isArray(subscriptions) ? subscriptions : []).forEach((own: unknown, number) => {
      const path = `${at}.subscriptions[${number}]`;
      if (!isObject(own)) return complain(path, "must be an object with settings of a relay");
      const given = Object.entries(own).filter(([key]) => !databaseNames.has(key));
      for (const key of databaseNames) if (key in own) complain(`${path}.${key}`, "belongs to the database, beside its subscriptions");
      const entry = entryOf(
        String(name),
        readConfiguration({
          settings: relaySettings,
          knownNames: relayNames,
          flags: {},
          environment,
          entry: {
            values: { ...Object.fromEntries(given), ...ofTables },
            placeOf: (key) => `${databaseNames.has(key) ? at : path}.${key}${origin}`,
          },
          readFile: () => {
            throw new Error("An entry names no file of settings.");
          },
        }),
      );
      const subscribed = placeInDatabases(entry) ?? `${at} ${entry.stream}/${entry.subscription}`;
      const before = places.get(subscribed);
      if (before !== undefined) complain(path, `is the same subscription of the same database as ${before}`);
      places.set(subscribed, before ?? path);
      entries.push(entry);
    });
  });
  return entries;
}

/** Notes what is wrong with single entries among the problems of the whole. */
export function gatherProblems(configuration: Configuration, entries: readonly RelayEntry[]): void {
  for (const entry of entries) {
    if (entry.configuration === configuration) continue;
    try {
      entry.configuration.checked({});
    } catch (error) {
      if (isWaybillError(error, "WAYBILL_CONFIG_INVALID"))
        for (const { option, problem } of error.facts.problems) configuration.complainAt(option, problem);
      else if (isWaybillError(error, "WAYBILL_TRANSPORT_UNKNOWN"))
        configuration.complainAt(entry.configuration.placeOf(transport.name), error.facts.problem);
      else throw error;
    }
  }
}

/** Every setting with its value and source, those of entries under their places; secrets are masked. */
export function effectiveSettings(configuration: Configuration, entries: readonly RelayEntry[]): readonly EffectiveSetting[] {
  if (entries.every((entry) => entry.configuration === configuration)) return configuration.effective;
  // Of an entry's own by the end of their places: what belongs to a database is said once.
  const ofEntries = new Map<string, EffectiveSetting>();
  for (const { configuration: own } of entries)
    for (const setting of own.effective) {
      const name = own.placeOf(setting.name).split(" ")[0] as string;
      ofEntries.set(name, { ...setting, name });
    }
  const ofProcess = configuration.effective.filter(({ name }) => !relayNames.has(name) && name !== databases.name && name !== config.name);
  return [...ofProcess, ...configuration.effective.filter(({ name }) => name === config.name), ...ofEntries.values()];
}

function entryOf(databaseName: string | null, configuration: Configuration): RelayEntry {
  const of = { stream: configuration.get(stream) ?? "default", subscription: configuration.get(subscription) ?? "default" };
  const path = databaseName === null ? [] : [databaseName];
  return { name: [...path, of.stream, of.subscription].join("/"), databaseName, ...of, configuration };
}

/** Tells one subscription from another wherever they are; null: its URL does not say. */
function placeInDatabases({ configuration, stream: ledger, subscription: reader }: RelayEntry): string | null {
  const address = databaseAddress(configuration.get(database)?.reveal() ?? "", configuration.get(schema));
  if (address === null) return null;
  return JSON.stringify([address, configuration.get(prefix) ?? "waybill_", ledger, reader]);
}
