/** `node dist/main.js`: the whole way of a message, while processes are killed. Exit code 0 only if nothing but `repeated` is off. */
import { formatReport as formatHalfMessageReport } from "./half-message/report.ts";
import { runHalfMessages } from "./half-message/run.ts";
import { type DemoOptions, readOptions, UsageError, usage } from "./options.ts";
import { formatReport } from "./report.ts";
import { runDemo } from "./run-demo.ts";

interface Ended {
  readonly table: string;
  readonly result: object;
  readonly isClean: boolean;
}

async function run(options: DemoOptions, surroundings: Parameters<typeof runDemo>[1]): Promise<Ended> {
  if (options.isHalfMessage) {
    const { judgement, result, isClean } = await runHalfMessages(options, surroundings);
    return { table: formatHalfMessageReport(judgement, result), result, isClean };
  }
  const { judgement, result, isClean } = await runDemo(options, surroundings);
  return { table: formatReport(judgement, result), result, isClean };
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  // Interrupted, it still stops what it started and removes its databases.
  const interrupted = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => interrupted.abort(new Error(`Interrupted by ${name}.`)));
  const { table, result, isClean } = await run(options, {
    say: (line) => process.stderr.write(`${line}\n`),
    signal: interrupted.signal,
  });
  const report = `\n${table}\n\n`;
  if (options.isJson) process.stderr.write(report);
  else process.stdout.write(report);
  if (options.isJson) process.stdout.write(`${JSON.stringify(result)}\n`);
  return isClean ? 0 : 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof UsageError) process.stderr.write(`${usage}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  },
);
