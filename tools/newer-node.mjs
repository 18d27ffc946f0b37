/**
 * A Node that runs @platformatic/kafka: the one that runs us if it is new enough, else Node 24 as npm has it.
 */
import { spawnSync } from "node:child_process";

const fetchMsMax = 180_000;

/** The path of its program, or null, with why not. */
export function newerNode() {
  if (isNewEnough(process.versions.node)) return { path: process.execPath, why: "" };
  // The package of this platform holds the program itself; `node` would fetch it by a script, which npm may be told not to run.
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}@24`;
  const asked = spawnSync("npx", ["-y", "-p", name, "-c", `node -p "process.version + ' ' + process.execPath"`], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    timeout: fetchMsMax,
  });
  const [, version = "0", path = ""] = /^v(\S+) (.+)$/m.exec(asked.status === 0 ? asked.stdout : "") ?? [];
  if (isNewEnough(version)) return { path, why: "" };
  return { path: null, why: `this is Node ${process.versions.node}, and npx cannot bring ${name}` };
}

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 24 || (major === 24 && minor >= 6) || (major === 22 && minor >= 22);
}
