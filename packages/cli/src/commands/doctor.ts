/**
 * Looks at everything a relay depends on, before it does: the database with its tables and rights, the broker with its topics, and the
 * configuration itself. Changes nothing. What cannot be reached is a finding like any other, so that the rest is looked at, too.
 */
import { isWaybillError, type WaybillErrorCode } from "@waybill/core";
import { createDeadLetters } from "@waybill/dead-letter";
import { createConfirmations, createLedger, type ListedTopic, listStreams, listTopics, outboxName } from "@waybill/outbox";
import { listSubscriptions, messageFilter } from "@waybill/relay";
import { checkSchema, type Database, inspectRights, inspectServer, type Namespace, type WantedRights } from "@waybill/sql";
import { closeTransport } from "../close-transport.ts";
import type { CommandDefinition } from "../command.ts";
import type { Configuration, EffectiveSetting } from "../configuration.ts";
import { exitCodes } from "../exit-codes.ts";
import { type Finding, fine } from "../finding.ts";
import { loadTransport } from "../load-transport.ts";
import { effectiveSettings, gatherProblems, type RelayEntry, relayEntries } from "../relay-entries.ts";
import { database, databases, json, onlyTopics, prefix, schema, topics, transport, transportSettings } from "../settings.ts";
import { stopAdvice } from "../stop-advice.ts";
import { migrationSets, placeOf } from "../tables.ts";
import { plain, printJson, printResult, printTable } from "../terminal.ts";
import type { LoadedTransport } from "../transports/loaded-transport.ts";

const lookDeadlineMs = 15_000;
/** Dead letters are counted up to here. */
const deadMax = 10_000;
const closeDeadlineMs = 1_000;

export const doctor: CommandDefinition = {
  path: ["doctor"],
  description: "Look at database, tables, rights, broker and topics, and say what would break a promise. Ends with 1 if something would",
  settings: [database, schema, prefix, ...transportSettings, databases],
  notes: "Topics are those of --topics and of the newest messages. Nothing is changed. Databases of the --config file are all looked at.",
  async run(configuration) {
    const entries = relayEntries(configuration);
    const patients = await patientsOf(configuration, entries);
    try {
      const findings = (await Promise.all(patients.map((patient) => lookAt(patient)))).flat();
      findings.push(...sameSubscriptions(patients));
      const effective = effectiveSettings(configuration, entries);
      if (configuration.get(json)) printJson({ findings, configuration: effective });
      else print(findings, effective);
      return findings.some(({ level }) => level === "refused") ? exitCodes.failed : exitCodes.done;
    } finally {
      await Promise.all(patients.map(close));
    }
  },
};

/** A database with its tables, and what is published from it. */
interface Patient {
  /** Before what is said about it, where there are several: `shop `. */
  readonly prefix: string;
  readonly opened: Database;
  readonly space: Namespace;
  readonly subscriptions: readonly { readonly entry: RelayEntry; readonly loaded: LoadedTransport | null }[];
  /** Names of its ledgers that no other database has, as they are found. */
  readonly ledgers: Map<string, string>;
}

/** One for each database of the configuration, whatever the number of its subscriptions. @throws WAYBILL_CONFIG_INVALID */
async function patientsOf(configuration: Configuration, entries: readonly RelayEntry[]): Promise<readonly Patient[]> {
  const made = await Promise.all(
    entries.map(async (entry) => {
      // By itself a database may be looked at without a transport; a subscription of several has one.
      const hasTransport = entry.databaseName !== null || configuration.get(transport) !== null;
      const loaded = hasTransport ? await loadTransport(entry.configuration, () => undefined) : null;
      return { entry, loaded, ...placeOf(entry.configuration, { connections: 1 }) };
    }),
  );
  try {
    gatherProblems(configuration, entries);
    configuration.checked({});
  } catch (error) {
    await Promise.all(made.map(({ loaded }) => closeTransport(loaded?.transport, closeDeadlineMs)));
    throw error;
  }
  return [...new Set(entries.map(({ databaseName }) => databaseName))].map((name) => {
    const subscriptions = made.filter(({ entry }) => entry.databaseName === name);
    const { opened, space } = subscriptions[0] as (typeof made)[number];
    return {
      prefix: name === null ? "" : `${name} `,
      opened: opened as Database,
      space: space as Namespace,
      subscriptions,
      ledgers: new Map(),
    };
  });
}

async function close({ opened, subscriptions }: Patient): Promise<void> {
  await Promise.all(subscriptions.map(({ loaded }) => closeTransport(loaded?.transport, closeDeadlineMs)));
  await opened.close();
}

async function lookAt(patient: Patient): Promise<readonly Finding[]> {
  const { opened, space, prefix: before, subscriptions, ledgers } = patient;
  const { findings, seen, streams } = await lookAtDatabase(opened, space, ledgers);
  const named = (finding: Finding, whose: string): Finding => ({ ...finding, subject: `${whose}${finding.subject}` });
  const ofTransports = await Promise.all(
    subscriptions.map(async ({ entry, loaded }) => {
      const whose = before === "" ? "" : `${entry.name} `;
      const found: Finding[] = [];
      if (before !== "" && streams !== null && !streams.includes(entry.stream)) found.push(noStream(entry));
      const asked = (entry.configuration.get(topics) ?? []).map((topic) => ({ topic, hasKeyless: false }));
      if (loaded !== null) found.push(...(await lookAtTransport(loaded, [...asked, ...seenBy(entry, seen)])));
      return found.map((finding) => named(finding, whose));
    }),
  );
  return [...findings.map((finding) => named(finding, before)), ...ofTransports.flat()];
}

/** What of the newest messages this subscription publishes. */
function seenBy({ configuration, databaseName, stream }: RelayEntry, seen: readonly SeenTopic[]): readonly ListedTopic[] {
  const wanted = configuration.get(onlyTopics);
  const isOurs = messageFilter(wanted === null ? {} : { topics: wanted });
  // By itself it is asked for no ledger: those of all are looked at.
  return seen.filter((one) => (databaseName === null || one.stream === stream) && isOurs({ topic: one.topic, type: "" }));
}

function noStream({ stream }: RelayEntry): Finding {
  const advice = `waybill stream create --stream ${stream}, or another name.`;
  return { level: "refused", subject: `ledger ${stream}`, rule: "exists", found: "not there", advice };
}

/** By what the ledgers say of themselves: addresses may differ. */
function sameSubscriptions(patients: readonly Patient[]): readonly Finding[] {
  const places = new Map<string, string>();
  return patients.flatMap(({ subscriptions, ledgers }) =>
    subscriptions.flatMap(({ entry }): readonly Finding[] => {
      const ledger = ledgers.get(entry.stream);
      const name = `${ledger} ${entry.subscription}`;
      const before = places.get(name);
      if (ledger !== undefined && before === undefined) places.set(name, entry.name);
      if (ledger === undefined || before === undefined) return [];
      const found = `the same ledger and subscription as ${before}`;
      return [{ level: "warned", subject: entry.name, rule: "once", found, advice: "One of the two only stands by: take it away." }];
    }),
  );
}

interface SeenTopic extends ListedTopic {
  readonly stream: string;
}

interface Looked {
  readonly findings: Finding[];
  /** Topics of the newest messages. */
  readonly seen: readonly SeenTopic[];
  /** null: they could not be read. */
  readonly streams: readonly string[] | null;
}

async function lookAtDatabase(opened: Database, space: Namespace, ledgers: Map<string, string>): Promise<Looked> {
  const findings: Finding[] = [];
  const seen: SeenTopic[] = [];
  let streams: readonly string[] | null = null;
  try {
    const { product, version, facts, findings: ofServer } = await inspectServer(opened, space);
    const subject = `${product} ${version}`;
    const settings = Object.entries(facts).map(([name, value]) => `${name} = ${value}`);
    findings.push(fine(subject, "reachable", settings.join(", ")), ...ofServer.map((finding) => ({ ...finding, subject })));
    const hasTables = await lookAtSchema(opened, space, findings);
    // Tables of another version may not have the columns that we would ask for.
    if (!hasTables) return { findings, seen, streams };
    streams = await listStreams(opened, space);
    const ofRights = await inspectRights(opened, space, rightsOfARelay(space, streams));
    const hasRights = !ofRights.some(({ rule }) => rule === "rights");
    if (hasRights) findings.push(fine("role", "rights", "all that a relay needs"));
    findings.push(...ofRights.map((finding) => ({ ...finding, subject: "role" })));
    for (const stream of streams) {
      ledgers.set(stream, await lookAtLedger(opened, space, stream, findings));
      if (hasRights) await lookAtConfirmations(opened, space, stream, findings);
      seen.push(...(await listTopics(opened, space, { stream })).map((topic) => ({ ...topic, stream })));
    }
    await lookAtSubscriptions(opened, space, findings);
  } catch (error) {
    findings.push(unreachable("database", error, ["WAYBILL_DATABASE", "WAYBILL_DEADLINE"]));
  }
  return { findings, seen, streams };
}

async function lookAtSchema(opened: Database, space: Namespace, findings: Finding[]): Promise<boolean> {
  let isWhole = true;
  for (const set of migrationSets) {
    const subject = `tables of ${set.name}`;
    try {
      await checkSchema(opened, space, set);
      findings.push(fine(subject, "schema", "as this version needs them"));
    } catch (error) {
      if (isWaybillError(error, "WAYBILL_SCHEMA_MISMATCH")) {
        const { found, needed } = error.facts;
        const advice = found !== null && found > needed ? "Upgrade Waybill." : "Run waybill migrate up.";
        findings.push({ level: "refused", subject, rule: "schema", found: `version ${found ?? "none"}, needed is ${needed}`, advice });
      } else if (isWaybillError(error, "WAYBILL_MIGRATION_CHANGED")) {
        const advice = "A migration that was applied differs from ours: somebody must look at what changed.";
        findings.push({ level: "refused", subject, rule: "migration", found: `${error.facts.migration} was changed`, advice });
      } else throw error;
      isWhole = false;
    }
  }
  return isWhole;
}

/** Answers a name that no other ledger has. */
async function lookAtLedger(opened: Database, space: Namespace, stream: string, findings: Finding[]): Promise<string> {
  const subject = `ledger ${stream}`;
  const connection = await opened.connect({ purpose: "doctor" });
  try {
    const { highestId, unsafe, warnings, serverIdentity, ledgerIdentity } = await createLedger({ space, stream }).facts(connection, {
      deadlineMs: lookDeadlineMs,
    });
    findings.push(fine(subject, "facts", `highest id ${highestId}`));
    if (unsafe !== null)
      findings.push({
        level: "refused",
        subject,
        rule: "unsafe",
        found: unsafe,
        advice: "A relay refuses to read it until this is put right.",
      });
    for (const found of warnings)
      findings.push({ level: "warned", subject, rule: "settings", found, advice: "Nothing is lost by it that a relay could keep." });
    return `${serverIdentity} ${ledgerIdentity}`;
  } finally {
    await connection.close();
  }
}

/** What consumers have not confirmed, and what nobody waits for any more. */
async function lookAtConfirmations(opened: Database, space: Namespace, stream: string, findings: Finding[]): Promise<void> {
  const subject = `ledger ${stream}`;
  const { waiting, repeated, oldestMs } = await createConfirmations({ space, stream }).measure(opened, { deadlineMs: lookDeadlineMs });
  const { dead } = await createDeadLetters(space).counts(opened, { origin: "relay", name: `${stream}/@confirmations` }, deadMax);
  const found = `${waiting} waited for${oldestMs === null ? "" : `, the oldest for ${Math.round(oldestMs / 1_000)} s`}, ${repeated} sent again, ${dead} given up`;
  if (repeated === 0 && dead === 0) findings.push(fine(subject, "confirmations", found));
  else {
    const advice =
      dead > 0
        ? `Look at their consumers, then waybill dead-letter redrive --reader ${stream}/@confirmations.`
        : "A consumer is silent or slow, or withinMs is too short.";
    findings.push({ level: "warned", subject, rule: "confirmations", found, advice });
  }
}

/** A subscription that waits for a decision, and what may be decided. */
async function lookAtSubscriptions(opened: Database, space: Namespace, findings: Finding[]): Promise<void> {
  for (const one of await listSubscriptions(opened, space)) {
    const subject = `subscription ${one.stream}/${one.subscription}`;
    if (one.state === "stopped") findings.push({ level: "refused", subject, rule: "stopped", ...stopAdvice(one) });
    else findings.push(fine(subject, "state", `${one.state}, last id ${one.lastId}`));
  }
}

/** As the migrations' comments grant them. */
function rightsOfARelay({ dialect }: Namespace, streams: readonly string[]): readonly WantedRights[] {
  return [
    ...streams.flatMap((stream): readonly WantedRights[] => {
      const outbox = outboxName(stream);
      return [
        // Delayed messages are inserted when they are due; on MySQL a relay also closes ids with rows of its own, and removes history.
        { table: outbox, column: "topic", rights: dialect === "postgres" ? ["select", "insert"] : ["select", "insert", "delete"] },
        {
          table: `${outbox}_delayed`,
          column: "topic",
          rights: dialect === "postgres" ? ["select", "update", "delete"] : ["select", "delete"],
        },
      ];
    }),
    ...(dialect === "postgres" ? [] : [{ table: "key_lock", column: "id", rights: ["select", "update"] } as const]),
    { table: "stream", column: "name", rights: ["select", "update"] },
    { table: "confirmation", column: "consumer", rights: ["select", "update", "delete"] },
    { table: "subscription", column: "last_id", rights: ["select", "insert", "update"] },
    { table: "dead_letter", column: "state", rights: ["select", "insert", "update", "delete"] },
    { table: "spill", column: "sequence", rights: ["select", "insert", "delete"] },
    { table: "audit", column: "who", rights: ["insert"] },
    { table: "migration", column: "name", rights: ["select"] },
  ];
}

async function lookAtTransport(loaded: LoadedTransport, asked: readonly ListedTopic[]): Promise<readonly Finding[]> {
  if (loaded.look === null) return [fine("transport", "configuration", `${loaded.name}: nothing to look at before something is published`)];
  const byTopic = new Map<string, boolean>();
  for (const { topic, hasKeyless } of asked) byTopic.set(topic, hasKeyless || byTopic.get(topic) === true);
  try {
    return await loaded.look({
      topics: [...byTopic].map(([topic, hasKeyless]) => ({ topic, hasKeyless })),
      deadlineMs: lookDeadlineMs,
    });
  } catch (error) {
    return [unreachable("broker", error, ["WAYBILL_TRANSPORT"])];
  }
}

/** Messages of these errors are ours and hold no secret. */
function unreachable(subject: string, error: unknown, codes: readonly WaybillErrorCode[]): Finding {
  if (!isWaybillError(error) || !codes.includes(error.code)) throw error;
  return { level: "refused", subject, rule: "reachable", found: error.message, advice: "Look at address, credentials and TLS." };
}

function print(findings: readonly Finding[], settings: readonly EffectiveSetting[]): void {
  const marks = { ok: "ok", warned: "WARNED", refused: "REFUSED" } as const;
  printTable(
    ["", "WHAT", "RULE", "FOUND"],
    findings.map(({ level, subject, rule, found }) => [marks[level], plain(subject), rule, plain(found)]),
  );
  for (const { level, subject, rule, advice } of findings)
    if (level !== "ok") printResult(`${level === "refused" ? "!" : "?"} ${plain(subject)}, ${rule}: ${advice}`);
  printResult("");
  printTable(
    ["SETTING", "VALUE", "FROM"],
    settings.map(({ name, value, source }) => [name, plain(value), source]),
  );
}
