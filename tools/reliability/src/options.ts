/** What the command line of the rig asks for. */
import {
  type BrokerName,
  brokerNames,
  brokerOf,
  type DatabaseName,
  databaseNames,
  databaseOf,
  minutesOf,
  parseUsage,
  type ServerChoice,
  seedOf,
  UsageError,
} from "@waybill/testing";

export const usage = `usage: npm run chaos -- [options]              random faults over load L
       npm run scenario -- CODE [options]      one scenario, such as R64
       npm run scenarios -- [options]          all of them, one after the other, and a table at the end
  --seed <n>        what is done, and when, follows from it (default: a random one, which is printed)
  --minutes <n>     chaos: how long there is load, from 0.2 to 600; what waits then is brought to rest and judged after it (default 5)
  --database <d>    ${databaseNames.join(", ")}: a server of our own, which is killed and restarted, too; or postgres://… or mysql://…: a server where
                    databases may be made and removed (default: postgres, or the first that a scenario can run on)
  --broker <b>      ${brokerNames.join(", ")}: one of our own; or kafka://… or amqp://… (default: rabbitmq, or the first that a scenario can run on)
  --full            scenario, scenarios: as long and as often as the claim needs, not scaled to a minute
  --repeat <n>      scenario: so many times in a row, each with the next seed (default 1)
  --draw <n>        scenarios: so many of those that can run on what was asked for, drawn by the seed
  --json            print the result as the last line of stdout
  --help
Exit code 0 valid · 1 violated · 2 wrong usage · 3 inconclusive.`;

export interface RigCommand {
  readonly command: "chaos" | "scenario" | "scenarios";
  /** Of the one scenario. */
  readonly code: string | null;
  readonly seed: number | null;
  readonly minutes: number;
  readonly database: ServerChoice<DatabaseName> | null;
  readonly broker: ServerChoice<BrokerName> | null;
  readonly isFull: boolean;
  readonly repeat: number;
  /** How many of the scenarios; null: all. */
  readonly draw: number | null;
  readonly isJson: boolean;
}

/** Reads the arguments; null: help is wanted. Throws `UsageError`. */
export function readOptions(args: readonly string[]): RigCommand | null {
  const { values, positionals } = parse(args);
  if (values.help === true) return null;
  const [command, code, ...rest] = positionals;
  if (command !== "chaos" && command !== "scenario" && command !== "scenarios")
    throw new UsageError("the first word is chaos, scenario or scenarios");
  if ((command === "scenario") !== (code !== undefined) || rest.length > 0)
    throw new UsageError("a scenario is named by its one code, such as R64");
  if (command !== "chaos" && values.minutes !== undefined)
    throw new UsageError("--minutes is for chaos: a scenario has a scaled and a --full form");
  if (command === "chaos" && values.full === true) throw new UsageError("--full is for scenarios: chaos takes --minutes");
  if (command !== "scenario" && values.repeat !== undefined) throw new UsageError("--repeat is for one scenario");
  if (command !== "scenarios" && values.draw !== undefined) throw new UsageError("--draw is for scenarios");
  return {
    command,
    code: code ?? null,
    seed: values.seed === undefined ? null : seedOf(values.seed),
    minutes: minutesOf(values.minutes ?? "5"),
    database: values.database === undefined ? null : databaseOf(values.database),
    broker: values.broker === undefined ? null : brokerOf(values.broker),
    isFull: values.full === true,
    repeat: countOf("--repeat", values.repeat ?? "1"),
    draw: values.draw === undefined ? null : countOf("--draw", values.draw),
    isJson: values.json === true,
  };
}

function parse(args: readonly string[]) {
  return parseUsage({
    args: [...args],
    allowPositionals: true,
    options: {
      seed: { type: "string" },
      minutes: { type: "string" },
      database: { type: "string" },
      broker: { type: "string" },
      full: { type: "boolean" },
      repeat: { type: "string" },
      draw: { type: "string" },
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
}

function countOf(option: string, text: string): number {
  const count = Number(text);
  if (/^\d{1,3}$/.test(text) && count >= 1) return count;
  throw new UsageError(`${option} must be a whole number from 1 to 999`);
}
