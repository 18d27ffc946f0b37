/**
 * `npm run bench -- NAME [--json] [--smoke]`: installs and builds what is missing, then runs one benchmark.
 *
 * `report FILE…` takes files that end with such a line, each printed by `npm run --silent bench -- NAME --json`, and writes docs/performance.md: see
 * `bench-report.mjs`. What other files said of other benches stays.
 *
 * A benchmark is packages/<package>/bench/<name>.ts, compiled beside the package's other programs. With --json the last line of
 * stdout is the result: {"bench":NAME,"machine":{…},"results":[{"name","ratio","min","max","target","met"}]}, where `isLimit` says that less is
 * better, `figures` what the ratio is made of, and `note` what else there is to say. --smoke runs it as small as it goes.
 */
import { join } from "node:path";
import { writeReport } from "./bench-report.mjs";
import { newerNode } from "./newer-node.mjs";
import { prepare, root, run } from "./prepare.mjs";

const beside = (bench) => ["packages/relay/dist-programs/bench/beside.js", bench];
const benches = {
  relay: "packages/relay/dist-programs/bench/relay.js",
  "end-to-end": "packages/relay/dist-programs/bench/end-to-end-pairs.js",
  "idle-source": "packages/relay/dist-programs/bench/idle-source.js",
  "server-cpu": beside("server-cpu"),
  commits: beside("commits"),
  "open-read": beside("open-read"),
  "open-write": beside("open-write"),
  depth: beside("depth"),
  idle: beside("idle"),
  "fan-out": beside("fan-out"),
  latency: beside("latency"),
  memory: "packages/relay/dist-programs/bench/backlog-memory.js",
  peers: "packages/relay/dist-programs/bench/peers.js",
  append: "packages/outbox/dist-programs/bench/append.js",
  inbox: "packages/inbox/dist-programs/bench/inbox.js",
  "half-message": "packages/half-message/dist-programs/bench/half-message.js",
  "kafka-clients": "packages/kafka/dist-programs/bench/clients.js",
};
/** Those that no Node before 22.22 can run. */
const needsNewerNode = new Set(["kafka-clients"]);

const [name, ...rest] = process.argv.slice(2);
if (name === "report") {
  await writeReport(rest);
  process.exit(0);
}
if (name === undefined || !Object.hasOwn(benches, name)) {
  console.error(`usage: npm run bench -- ${Object.keys(benches).join(" | ")} | report FILE… [--json] [--smoke]`);
  process.exit(2);
}
await prepare({ quietStdout: true });
if (name === "peers") {
  // Nobody else needs them, so they are no part of the workspace.
  const installed = await run("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], {
    cwd: join(root, "bench/peers"),
    stdio: ["ignore", process.stderr, "inherit"],
  });
  if (installed !== 0) process.exit(installed);
}
const node = needsNewerNode.has(name) ? newerNode() : { path: process.execPath, why: "" };
if (node.path === null) {
  console.error(`${name} cannot run: ${node.why}.`);
  process.exit(1);
}
process.exitCode = await run(node.path, [benches[name], ...rest].flat());
