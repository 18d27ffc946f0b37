/**
 * `npm run chaos -- …`, `npm run scenario -- R64 …`, `npm run scenarios`: installs and builds what is missing, then runs it. Each has `--help`.
 *
 * Installing and building print to stderr, so that with --json the last line of stdout is the result.
 */
import { prepare, run } from "./prepare.mjs";

await prepare({ quietStdout: true });
process.exitCode = await run(process.execPath, ["tools/reliability/dist/main.js", ...process.argv.slice(2)]);
