/**
 * `npm run demo [-- --half-message --orders N --seed S --json]`: installs and builds what is missing, then runs the demo.
 *
 * Installing and building print to stderr, so that with --json the last line of stdout is the result.
 */
import { prepare, run } from "./prepare.mjs";

await prepare({ quietStdout: true });
process.exitCode = await run(process.execPath, ["examples/demo/dist/main.js", ...process.argv.slice(2)]);
