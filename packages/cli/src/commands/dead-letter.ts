import { userInfo } from "node:os";
import {
  type DeadLetterFilter,
  type Decided,
  type DecisionOptions,
  discardDeadLetters,
  type ListedDeadLetter,
  listDeadLetters,
  redriveDeadLetters,
} from "@waybill/dead-letter";
import type { Database, Namespace } from "@waybill/sql";
import type { CommandDefinition } from "../command.ts";
import type { Configuration } from "../configuration.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import {
  all,
  database,
  dryRun,
  json,
  limit,
  messageId,
  origin,
  prefix,
  reader,
  schema,
  state,
  topic,
  type,
  who,
  why,
  yes,
} from "../settings.ts";
import { placeOf } from "../tables.ts";
import { canAsk, confirm, plain, printJson, printResult, printTable } from "../terminal.ts";

const filters = [origin, reader, topic, type, messageId] as const;
const place = [database, schema, prefix] as const;
const decision = [all, dryRun, yes, who, why] as const;

export const deadLetterList: CommandDefinition = {
  path: ["dead-letter", "list"],
  description: "List messages that were given up, or wait behind one that was",
  settings: [...place, ...filters, state, limit],
  async run(configuration) {
    const { opened, space } = configuration.checked(placeOf(configuration));
    try {
      const wanted = configuration.get(state) ?? "dead";
      const most = configuration.get(limit) ?? 100;
      const found = await listDeadLetters(opened, space, {
        ...filterOf(configuration),
        ...(wanted === "any" ? {} : { state: wanted }),
        limit: most,
      });
      if (configuration.get(json)) printJson({ deadLetters: found, isCut: found.length === most });
      else print(found, most);
      return exitCodes.done;
    } finally {
      await opened.close();
    }
  },
};

export const deadLetterRedrive: CommandDefinition = {
  path: ["dead-letter", "redrive"],
  description: "Put dead letters back on their way, under their old ids; what waits behind them follows",
  settings: [...place, ...filters, ...decision],
  run: (configuration) => decide(configuration, { verb: "redrive", done: "put back on their way", run: redriveDeadLetters }),
};

export const deadLetterDiscard: CommandDefinition = {
  path: ["dead-letter", "discard"],
  description: "Close dead letters, or messages that wait behind one, for good: they are never published",
  settings: [...place, ...filters, ...decision],
  run: (configuration) => decide(configuration, { verb: "discard", done: "discarded", run: discardDeadLetters }),
};

interface Decision {
  readonly verb: "redrive" | "discard";
  readonly done: string;
  readonly run: (database: Database, space: Namespace, filter: DeadLetterFilter, options: DecisionOptions) => Promise<Decided>;
}

async function decide(configuration: Configuration, { verb, done, run }: Decision): Promise<ExitCode> {
  const filter = filterOf(configuration);
  const isFiltered = Object.keys(filter).length > 0;
  if (!isFiltered && configuration.get(all) !== true) configuration.complain(all.name, "is needed where no filter is given");
  if (isFiltered && configuration.get(all) === true) configuration.complain(all.name, "is for where no filter is given");
  const isCount = configuration.get(dryRun) === true;
  const isSure = configuration.get(yes) === true;
  if (!isCount && !isSure && !canAsk()) configuration.complain(yes.name, "is needed where nobody can be asked");
  const { opened, space } = configuration.checked(placeOf(configuration));
  const options = { who: configuration.get(who) ?? userInfo().username, why: configuration.get(why) };
  try {
    if (isCount || !isSure) {
      const { rows } = await run(opened, space, filter, { ...options, dryRun: true });
      if (isCount || rows === 0) return report(configuration, rows, isCount ? `would be ${done}` : done);
      if (!(await confirm(`${verb} ${rows} messages?`))) return report(configuration, 0, done, exitCodes.failed);
    }
    const { rows } = await run(opened, space, filter, options);
    return report(configuration, rows, done);
  } finally {
    await opened.close();
  }
}

function report(configuration: Configuration, rows: number, done: string, code: ExitCode = exitCodes.done): ExitCode {
  if (configuration.get(json)) printJson({ messages: rows, dryRun: configuration.get(dryRun) === true });
  else printResult(`${rows} messages ${done}.`);
  return code;
}

function filterOf(configuration: Configuration): DeadLetterFilter {
  const entries = filters.map((setting) => [setting.name, configuration.get<string>(setting)] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== null));
}

function print(found: readonly ListedDeadLetter[], most: number): void {
  if (found.length === 0) return printResult("None.");
  printTable(
    ["READER", "SEQUENCE", "MESSAGE ID", "TYPE", "TOPIC", "KEY", "STATE", "REASON", "ATTEMPTS", "MAY BE STORED", "SINCE"],
    found.map((one) => [
      `${one.origin} ${plain(one.reader)}`,
      String(one.sequence),
      plain(one.messageId),
      plain(one.type),
      plain(one.topic),
      one.key === null ? "-" : plain(one.key),
      one.state,
      one.reason === null ? "-" : plain(one.reason),
      String(one.attempts),
      one.mayBeStored ? "yes" : "no",
      new Date(one.givenUpAtMs).toISOString(),
    ]),
  );
  if (found.length === most) printResult(`These are the first ${most}; there may be more.`);
}
