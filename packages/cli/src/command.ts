/** A command as data: its name, what it takes and what it does. Commander parses; the configuration decides. */
import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { type Configuration, readConfiguration } from "./configuration.ts";
import type { ExitCode } from "./exit-codes.ts";
import { environmentNameOf, flagOf, type Setting } from "./setting.ts";
import { config, json } from "./settings.ts";

export interface CommandDefinition {
  /** `dead-letter list` */
  readonly path: readonly string[];
  readonly description: string;
  /** Besides `config` and `json`, which every command takes. */
  readonly settings: readonly Setting<unknown>[];
  /** True: the file that `config` names is the command's own, and holds no settings. */
  readonly hasOwnFile?: boolean;
  /** For the end of the help. */
  readonly notes?: string;
  run(configuration: Configuration): Promise<ExitCode>;
}

/** What was asked for, once the command line is parsed. */
export interface ParsedCommand {
  readonly definition: CommandDefinition;
  readonly configuration: Configuration;
}

const exitCodeHelp =
  "Exit codes: 0 done; 1 ran and failed, found something wrong, or a second signal; 2 usage or configuration; 3 wrong schema.";

/** Builds the program. `onParsed` is called by commander when a command was found. */
export function program(definitions: readonly CommandDefinition[], version: string, onParsed: (parsed: ParsedCommand) => void): Command {
  const root = new Command("waybill").description("Change a database and send a message as one fact.").version(version).exitOverride();
  root.addHelpText("after", `\n${exitCodeHelp}`).configureHelp({ showGlobalOptions: false });
  const knownNames = new Set(definitions.flatMap((definition) => settingsOf(definition).map(({ name }) => name)));
  const groups = new Map<string, Command>();
  for (const definition of definitions) {
    const [group, verb] = definition.path;
    if (group === undefined) continue;
    let parent = root;
    if (verb !== undefined) {
      parent =
        groups.get(group) ??
        root
          .command(group)
          .description(groupDescriptions[group] ?? "")
          .exitOverride();
      groups.set(group, parent);
    }
    const command = parent
      .command(verb ?? group)
      .description(definition.description)
      .exitOverride()
      .allowExcessArguments(false);
    for (const setting of settingsOf(definition)) command.addOption(optionOf(setting));
    const notes = definition.notes === undefined ? "" : `\n${definition.notes}\n`;
    command.addHelpText(
      "after",
      `${notes}\nEvery option can be given in the environment or in a file: --lease-ms, WAYBILL_LEASE_MS, WAYBILL_LEASE_MS_FILE,\n"leaseMs" in the --config file, in this order.\n\n${exitCodeHelp}`,
    );
    command.action((_options: unknown, itself: Command) =>
      onParsed({ definition, configuration: configurationOf(definition, itself, knownNames) }),
    );
  }
  return root;
}

const groupDescriptions: Readonly<Record<string, string>> = {
  migrate: "Install the tables, or look at them",
  retention: "What is kept of the ledger, and for whom",
  subscription: "Readers of a ledger: how far they are, and where they go on",
  stream: "The ledgers of a database",
  "dead-letter": "Messages that were given up, and what waits behind them",
  "half-message": "The service for producers whose database no relay can read, and what it holds",
};

export function settingsOf(definition: CommandDefinition): readonly Setting<unknown>[] {
  return [...definition.settings, json, config];
}

function optionOf(setting: Setting<unknown>): Option {
  const flag = flagOf(setting.name);
  const note = setting.placeholder === null ? null : (setting.defaultText ?? setting.defaultNote);
  const description = `${setting.description}${note === null ? "" : ` (default: ${note})`}`;
  const option = new Option(setting.placeholder === null ? flag : `${flag} <${setting.placeholder}>`, description);
  if (setting.isList)
    option.argParser((given: string, before: string | undefined) => (before === undefined ? given : `${before},${given}`));
  return option;
}

function configurationOf(definition: CommandDefinition, command: Command, knownNames: ReadonlySet<string>): Configuration {
  const given: Readonly<Record<string, unknown>> = command.opts();
  const flags = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)]));
  return readConfiguration({
    settings: settingsOf(definition),
    knownNames,
    flags,
    hasOwnFile: definition.hasOwnFile === true,
    environment: process.env,
    readFile: (path) => readFileSync(path, "utf8"),
  });
}

/** For the README and its test: every spelling of a setting. */
export function spellingsOf(setting: Setting<unknown>): readonly [flag: string, variable: string, key: string] {
  return [flagOf(setting.name), environmentNameOf(setting.name), setting.name];
}
