/** CPU time of processes on this machine, from /proc: what a database server on the loopback uses. */
import { readdir, readFile } from "node:fs/promises";

/** Of /proc/<pid>/stat on every Linux that Node runs on. */
const tickMs = 10;

interface ProcessTimes {
  readonly parent: number;
  readonly ownMs: number;
  /** Of its children that have ended, and of theirs. */
  readonly endedMs: number;
}

/**
 * Milliseconds of CPU that `pid` has used, and every process below it, those included that have ended. In steps of 10 ms. null where there is no
 * /proc, or no such process.
 */
export async function cpuMsOf(pid: number): Promise<number | null> {
  let names: readonly string[];
  try {
    names = await readdir("/proc");
  } catch {
    return null;
  }
  const times = new Map<number, ProcessTimes>();
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    const read = await timesOf(name);
    if (read !== null) times.set(Number(name), read);
  }
  if (!times.has(pid)) return null;
  const isBelow = (one: number): boolean => {
    for (let at = one, steps = 0; steps < 20; steps += 1) {
      if (at === pid) return true;
      const next = times.get(at)?.parent;
      if (next === undefined || next === 0) return false;
      at = next;
    }
    return false;
  };
  let sum = 0;
  for (const [one, { ownMs, endedMs }] of times) if (isBelow(one)) sum += ownMs + endedMs;
  return sum;
}

async function timesOf(name: string): Promise<ProcessTimes | null> {
  try {
    const stat = await readFile(`/proc/${name}/stat`, "utf8");
    // The second field is the program's name in brackets, which may hold anything.
    const fields = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const [parent = 0, user = 0, system = 0, endedUser = 0, endedSystem = 0] = [fields[1], ...fields.slice(11, 15)];
    return { parent, ownMs: (user + system) * tickMs, endedMs: (endedUser + endedSystem) * tickMs };
  } catch {
    return null; // It has ended meanwhile.
  }
}
