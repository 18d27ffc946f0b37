/** What the command line of the torture run asks for. */
import { type DatabaseName, databaseOf, minutesOf, parseUsage, type ServerChoice, seedOf, UsageError } from "@waybill/testing";
import { type BrokenBuild, brokenBuilds } from "./broken-builds.ts";

export interface TortureOptions {
  /** null: each run picks its own. */
  readonly seed: number | null;
  readonly minutes: number;
  /** null: a nightly run goes over all three; any other takes PostgreSQL. */
  readonly database: ServerChoice<DatabaseName> | null;
  readonly isJson: boolean;
  /** One run, ten over the databases, or builds that must be caught. */
  readonly mode: "run" | "nightly" | { readonly broken: readonly BrokenBuild[] };
  /** Where to note each run's seed and result, a JSON line each; null: nowhere. */
  readonly record: string | null;
}

const names = brokenBuilds.map(({ name }) => name).join(", ");

export const usage = `usage: npm run torture -- [options]
  --seed <n>        faults, and when they come, follow from it (default: a random one, which is printed)
  --minutes <n>     how long there is load, from 0.2 to 600; what waits then is published and judged after it (default 5)
  --database <d>    postgres, mariadb, mysql: a server of our own, which is killed and restarted, too; or postgres://… or mysql://…: a
                    server where a database may be made and removed (default postgres)
  --nightly         ten runs over the three databases, each with a seed of its own, printed and recorded
  --record <file>   append each run's seed and result to this file, a JSON line each (default with --nightly: torture-nightly.jsonl)
  --broken <name>   runs of a build that is broken on purpose, until the verdict says so: all, or ${names}
  --json            print the result as the last line of stdout
  --help
Exit code 0 valid (with --broken: caught) · 1 violated (not caught) · 2 wrong usage · 3 inconclusive.`;

/**
 * Reads the arguments; null: help is wanted.
 *
 * Throws `UsageError`.
 */
export function readOptions(args: readonly string[]): TortureOptions | null {
  const values = parse(args);
  if (values.help === true) return null;
  const isNightly = values.nightly === true;
  if (isNightly && values.broken !== undefined) throw new UsageError("--nightly and --broken are two different runs");
  if (isNightly && values.seed !== undefined) throw new UsageError("--nightly picks its own seeds");
  return {
    seed: values.seed === undefined ? null : seedOf(values.seed),
    minutes: minutesOf(values.minutes ?? "5"),
    database: values.database === undefined ? null : databaseOf(values.database),
    isJson: values.json === true,
    mode: isNightly ? "nightly" : values.broken === undefined ? "run" : { broken: buildsOf(values.broken) },
    record: values.record ?? (isNightly ? "torture-nightly.jsonl" : null),
  };
}

function parse(args: readonly string[]) {
  return parseUsage({
    args: [...args],
    options: {
      seed: { type: "string" },
      minutes: { type: "string" },
      database: { type: "string" },
      nightly: { type: "boolean" },
      record: { type: "string" },
      broken: { type: "string" },
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
  }).values;
}

function buildsOf(text: string): readonly BrokenBuild[] {
  if (text === "all") return brokenBuilds;
  const build = brokenBuilds.find(({ name }) => name === text);
  if (build !== undefined) return [build];
  throw new UsageError(`--broken must be all, or one of: ${names}`);
}
