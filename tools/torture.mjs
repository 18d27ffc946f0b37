/**
 * `npm run torture -- [--seed S] [--minutes M] [--database D] [--json] | --nightly | --broken NAME`: installs and builds what is missing, then runs it.
 *
 * Installing and building print to stderr, so that with --json the last line of stdout is the result.
 */
import { prepare, run } from "./prepare.mjs";

await prepare({ quietStdout: true });
process.exitCode = await run(process.execPath, ["tools/torture/dist/main.js", ...process.argv.slice(2)]);
