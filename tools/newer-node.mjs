/**
 * A Node that runs @platformatic/kafka: the one that runs us if it is new enough, else Node 24 as npm has it.
 */
import { spawnSync } from "node:child_process";

const fetchMsMax = 180_000;

/** The path of its program, or null, with why not. */
export function newerNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 24 || (major === 24 && minor >= 6) || (major === 22 && minor >= 22)) return { path: process.execPath, why: "" };
  const asked = spawnSync("npx", ["-y", "-p", "node@24", "-c", "node -p process.execPath"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    timeout: fetchMsMax,
  });
  const path = asked.status === 0 ? asked.stdout.trim().split("\n").at(-1) : "";
  if (path) return { path, why: "" };
  return { path: null, why: `this is Node ${process.versions.node}, and npx cannot bring node@24` };
}
