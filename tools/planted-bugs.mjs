/**
 * `npm run planted-bugs [-- NAME… | --list | --draw N [--seed S]] [--json]`: installs and builds what is missing, then runs it.
 *
 * Installing and building print to stderr, so that with --json the last line of stdout is the result.
 */
import { prepare, run } from "./prepare.mjs";

await prepare({ quietStdout: true });
process.exitCode = await run(process.execPath, ["tools/planted-bugs/dist/main.js", ...process.argv.slice(2)]);
