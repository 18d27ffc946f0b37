/**
 * Looks at everything a relay depends on, before it does: the database with its tables and rights, the broker with its topics, and the
 * configuration itself. Changes nothing. What cannot be reached is a finding like any other, so that the rest is looked at, too.
 */
import { isWaybillError, type WaybillErrorCode } from "@waybill/core";
import { createLedger, type ListedTopic, listStreams, listTopics } from "@waybill/outbox";
import { listSubscriptions } from "@waybill/relay";
import { checkSchema, type Database, inspectRights, inspectServer, type Namespace, type WantedRights } from "@waybill/sql";
import type { CommandDefinition } from "../command.ts";
import type { EffectiveSetting } from "../configuration.ts";
import { exitCodes } from "../exit-codes.ts";
import { type Finding, fine } from "../finding.ts";
import { loadTransport } from "../load-transport.ts";
import { database, json, prefix, schema, topics, transport, transportSettings } from "../settings.ts";
import { stopAdvice } from "../stop-advice.ts";
import { migrationSets, placeOf } from "../tables.ts";
import { plain, printJson, printResult, printTable } from "../terminal.ts";
import type { LoadedTransport } from "../transports/loaded-transport.ts";

const lookDeadlineMs = 15_000;
const closeDeadlineMs = 1_000;

export const doctor: CommandDefinition = {
  path: ["doctor"],
  description: "Look at database, tables, rights, broker and topics, and say what would break a promise. Ends with 1 if something would",
  settings: [database, schema, prefix, ...transportSettings],
  notes: "Topics are those of --topics and of the newest messages. Nothing is changed.",
  async run(configuration) {
    const hasTransport = configuration.get(transport) !== null;
    const place = placeOf(configuration);
    const loaded = hasTransport ? await loadTransport(configuration, () => undefined) : null;
    let parts: { readonly opened: Database; readonly space: Namespace };
    try {
      parts = configuration.checked(place);
    } catch (error) {
      await loaded?.transport.close({ deadlineMs: closeDeadlineMs });
      throw error;
    }
    try {
      const named = (configuration.get(topics) ?? []).map((topic) => ({ topic, hasKeyless: false }));
      const { findings, seen } = await lookAtDatabase(parts.opened, parts.space);
      if (loaded !== null) findings.push(...(await lookAtTransport(loaded, [...named, ...seen])));
      if (configuration.get(json)) printJson({ findings, configuration: configuration.effective });
      else print(findings, configuration.effective);
      return findings.some(({ level }) => level === "refused") ? exitCodes.failed : exitCodes.done;
    } finally {
      await loaded?.transport.close({ deadlineMs: closeDeadlineMs });
      await parts.opened.close();
    }
  },
};

interface Looked {
  readonly findings: Finding[];
  /** Topics of the newest messages. */
  readonly seen: readonly ListedTopic[];
}

async function lookAtDatabase(opened: Database, space: Namespace): Promise<Looked> {
  const findings: Finding[] = [];
  const seen: ListedTopic[] = [];
  try {
    const { product, version, facts, findings: ofServer } = await inspectServer(opened, space);
    const subject = `${product} ${version}`;
    const settings = Object.entries(facts).map(([name, value]) => `${name} = ${value}`);
    findings.push(fine(subject, "reachable", settings.join(", ")), ...ofServer.map((finding) => ({ ...finding, subject })));
    const hasTables = await lookAtSchema(opened, space, findings);
    // Tables of another version may not have the columns that we would ask for.
    if (!hasTables) return { findings, seen };
    const streams = await listStreams(opened, space);
    const ofRights = await inspectRights(opened, space, rightsOfARelay(space, streams));
    if (!ofRights.some(({ rule }) => rule === "rights")) findings.push(fine("role", "rights", "all that a relay needs"));
    findings.push(...ofRights.map((finding) => ({ ...finding, subject: "role" })));
    for (const stream of streams) {
      await lookAtLedger(opened, space, stream, findings);
      seen.push(...(await listTopics(opened, space, { stream })));
    }
    await lookAtSubscriptions(opened, space, findings);
  } catch (error) {
    findings.push(unreachable("database", error, ["WAYBILL_DATABASE", "WAYBILL_DEADLINE"]));
  }
  return { findings, seen };
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

async function lookAtLedger(opened: Database, space: Namespace, stream: string, findings: Finding[]): Promise<void> {
  const subject = `ledger ${stream}`;
  const connection = await opened.connect({ purpose: "doctor" });
  try {
    const { highestId, unsafe, warnings } = await createLedger({ space, stream }).facts(connection, { deadlineMs: lookDeadlineMs });
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
  } finally {
    await connection.close();
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
      const outbox = stream === "default" ? "outbox" : `${stream}_outbox`;
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
