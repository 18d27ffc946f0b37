/**
 * `npm run bench -- NAME [--json] [--smoke]`: installs and builds what is missing, then runs one benchmark.
 *
 * A benchmark is packages/<package>/bench/<name>.ts, compiled beside the package's other programs. With --json the last line of
 * stdout is the result: {"bench":NAME,"machine":{…},"results":[{"name","ratio","min","max","target","met"}]}, where `isLimit` says that less is
 * better and `figures` what the ratio is made of. --smoke runs it as small as it goes.
 */
import { newerNode } from "./newer-node.mjs";
import { prepare, run } from "./prepare.mjs";

const beside = (bench) => ["packages/relay/dist-programs/bench/beside.js", bench];
const benches = {
  relay: "packages/relay/dist-programs/bench/relay.js",
  "server-cpu": beside("server-cpu"),
  commits: beside("commits"),
  "open-read": beside("open-read"),
  "open-write": beside("open-write"),
  depth: beside("depth"),
  idle: beside("idle"),
  append: "packages/outbox/dist-programs/bench/append.js",
  inbox: "packages/inbox/dist-programs/bench/inbox.js",
  "kafka-clients": "packages/kafka/dist-programs/bench/clients.js",
};
/** Those that no Node before 22.22 can run. */
const needsNewerNode = new Set(["kafka-clients"]);

const [name, ...rest] = process.argv.slice(2);
if (name === undefined || !Object.hasOwn(benches, name)) {
  console.error(`usage: npm run bench -- ${Object.keys(benches).join(" | ")} [--json] [--smoke]`);
  process.exit(2);
}
await prepare({ quietStdout: true });
const node = needsNewerNode.has(name) ? newerNode() : { path: process.execPath, why: "" };
if (node.path === null) {
  console.error(`${name} cannot run: ${node.why}.`);
  process.exit(1);
}
process.exitCode = await run(node.path, [benches[name], ...rest].flat());
