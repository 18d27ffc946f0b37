/**
 * Retention by hand or by a scheduler: what the relay does once a minute on a connection of its own. Where the relay's role does not own the
 * tables, this runs under one that does.
 */
import { listStreams } from "@waybill/outbox";
import {
  type RetentionAlert,
  type RetentionOptions,
  type RetentionRun,
  type RetentionStatus,
  readRetention,
  retentionAlerts,
  runRetention,
} from "@waybill/relay";
import type { Database, Namespace } from "@waybill/sql";
import type { CommandDefinition } from "../command.ts";
import type { Configuration } from "../configuration.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { database, json, prefix, retentionMs, retentionNumbers, schema, stream } from "../settings.ts";
import { placeOf } from "../tables.ts";
import { printJson, printProgress, printResult, printTable } from "../terminal.ts";

const settings = [database, schema, prefix, stream, ...retentionNumbers] as const;

export const retentionStatus: CommandDefinition = {
  path: ["retention", "status"],
  description: "Show how large each ledger is, what is needed of it and by whom, and what would be removed. Ends with 1 on an alert",
  settings,
  run: (configuration) =>
    withStreams(configuration, async (opened, ledgers) => {
      const statuses: RetentionStatus[] = [];
      for (const ledger of ledgers) statuses.push(await readRetention(opened, ledger));
      const problems = statuses.flatMap((status) => problemsOf(status, configuration.get(retentionMs) ?? undefined));
      if (configuration.get(json)) printJson({ ledgers: statuses, problems });
      else printStatuses(statuses, problems);
      return problems.length > 0 ? exitCodes.failed : exitCodes.done;
    }),
};

export const retentionRun: CommandDefinition = {
  path: ["retention", "run"],
  description: "Make partitions ahead, and remove what no subscription needs and what is old. Ends with 1 if something is in the way",
  settings,
  notes: "May run at any time, beside relays and itself: one works, the others say that it is busy. Needs to own the tables on PostgreSQL.",
  run: (configuration) =>
    withStreams(configuration, async (opened, ledgers) => {
      const runs: (RetentionRun & { readonly stream: string })[] = [];
      for (const ledger of ledgers) {
        const name = ledger.stream ?? "default";
        const onStep = (step: { readonly kind: string }): void => {
          if (configuration.get(json) !== true) printProgress(`${name}: ${step.kind} ${numbersOf(step)}`);
        };
        runs.push({ stream: name, ...(await runRetention(opened, { ...ledger, onStep })) });
      }
      if (configuration.get(json)) printJson({ ledgers: runs });
      else for (const run of runs) printRun(run);
      return runs.some((run) => hindrancesOf(run).length > 0) ? exitCodes.failed : exitCodes.done;
    }),
};

/** Opens the database and calls `work` with each ledger that is meant. */
async function withStreams(
  configuration: Configuration,
  work: (opened: Database, ledgers: readonly RetentionOptions[]) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { opened, space } = configuration.checked(placeOf(configuration));
  try {
    const only = configuration.get(stream);
    const streams = await listStreams(opened, space);
    if (only !== null && !streams.includes(only)) configuration.complain(stream.name, "is no stream of this database");
    configuration.checked({ opened });
    return await work(
      opened,
      (only === null ? streams : [only]).map((name) => optionsOf(configuration, space, name)),
    );
  } finally {
    await opened.close();
  }
}

function optionsOf(configuration: Configuration, space: Namespace, name: string): RetentionOptions {
  const numbers = retentionNumbers.flatMap((setting) => {
    const value = configuration.get(setting);
    return value === null ? [] : [[setting.name, value]];
  });
  return { space, stream: name, ...(Object.fromEntries(numbers) as Pick<RetentionOptions, "retentionMs">) };
}

function problemsOf(status: RetentionStatus, keptMs: number | undefined): readonly string[] {
  return retentionAlerts(status, keptMs).map((alert) => `${status.stream}: ${told(alert, status)}`);
}

function told(alert: RetentionAlert, { lowWaterMark, partitions }: RetentionStatus): string {
  switch (alert) {
    case "pinned":
      return `nobody runs the subscription ${lowWaterMark?.subscription ?? ""}, and history is kept for it: run it, or delete it`;
    case "defaultUsed":
      return `${partitions?.defaultRows ?? 0} rows lie in the default partition: nobody made room in time`;
    case "partitionsMany":
      return `there are ${partitions?.count ?? 0} partitions, more than a ledger should have`;
  }
}

function hindrancesOf({ partitionsHindrance, historyHindrance }: RetentionRun): readonly string[] {
  return [...new Set([partitionsHindrance, historyHindrance])].flatMap((hindrance) => (hindrance === null ? [] : [hindrance]));
}

const explained: Readonly<Record<string, string>> = {
  busy: "somebody else is at it, or a lock was not to be had: run it again",
  locked: "somebody reads what is to go: run it again",
  notOwner: "this role does not own the tables",
};

function printRun(run: RetentionRun & { readonly stream: string }): void {
  const { stream: name, made, rows, emptied, dropped, ids } = run;
  printResult(`${name}: ${made} partitions made, ${emptied} emptied, ${dropped} dropped, ${rows} rows and ${ids} ids removed.`);
  for (const hindrance of hindrancesOf(run)) printResult(`! ${name}: ${explained[hindrance] ?? hindrance}`);
}

function numbersOf(step: object): string {
  return Object.entries(step)
    .flatMap(([name, value]: [string, unknown]) => (name === "kind" ? [] : [`${name} ${String(value)}`]))
    .join(", ");
}

function printStatuses(statuses: readonly RetentionStatus[], problems: readonly string[]): void {
  printTable(
    ["STREAM", "PARTITIONS", "AHEAD", "IDS", "BYTES", "LOW-WATER MARK", "HELD BACK BY", "AGE MS", "IN DEFAULT", "REMOVABLE IDS"],
    statuses.map((one) => [
      one.stream,
      String(one.partitions?.count ?? "-"),
      String(one.partitions?.ahead ?? "-"),
      String(one.highestId - one.removedTo),
      String(one.bytes),
      String(one.lowWaterMark?.id ?? "-"),
      one.lowWaterMark?.subscription ?? "-",
      String(one.neededAgeMs ?? "-"),
      String(one.partitions?.defaultRows ?? "-"),
      String(one.removableIds),
    ]),
  );
  for (const problem of problems) printResult(`! ${problem}`);
}
