import { isWaybillError } from "@waybill/core";
import { createDeadLetters } from "@waybill/dead-letter";
import { createLedger } from "@waybill/outbox";
import { type ListedSubscription, listSubscriptions } from "@waybill/relay";
import { type Connection, checkSchema, type Database, type Namespace } from "@waybill/sql";
import type { CommandDefinition } from "../command.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { database, json, prefix, readyMaxAgeMs, schema } from "../settings.ts";
import { stopAdvice } from "../stop-advice.ts";
import { migrationSets, placeOf } from "../tables.ts";
import { printJson, printResult, printTable } from "../terminal.ts";

interface SubscriptionStatus extends Omit<ListedSubscription, "ranges"> {
  readonly highestId: bigint;
  /** Ids that are not read, or read and not confirmed when the cursor was saved; ids that nobody used are among them. */
  readonly backlogIds: bigint;
  readonly oldestUnpublishedMs: number | null;
  readonly deadLetters: Readonly<Record<"dead" | "held" | "released", number>>;
}

/** Dead letters are counted up to here: "10000" means that many or more. */
const countMax = 10_000;
const deadlineMs = 10_000;
/** To find the oldest message among rows that are none. */
const rowsRead = 100;

export const status: CommandDefinition = {
  path: ["status"],
  description: "Show the subscriptions: who holds them, how far they are, what was given up. Ends with 1 if something needs attention",
  settings: [database, schema, prefix, readyMaxAgeMs],
  async run(configuration) {
    const { opened, space } = configuration.checked(placeOf(configuration));
    const maxAgeMs = configuration.get(readyMaxAgeMs) ?? 0;
    try {
      const schemaProblems = await schemaProblemsOf(opened, space);
      // Tables of another version may not have the columns that we would ask for.
      const subscriptions = schemaProblems.length > 0 ? [] : await readSubscriptions(opened, space);
      const problems = [...schemaProblems, ...subscriptions.flatMap((one) => problemsOf(one, maxAgeMs))];
      if (configuration.get(json)) printJson({ subscriptions, problems });
      else print(subscriptions, problems);
      return exitCodeFor(schemaProblems, problems);
    } finally {
      await opened.close();
    }
  },
};

function exitCodeFor(schemaProblems: readonly string[], problems: readonly string[]): ExitCode {
  if (schemaProblems.length > 0) return exitCodes.schema;
  return problems.length > 0 ? exitCodes.failed : exitCodes.done;
}

async function schemaProblemsOf(opened: Database, space: Namespace): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const set of migrationSets) {
    try {
      await checkSchema(opened, space, set);
    } catch (error) {
      if (!isWaybillError(error, "WAYBILL_SCHEMA_MISMATCH") && !isWaybillError(error, "WAYBILL_MIGRATION_CHANGED")) throw error;
      problems.push(error.message);
    }
  }
  return problems;
}

async function readSubscriptions(opened: Database, space: Namespace): Promise<readonly SubscriptionStatus[]> {
  const connection = await opened.connect({ purpose: "status" });
  try {
    const found: SubscriptionStatus[] = [];
    for (const listed of await listSubscriptions(connection, space, { deadlineMs })) found.push(await statusOf(connection, space, listed));
    return found;
  } finally {
    await connection.close();
  }
}

async function statusOf(connection: Connection, space: Namespace, { ranges, ...listed }: ListedSubscription): Promise<SubscriptionStatus> {
  const { stream, subscription, lastId } = listed;
  const ledger = createLedger({ space, stream });
  const { highestId, nowMs } = await ledger.facts(connection, { deadlineMs });
  // As the relay reads: the first message that is not done, in ranges or beyond the last id.
  const { rows } = await ledger.read(connection, { lastId, holes: ranges, rowsMax: rowsRead, areHolesOnly: false, deadlineMs });
  // A row without a topic is no message: it took the id of one that will never come.
  const oldest = rows.find(({ topic }) => topic !== "");
  const inRanges = ranges.reduce((sum, { low, high }) => sum + (high - low + 1n), 0n);
  return {
    ...listed,
    highestId,
    backlogIds: inRanges + (highestId > lastId ? highestId - lastId : 0n),
    oldestUnpublishedMs: oldest === undefined ? null : Math.max(0, Math.round(nowMs - oldest.createdAtMs)),
    deadLetters: await createDeadLetters(space).counts(connection, { origin: "relay", name: `${stream}/${subscription}` }, countMax),
  };
}

function problemsOf(one: SubscriptionStatus, maxAgeMs: number): readonly string[] {
  const name = `${one.stream}/${one.subscription}`;
  const problems: string[] = [];
  if (one.state === "stopped") {
    const { found, advice } = stopAdvice(one);
    problems.push(`${name} is stopped: ${found}. ${advice}`);
  } else if (one.state !== "active") problems.push(`${name} is ${one.state}${one.stateReason === null ? "" : `: ${one.stateReason}`}`);
  else if (!one.isHeld) problems.push(`${name}: no relay holds it`);
  if (one.state !== "stopped" && one.lastId > one.highestId)
    problems.push(`${name}: its cursor is beyond the ledger; was the database restored?`);
  if (one.oldestUnpublishedMs !== null && one.oldestUnpublishedMs > maxAgeMs) {
    problems.push(`${name}: its oldest unpublished message is ${one.oldestUnpublishedMs} ms old`);
  }
  if (one.deadLetters.dead > 0) {
    problems.push(
      `${name}: ${counted(one.deadLetters.dead)} dead letters wait for a decision, ${counted(one.deadLetters.held)} messages behind them`,
    );
  }
  return problems;
}

function counted(count: number): string {
  return count >= countMax ? `${countMax} or more` : String(count);
}

function print(subscriptions: readonly SubscriptionStatus[], problems: readonly string[]): void {
  if (subscriptions.length > 0) {
    printTable(
      ["SUBSCRIPTION", "STATE", "HELD", "LAST ID", "HIGHEST ID", "BACKLOG", "OLDEST MS", "DEAD", "HELD BEHIND"],
      subscriptions.map((one) => [
        `${one.stream}/${one.subscription}`,
        one.state,
        one.isHeld ? "yes" : "no",
        String(one.lastId),
        String(one.highestId),
        String(one.backlogIds),
        String(one.oldestUnpublishedMs ?? "-"),
        counted(one.deadLetters.dead),
        counted(one.deadLetters.held),
      ]),
    );
  } else if (problems.length === 0) printResult("No relay has run yet.");
  for (const problem of problems) printResult(`! ${problem}`);
}
