/**
 * For children of crash tests. Events are told between the steps of an engine, synchronously, so that a listener which ends the
 * process ends it exactly there: nothing of the next step has happened.
 */
import { writeSync } from "node:fs";
import type { OnEvent, WaybillEvent } from "@waybill/core";

export interface KillOnEventOptions {
  readonly name: WaybillEvent["name"];
  /** Which one of that name, counted from 1. Default 1. */
  readonly nth?: number;
  /** SIGKILL (default) ends the process; SIGSTOP freezes it, as a long pause of the machine does, until somebody sends SIGCONT. */
  readonly signal?: "SIGKILL" | "SIGSTOP";
}

/** A listener that sends a signal to its own process at the nth event of a name. It does not return from a SIGKILL. */
export function killOnEvent({ name, nth = 1, signal = "SIGKILL" }: KillOnEventOptions): OnEvent {
  let count = 0;
  return (event) => {
    if (event.name !== name) return;
    count += 1;
    if (count === nth) process.kill(process.pid, signal);
  };
}

/**
 * Writes an object as a JSON line to stdout, bigints as text, and returns when the system has it: a kill right afterwards does not
 * take it back. `startChild` reads it. Pass it as `onEvent`, or call it before `killOnEvent`'s listener.
 */
export function tellParent(event: object): void {
  const line = Buffer.from(`${JSON.stringify(event, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value))}\n`);
  for (let written = 0; written < line.length; ) {
    try {
      written += writeSync(1, line, written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error; // full: the parent reads in a moment
    }
  }
}
