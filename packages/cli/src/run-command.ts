import { readFileSync } from "node:fs";
import { CommanderError } from "commander";
import { type CommandDefinition, type ParsedCommand, program } from "./command.ts";
import { deadLetterDiscard, deadLetterList, deadLetterRedrive, deadLetterShow } from "./commands/dead-letter.ts";
import { doctor } from "./commands/doctor.ts";
import {
  halfMessageCommit,
  halfMessageList,
  halfMessageReceivers,
  halfMessageRedrive,
  halfMessageResume,
  halfMessageRollback,
  halfMessageShow,
} from "./commands/half-message.ts";
import { halfMessageServe } from "./commands/half-message-serve.ts";
import { migrateSql, migrateStatus, migrateUpCommand } from "./commands/migrate.ts";
import { reconcileCommand } from "./commands/reconcile.ts";
import { relay } from "./commands/relay.ts";
import { subscriptionReplay } from "./commands/replay.ts";
import { retentionRun, retentionStatus } from "./commands/retention.ts";
import { status } from "./commands/status.ts";
import { streamCreate, streamList } from "./commands/stream.ts";
import {
  subscriptionCreate,
  subscriptionDelete,
  subscriptionList,
  subscriptionMove,
  subscriptionPause,
  subscriptionResume,
  subscriptionShow,
} from "./commands/subscription.ts";
import { type ExitCode, exitCodeOf, exitCodes } from "./exit-codes.ts";
import { json } from "./settings.ts";
import { printError } from "./terminal.ts";

export const definitions: readonly CommandDefinition[] = [
  migrateUpCommand,
  migrateStatus,
  migrateSql,
  relay,
  status,
  doctor,
  streamList,
  streamCreate,
  deadLetterList,
  deadLetterShow,
  deadLetterRedrive,
  deadLetterDiscard,
  subscriptionList,
  subscriptionShow,
  subscriptionCreate,
  subscriptionMove,
  subscriptionPause,
  subscriptionResume,
  subscriptionDelete,
  subscriptionReplay,
  retentionStatus,
  retentionRun,
  halfMessageServe,
  halfMessageList,
  halfMessageShow,
  halfMessageCommit,
  halfMessageRollback,
  halfMessageResume,
  halfMessageRedrive,
  halfMessageReceivers,
  reconcileCommand,
];

/** Runs one command line; answers what the process should end with. Never rejects. */
export async function runCommand(commandLine: readonly string[]): Promise<ExitCode> {
  let parsed: ParsedCommand | null = null;
  try {
    program(definitions, version(), (found) => {
      parsed = found;
    }).parse(commandLine, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has said what is wrong. Help that was asked for is no mistake; help because nothing was asked for is.
    return error.code === "commander.helpDisplayed" || error.code === "commander.version" ? exitCodes.done : exitCodes.usage;
  }
  if (parsed === null) return exitCodes.usage;
  const { definition, configuration } = parsed as ParsedCommand;
  try {
    return await definition.run(configuration);
  } catch (error) {
    printError(error, configuration.get(json) === true);
    return exitCodeOf(error);
  }
}

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { readonly version: string };
  return manifest.version;
}
