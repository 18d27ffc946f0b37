/** Looks at subscriptions and changes them. Every change is asked for by name, and leaves a line in the audit with who and why. */
import { userInfo } from "node:os";
import { createLedger } from "@waybill/outbox";
import {
  createSubscription,
  deleteSubscription,
  type ListedSubscription,
  listSubscriptions,
  moveSubscription,
  type Position,
  pauseSubscription,
  resumeSubscription,
  type SubscriptionChange,
  type SubscriptionName,
} from "@waybill/relay";
import type { Database, Namespace } from "@waybill/sql";
import type { CommandDefinition } from "../command.ts";
import type { Configuration } from "../configuration.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import {
  acceptLoss,
  acceptRepeats,
  database,
  json,
  marginMs,
  prefix,
  schema,
  stream,
  subscription,
  to,
  toId,
  toTime,
  who,
  why,
  yes,
} from "../settings.ts";
import { stopAdvice } from "../stop-advice.ts";
import { placeOf } from "../tables.ts";
import { canAsk, confirmName, plain, printJson, printResult, printTable } from "../terminal.ts";

const place = [database, schema, prefix] as const;
const named = [...place, stream, subscription] as const;
const change = [...named, yes, who, why] as const;
const target = [to, toId, toTime, marginMs] as const;
const deadlineMs = 10_000;

export const subscriptionList: CommandDefinition = {
  path: ["subscription", "list"],
  description: "List the subscriptions of all streams, with how far they are",
  settings: place,
  async run(configuration) {
    const { opened, space } = configuration.checked(placeOf(configuration));
    try {
      const subscriptions = (await listSubscriptions(opened, space, { deadlineMs })).map(shown);
      if (configuration.get(json)) printJson({ subscriptions });
      else if (subscriptions.length === 0) printResult("None.");
      else
        printTable(
          ["SUBSCRIPTION", "STATE", "HELD", "LAST ID", "LOW-WATER MARK", "EPOCH", "SAVED"],
          subscriptions.map((one) => [
            `${one.stream}/${one.subscription}`,
            one.state,
            one.isHeld ? "yes" : "no",
            String(one.lastId),
            String(one.lowWaterMark),
            String(one.epoch),
            `${one.savedAgoMs} ms ago`,
          ]),
        );
      return exitCodes.done;
    } finally {
      await opened.close();
    }
  },
};

export const subscriptionShow: CommandDefinition = {
  path: ["subscription", "show"],
  description: "Show one subscription, and what is to be done if it is stopped. Ends with 1 if there is none",
  settings: named,
  async run(configuration) {
    const { opened, space } = configuration.checked(placeOf(configuration));
    const name = nameOf(configuration);
    try {
      const listed = await listSubscriptions(opened, space, { deadlineMs });
      const one = listed.find((found) => found.stream === name.stream && found.subscription === name.subscription);
      const ends = one === undefined ? null : await endsOf(opened, space, name.stream);
      const advice = one?.state === "stopped" ? stopAdvice(one) : null;
      if (configuration.get(json)) printJson({ subscription: one === undefined ? null : { ...shown(one), ...ends, advice } });
      else if (one === undefined) printResult(`There is no subscription ${name.stream}/${name.subscription}.`);
      else {
        const lines = { ...shown(one), ...ends };
        printTable(
          ["WHAT", ""],
          Object.entries(lines).map(([what, value]) => [what, value === null ? "-" : plain(String(value))]),
        );
        if (advice !== null) printResult(`! ${plain(advice.found)}. ${advice.advice}`);
      }
      return one === undefined ? exitCodes.failed : exitCodes.done;
    } finally {
      await opened.close();
    }
  },
};

const raises = "A relay that runs it begins anew; what it publishes until it notices is at most repeated.";

export const subscriptionCreate: CommandDefinition = {
  path: ["subscription", "create"],
  description: "Make a subscription before its relay runs, at the beginning, now, at an id or at a time",
  settings: [...change, ...target],
  run: (configuration) => {
    const at = positionOf(configuration);
    return changed(configuration, "create", (opened, space, name, by) => createSubscription(opened, space, name, at(), by));
  },
};

export const subscriptionMove: CommandDefinition = {
  path: ["subscription", "move"],
  description: "Let a subscription go on from another place: back to publish again, forth to pass over",
  settings: [...change, ...target],
  notes: raises,
  run: (configuration) => {
    const at = positionOf(configuration);
    return changed(configuration, "move", (opened, space, name, by) => moveSubscription(opened, space, name, at(), by));
  },
};

export const subscriptionPause: CommandDefinition = {
  path: ["subscription", "pause"],
  description: "Keep every relay from running a subscription until it is resumed",
  settings: change,
  notes: raises,
  run: (configuration) => changed(configuration, "pause", pauseSubscription),
};

export const subscriptionResume: CommandDefinition = {
  path: ["subscription", "resume"],
  description: "Let a paused or stopped subscription go on",
  settings: [...change, acceptRepeats],
  run: (configuration) =>
    changed(configuration, "resume", (opened, space, name, by) =>
      resumeSubscription(opened, space, name, { ...by, acceptRepeats: configuration.get(acceptRepeats) === true }),
    ),
};

export const subscriptionDelete: CommandDefinition = {
  path: ["subscription", "delete"],
  description: "Delete a subscription, its cursor and its decided dead letters; history is not kept for it any longer",
  settings: [...change, acceptLoss],
  run: (configuration) =>
    changed(configuration, "delete", (opened, space, name, by) =>
      deleteSubscription(opened, space, name, { ...by, acceptLoss: configuration.get(acceptLoss) === true }),
    ),
};

type Change = (
  opened: Database,
  space: Namespace,
  name: SubscriptionName,
  by: { readonly who: string; readonly why: string },
) => Promise<SubscriptionChange>;

async function changed(configuration: Configuration, verb: string, run: Change): Promise<ExitCode> {
  const isSure = configuration.get(yes) === true;
  if (!isSure && !canAsk()) configuration.complain(yes.name, "is needed where nobody can be asked");
  const reason = configuration.get(why);
  if (reason === null) configuration.complain(why.name, "is needed: the audit keeps it with the change");
  const { opened, space } = configuration.checked(placeOf(configuration));
  const name = nameOf(configuration);
  try {
    if (!isSure && !(await confirmName(`${verb} subscription`, `${name.stream}/${name.subscription}`))) {
      printResult("Nothing was changed.");
      return exitCodes.failed;
    }
    const made = await run(opened, space, name, { who: configuration.get(who) ?? userInfo().username, why: reason ?? "" });
    if (configuration.get(json)) printJson({ ...name, ...made });
    else printResult(told(`${name.stream}/${name.subscription}`, made));
    return exitCodes.done;
  } finally {
    await opened.close();
  }
}

function told(name: string, { isChanged, before, after }: SubscriptionChange): string {
  if (!isChanged) return `${name} was ${before?.state ?? "so"} already; nothing was changed.`;
  if (after === null) return `${name} is deleted.`;
  const from = before === null || before.lastId === after.lastId ? "" : `, before ${before.lastId}`;
  return `${name} is ${after.state} and goes on after id ${after.lastId}${from}.`;
}

function nameOf(configuration: Configuration): Required<SubscriptionName> {
  return { stream: configuration.get(stream) ?? "default", subscription: configuration.get(subscription) ?? "default" };
}

/** Notes what is wrong with the place that was asked for; the answer may be asked for when the configuration was checked. */
function positionOf(configuration: Configuration): () => Position {
  const [word, id, time, margin] = [configuration.get(to), configuration.get(toId), configuration.get(toTime), configuration.get(marginMs)];
  const given = [word, id, time].filter((one) => one !== null).length;
  if (given !== 1) configuration.complain(to.name, "or --to-id or --to-time is needed, and only one of them");
  if (time === null && margin !== null) configuration.complain(marginMs.name, "is for --to-time");
  return () => {
    if (word !== null) return word;
    if (id !== null) return { id: BigInt(id) };
    return { timeMs: time ?? 0, ...(margin === null ? {} : { marginMs: margin }) };
  };
}

function shown({ ranges, ...one }: ListedSubscription) {
  return { ...one, lowWaterMark: ranges[0]?.low ?? one.lastId + 1n };
}

async function endsOf(opened: Database, space: Namespace, of: string): Promise<{ readonly highestId: bigint; readonly removedTo: bigint }> {
  const connection = await opened.connect({ purpose: "subscription" });
  try {
    const { highestId, removedTo } = await createLedger({ space, stream: of }).facts(connection, { deadlineMs });
    return { highestId, removedTo };
  } finally {
    await connection.close();
  }
}
