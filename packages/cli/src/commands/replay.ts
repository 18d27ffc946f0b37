/** Publishes again what a subscription has finished, beside it. A signal stops it, and it tells where it stood. */
import { userInfo } from "node:os";
import { systemClock } from "@waybill/core";
import { type Position, type ReplayReport, replay } from "@waybill/relay";
import type { CommandDefinition } from "../command.ts";
import type { Configuration } from "../configuration.ts";
import { exitCodes } from "../exit-codes.ts";
import { loadTransport } from "../load-transport.ts";
import {
  database,
  drainDeadlineMs,
  from,
  fromId,
  fromTime,
  json,
  messagesPerSecond,
  onlyKeys,
  onlyTopics,
  onlyTypes,
  prefix,
  schema,
  stream,
  subscription,
  toId,
  toTime,
  transportSettings,
  who,
  why,
  yes,
} from "../settings.ts";
import { stopOnSignals } from "../signals.ts";
import { placeOf } from "../tables.ts";
import { canAsk, confirmName, plain, printJson, printProgress, printResult } from "../terminal.ts";

const closeDeadlineMs = 5_000;

export const subscriptionReplay: CommandDefinition = {
  path: ["subscription", "replay"],
  description: "Publish again what a subscription has finished, marked by the header replay-of; its cursor stays where it is",
  settings: [
    database,
    schema,
    prefix,
    stream,
    subscription,
    ...transportSettings,
    from,
    fromId,
    fromTime,
    toId,
    toTime,
    onlyTopics,
    onlyTypes,
    onlyKeys,
    messagesPerSecond,
    drainDeadlineMs,
    yes,
    who,
    why,
  ],
  notes:
    "SIGINT and SIGTERM stop it after what is on its way, and it tells where to go on. Ends with 1 if it did not come to the end, or something was rejected.",
  async run(configuration) {
    const range = rangeOf(configuration);
    const isSure = configuration.get(yes) === true;
    if (!isSure && !canAsk()) configuration.complain(yes.name, "is needed where nobody can be asked");
    const reason = configuration.get(why);
    if (reason === null) configuration.complain(why.name, "is needed: the audit keeps it with the change");
    const loaded = await loadTransport(configuration, () => undefined);
    const { opened, space, transport } = configuration.checked({ ...placeOf(configuration), transport: loaded?.transport ?? null });
    const name = { stream: configuration.get(stream) ?? "default", subscription: configuration.get(subscription) ?? "default" };
    const stop = stopOnSignals({
      process,
      clock: systemClock,
      deadlineMs: configuration.get(drainDeadlineMs) ?? 10_000,
      onStopping: (signal) => printProgress(`waybill: ${signal}, stopping after what is on its way`),
      onDeadline: () => printProgress("waybill: what was on its way did not end in time"),
    });
    try {
      if (!isSure && !(await confirmName("replay subscription", `${name.stream}/${name.subscription}`))) {
        printResult("Nothing was published.");
        return exitCodes.failed;
      }
      const given = { topics: configuration.get(onlyTopics), types: configuration.get(onlyTypes), keys: configuration.get(onlyKeys) };
      const report = await replay(opened, space, {
        ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)),
        ...name,
        ...range,
        transport,
        messagesPerSecond: configuration.get(messagesPerSecond) ?? 1_000,
        who: configuration.get(who) ?? userInfo().username,
        why: reason,
        signal: stop.signal,
      });
      if (configuration.get(json)) printJson(report);
      else print(report);
      return report.endedBy === "end" && report.rejected.length === 0 ? exitCodes.done : exitCodes.failed;
    } finally {
      await transport.close({ deadlineMs: closeDeadlineMs });
      await opened.close();
      stop.end();
    }
  },
};

/** What is wrong with it is among the configuration's problems. */
function rangeOf(configuration: Configuration): { readonly from: Position; readonly to?: Position } {
  const [word, id, time] = [configuration.get(from), configuration.get(fromId), configuration.get(fromTime)];
  const [lastId, lastTime] = [configuration.get(toId), configuration.get(toTime)];
  if ([word, id, time].filter((one) => one !== null).length !== 1)
    configuration.complain(from.name, "or --from-id or --from-time is needed, and only one of them");
  if (lastId !== null && lastTime !== null) configuration.complain(toId.name, "or --to-time, but not both");
  const first: Position = id !== null ? { id: BigInt(id) } : time !== null ? { timeMs: time } : (word ?? "beginning");
  if (lastId !== null) return { from: first, to: { id: BigInt(lastId) } };
  return lastTime === null ? { from: first } : { from: first, to: { timeMs: lastTime } };
}

function print({ endedBy, failure, fromId: first, toId: last, nextId, published, unknown, rejected }: ReplayReport): void {
  printResult(
    `${published} messages of ids ${first} to ${last} published again, ${unknown} of unknown fate repeated, ${rejected.length} rejected.`,
  );
  for (const { sequence, messageId, reason } of rejected) printResult(`! ${sequence} ${plain(messageId)}: ${plain(reason)}`);
  if (endedBy !== "end") printResult(`Stopped${failure === null ? "" : ` (${plain(failure)})`}: go on with --from-id ${nextId}.`);
}
