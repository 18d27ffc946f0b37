/**
 * `npm run bench -- NAME [--json] [--smoke]`: installs and builds what is missing, then runs one benchmark.
 *
 * A benchmark is packages/<package>/bench/<name>.ts, compiled beside the package's other programs. With --json the last line of
 * stdout is the result: {"bench":NAME,"results":[{"name","ratio","min","max","target","met"}]}. --smoke runs it as small as it goes.
 */
import { prepare, run } from "./prepare.mjs";

const benches = {
  relay: "packages/relay/dist-programs/bench/relay.js",
  append: "packages/outbox/dist-programs/bench/append.js",
  inbox: "packages/inbox/dist-programs/bench/inbox.js",
};

const [name, ...rest] = process.argv.slice(2);
if (name === undefined || !Object.hasOwn(benches, name)) {
  console.error(`usage: npm run bench -- ${Object.keys(benches).join(" | ")} [--json] [--smoke]`);
  process.exit(2);
}
await prepare({ quietStdout: true });
process.exitCode = await run(process.execPath, [benches[name], ...rest]);
