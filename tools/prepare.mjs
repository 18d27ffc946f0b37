/**
 * What `npm test`, `npm run demo` and `npm run bench` do first, so that each works in a fresh clone: install what the lockfile says, then build.
 *
 * Install scripts stay off: nothing we depend on needs one. A complete installation is left alone.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../", import.meta.url));

/** Starts a program in the repository and resolves with its exit code; a signal counts as 1. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit", ...options });
    const forward = (signal) => child.kill(signal);
    process.on("SIGTERM", forward);
    // The terminal sends SIGINT to the whole group: we only wait for the child to end.
    const wait = () => {};
    process.on("SIGINT", wait);
    child.once("error", reject);
    child.once("exit", (code) => {
      process.off("SIGTERM", forward);
      process.off("SIGINT", wait);
      resolve(code ?? 1);
    });
  });
}

/** Why an installation is needed, or null. Compares what npm noted down at the last installation with the lockfile. */
function reasonToInstall() {
  const noted = join(root, "node_modules/.package-lock.json");
  if (!existsSync(noted)) return "node_modules is missing";
  const installed = JSON.parse(readFileSync(noted, "utf8")).packages;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.startsWith("node_modules/") || entry.link === true) continue;
    const found = installed[path];
    // Another platform's binaries are in the lockfile and rightly not installed.
    if (found === undefined && (entry.optional === true || entry.devOptional === true)) continue;
    if (found?.version !== entry.version) return `node_modules is older than package-lock.json (${path.slice("node_modules/".length)})`;
  }
  return null;
}

function refuseOldNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(`Node ${process.versions.node} is too old: Waybill needs Node 20.19 or newer.`);
  process.exit(2);
}

/**
 * Installs if needed and builds. Everything printed goes to stderr when `quietStdout` is set, so that stdout keeps only the result.
 * Exits the process if a step fails: nothing after it could work.
 */
export async function prepare({ quietStdout = false } = {}) {
  refuseOldNode();
  const stdio = ["ignore", quietStdout ? process.stderr : "inherit", "inherit"];
  const say = (line) => (quietStdout ? console.error(line) : console.log(line));

  const reason = reasonToInstall();
  if (reason !== null) {
    say(`> ${reason}: npm ci --ignore-scripts (about half a minute)`);
    const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    const npm = process.env.npm_execpath;
    const code =
      npm === undefined
        ? await run("npm", args, { stdio, shell: process.platform === "win32" })
        : await run(process.execPath, [npm, ...args], { stdio });
    if (code !== 0) stop("npm ci", code);
  }

  const startedAt = Date.now();
  const code = await run(process.execPath, ["node_modules/typescript/bin/tsc", "-b"], { stdio });
  if (code !== 0) stop("tsc -b", code);
  say(`> built in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
}

function stop(step, code) {
  console.error(`> ${step} failed with exit code ${code}`);
  process.exit(1);
}
