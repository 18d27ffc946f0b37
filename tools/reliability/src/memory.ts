/** How much memory a process of the run takes, as Linux says it. */
import { readFileSync } from "node:fs";

export interface Memory {
  /** Resident now. */
  readonly bytes: number;
  /** The most that ever was. */
  readonly bytesMost: number;
}

/** Zeros: nothing runs there any more, or this system does not tell. */
export function memoryOf(pid: number | null): Memory {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const read = (field: string): number => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * 1_024;
    return { bytes: read("VmRSS"), bytesMost: read("VmHWM") };
  } catch {
    return { bytes: 0, bytesMost: 0 };
  }
}
