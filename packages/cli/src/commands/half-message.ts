import type { CommandDefinition } from "../command.ts";
import type { Configuration } from "../configuration.ts";
import { exitCodes } from "../exit-codes.ts";
import { type CallService, serviceCaller, serviceSettings } from "../half-message/call-service.ts";
import { redriveDeliveries } from "../half-message/deliveries.ts";
import { answer } from "../half-message/print-answer.ts";
import { after, delivery, destination, dryRun, halfMessageId, halfMessageState, limit, producer, why, yes } from "../settings.ts";
import { canAsk, confirm, plain, printResult, printTable } from "../terminal.ts";

export const halfMessageList: CommandDefinition = {
  path: ["half-message", "list"],
  description: "List half messages: undecided, suspended or decided",
  settings: [...serviceSettings, producer, halfMessageState, after, limit],
  async run(configuration) {
    const call = serviceCaller(configuration);
    const query = new URLSearchParams({ limit: String(Math.min(configuration.get(limit) ?? 100, 200)) });
    for (const [name, value] of [
      ["producer", configuration.get(producer)],
      ["state", configuration.get(halfMessageState)],
      ["after", configuration.get(after)],
    ] as const) {
      if (value !== null) query.set(name, value);
    }
    return answer(configuration, await call("GET", `/admin/v1/half-messages?${query.toString()}`), ({ items, next }) => {
      const rows = items as readonly Shown[];
      if (rows.length === 0) return printResult("None.");
      printTable(
        ["PRODUCER", "ID", "STATE", "PREPARED AT", "NEXT CHECK AT", "SUSPENDS AT", "CHECKS", "LAST CHECK"],
        rows.map((row) => [
          plain(row.producer),
          plain(row.id),
          row.state,
          row.preparedAt,
          row.nextCheckAt ?? "-",
          row.suspendAt ?? "-",
          `${row.checks.answered} answered, ${row.checks.unanswered} not`,
          row.checks.last ?? "-",
        ]),
      );
      if (typeof next === "string") printResult(`There are more: --after ${next}`);
    });
  },
};

export const halfMessageShow: CommandDefinition = {
  path: ["half-message", "show"],
  description: "Show all that is known of one half message but its payloads: checks, deliveries, who decided",
  settings: [...serviceSettings, producer, halfMessageId],
  async run(configuration) {
    const { target, call } = named(configuration);
    return answer(configuration, await call("GET", target), (body) => printResult(JSON.stringify(body, null, 2)));
  },
};

export const halfMessageCommit: CommandDefinition = operation(
  "commit",
  "force-commit",
  "Decide an undecided half message: its messages go out, and never come back",
);
export const halfMessageRollback: CommandDefinition = operation(
  "rollback",
  "force-rollback",
  "Decide an undecided half message: its messages never go out",
);
export const halfMessageResume: CommandDefinition = operation(
  "resume",
  "resume",
  "Give a suspended half message a new deadline, and check it at once",
);

interface Shown {
  readonly producer: string;
  readonly id: string;
  readonly state: string;
  readonly preparedAt: string;
  readonly nextCheckAt: string | null;
  readonly suspendAt: string | null;
  readonly checks: { readonly answered: number; readonly unanswered: number; readonly last: string | null };
}

/** What an operator does to one half message: it asks, and it is in the log of decisions with who and why. */
function operation(verb: string, route: string, description: string): CommandDefinition {
  return {
    path: ["half-message", verb],
    description,
    settings: [...serviceSettings, producer, halfMessageId, why, yes, dryRun],
    async run(configuration) {
      const reason = configuration.get(why);
      if (reason === null) configuration.complain(why.name, "is needed");
      const isCount = configuration.get(dryRun) === true;
      const isSure = configuration.get(yes) === true || isCount || verb === "resume";
      if (!isSure && !canAsk()) configuration.complain(yes.name, "is needed where nobody can be asked");
      const { target, call, name } = named(configuration);
      if (isCount) return answer(configuration, await call("GET", target), ({ state }) => printResult(`${name} is ${String(state)}.`));
      if (!isSure && !(await confirm(`${verb} ${name}?`))) return exitCodes.failed;
      const reply = await call("POST", `${target}/${route}`, { reason });
      return answer(configuration, reply, ({ state }) => printResult(`${name} is ${String(state)}.`));
    },
  };
}

function named(configuration: Configuration): { readonly target: string; readonly call: CallService; readonly name: string } {
  const [whose, id] = [configuration.get(producer), configuration.get(halfMessageId)];
  if (whose === null) configuration.complain(producer.name, "is needed");
  if (id === null) configuration.complain(halfMessageId.name, "is needed");
  const call = serviceCaller(configuration);
  const target = `/admin/v1/producers/${encodeURIComponent(whose ?? "")}/half-messages/${encodeURIComponent(id ?? "")}`;
  return { target, call, name: `${whose}/${id}` };
}

export const halfMessageRedrive: CommandDefinition = {
  path: ["half-message", "redrive"],
  description: "Put dead deliveries to a destination back on their way, under their old ids, a hundred a second",
  settings: [...serviceSettings, destination, delivery, limit, why, yes, dryRun],
  run: redriveDeliveries,
};

export const halfMessageReceivers: CommandDefinition = {
  path: ["half-message", "receivers"],
  description: "List the endpoints that notifications go to, without their secrets",
  settings: [...serviceSettings, after, limit],
  async run(configuration) {
    const query = new URLSearchParams({ limit: String(Math.min(configuration.get(limit) ?? 100, 200)) });
    const last = configuration.get(after);
    if (last !== null) query.set("after", last);
    const reply = await serviceCaller(configuration)("GET", `/admin/v1/receivers?${query.toString()}`);
    return answer(configuration, reply, ({ items, next }) => {
      const rows = items as readonly ShownReceiver[];
      if (rows.length === 0) return printResult("None.");
      printTable(
        ["RECEIVER", "ORIGIN", "STATE", "DISABLED FOR", "FAILING SINCE", "SCHEDULE"],
        rows.map((row) => [
          plain(row.receiver),
          plain(row.origin),
          row.state,
          row.disabledReason ?? "-",
          row.failingSince ?? "-",
          typeof row.schedule === "string" ? row.schedule : `${row.schedule.length} delays`,
        ]),
      );
      if (typeof next === "string") printResult(`There are more: --after ${next}`);
    });
  },
};

interface ShownReceiver {
  readonly receiver: string;
  readonly origin: string;
  readonly state: string;
  readonly disabledReason: string | null;
  readonly failingSince: string | null;
  readonly schedule: string | readonly number[];
}
