/** `node dist/main.js`: the whole way of a message, while processes are killed. Exit code 0 only if nothing but `repeated` is off. */
import { readOptions, UsageError, usage } from "./options.ts";
import { formatReport } from "./report.ts";
import { runDemo } from "./run-demo.ts";

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  // Interrupted, it still stops what it started and removes its databases.
  const interrupted = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => interrupted.abort(new Error(`Interrupted by ${name}.`)));
  const { judgement, result, isClean } = await runDemo(options, {
    say: (line) => process.stderr.write(`${line}\n`),
    signal: interrupted.signal,
  });
  const report = `\n${formatReport(judgement, result)}\n\n`;
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
