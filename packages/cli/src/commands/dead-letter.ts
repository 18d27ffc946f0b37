import { userInfo } from "node:os";
import {
  type DeadLetterFilter,
  type Decided,
  type DecisionOptions,
  discardDeadLetters,
  type ListedDeadLetter,
  listDeadLetters,
  redriveDeadLetters,
  type ShownDeadLetter,
  showDeadLetters,
} from "@waybill/dead-letter";
import type { Database, Namespace } from "@waybill/sql";
import type { CommandDefinition } from "../command.ts";
import type { Configuration } from "../configuration.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { serviceSettings } from "../half-message/call-service.ts";
import { discardDeliveries, listDeadDeliveries, redriveDeliveries, showDelivery } from "../half-message/deliveries.ts";
import {
  all,
  database,
  delivery,
  destination,
  dryRun,
  json,
  key,
  limit,
  messageId,
  only,
  origin,
  prefix,
  reader,
  reason,
  schema,
  service,
  since,
  state,
  topic,
  type,
  who,
  why,
  yes,
} from "../settings.ts";
import { placeOf } from "../tables.ts";
import { canAsk, confirm, plain, printJson, printResult, printTable } from "../terminal.ts";

const filters = [origin, reader, topic, type, messageId, key, reason] as const;
const place = [database, schema, prefix] as const;
const decision = [all, dryRun, yes, who, why] as const;

/** What only a ledger's form of a command reads, and what only a service's does. Both choose what is decided about. */
const ofLedger = [...filters, since, state, only, all, who] as const;
const ofService = [destination, delivery] as const;

/**
 * Whether deliveries of a service are meant. What is given for the other form is complained of: to leave a filter out decides about more than was
 * named. Tables may be configured on a machine for other commands; named beside a service they are a mistake.
 */
function isOfService(configuration: Configuration): boolean {
  const isService = configuration.get(service) !== null;
  for (const { name, source } of configuration.effective) {
    const isOf = (settings: readonly { readonly name: string }[]): boolean => settings.some((setting) => setting.name === name);
    if (source === "default") continue;
    if (isService && (isOf(ofLedger) || (source === "flag" && isOf(place)))) configuration.complain(name, "is not read with --service");
    if (!isService && isOf(ofService)) configuration.complain(name, "is read with --service only");
  }
  return isService;
}

export const deadLetterList: CommandDefinition = {
  path: ["dead-letter", "list"],
  description: "List messages that were given up, or wait behind one that was; with --service dead deliveries of half messages",
  settings: [...place, ...filters, since, state, limit, ...serviceSettings, destination],
  async run(configuration) {
    if (isOfService(configuration)) return listDeadDeliveries(configuration);
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

export const deadLetterShow: CommandDefinition = {
  path: ["dead-letter", "show"],
  description:
    "Show one message that was given up or waits, with its headers and its payload; with --service one delivery and its attempts, without",
  settings: [...place, messageId, origin, reader, ...serviceSettings, delivery],
  async run(configuration) {
    if (isOfService(configuration)) return showDelivery(configuration);
    const wanted = configuration.get(messageId);
    if (wanted === null) configuration.complain(messageId.name, "is needed");
    const { opened, space } = configuration.checked(placeOf(configuration));
    try {
      const found = await showDeadLetters(opened, space, wanted ?? "", filterOf(configuration));
      if (configuration.get(json)) printJson({ deadLetters: found.map(toShown) });
      else for (const letter of found) printShown(letter);
      if (found.length === 0 && configuration.get(json) !== true) printResult("None.");
      return found.length === 0 ? exitCodes.failed : exitCodes.done;
    } finally {
      await opened.close();
    }
  },
};

export const deadLetterRedrive: CommandDefinition = {
  path: ["dead-letter", "redrive"],
  description:
    "Put dead letters back on their way, under their old ids; what waits behind them follows. With --service dead deliveries of half messages",
  settings: [...place, ...filters, since, ...decision, limit, ...serviceSettings, destination, delivery],
  run: (configuration) =>
    isOfService(configuration)
      ? redriveDeliveries(configuration)
      : decide(configuration, { verb: "redrive", done: "put back on their way", run: redriveDeadLetters }),
};

export const deadLetterDiscard: CommandDefinition = {
  path: ["dead-letter", "discard"],
  description:
    "Close dead letters, or messages that wait behind one, for good: they are never published. With --service dead deliveries of half messages",
  settings: [...place, ...filters, since, only, ...decision, limit, ...serviceSettings, destination, delivery],
  run: (configuration) =>
    isOfService(configuration)
      ? discardDeliveries(configuration)
      : decide(configuration, { verb: "discard", done: "discarded", run: discardDeadLetters }),
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
  const sinceMs = configuration.get(since);
  const ofState = configuration.get(only);
  return {
    ...Object.fromEntries(entries.filter(([, value]) => value !== null)),
    ...(sinceMs === null ? {} : { sinceMs }),
    ...(ofState === null ? {} : { state: ofState }),
  };
}

/** JSON has no bytes: they are shown as base64. */
function toShown({ payload, ...letter }: ShownDeadLetter): object {
  if (payload instanceof Uint8Array) return { ...letter, payload: null, payloadBase64: Buffer.from(payload).toString("base64") };
  return { ...letter, payload, payloadBase64: null };
}

function printShown(letter: ShownDeadLetter): void {
  print([letter], Number.POSITIVE_INFINITY);
  const { headers, payload } = letter;
  printResult(`HEADERS ${headers === null ? "-" : plain(headers)}`);
  if (payload === null) printResult("PAYLOAD none: a tombstone");
  else if (typeof payload === "string") printResult(`PAYLOAD ${plain(payload)}`);
  else printResult(`PAYLOAD (base64) ${Buffer.from(payload).toString("base64")}`);
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
