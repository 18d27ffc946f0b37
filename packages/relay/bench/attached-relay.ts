/** A relay beside us, and what it says of itself. */
import { fileURLToPath } from "node:url";
import { type Child, startChild } from "@waybill/testing";

export interface RelayCount {
  readonly published: number;
  readonly cpuMs: number;
}

export interface AttachedRelay {
  count(): Promise<RelayCount>;
  stop(): Promise<void>;
}

export async function attachRelay(url: string): Promise<AttachedRelay> {
  const child: Child = await startChild(fileURLToPath(new URL("./attached.child.js", import.meta.url)), { args: [url] });
  await child.waitFor(({ name }) => name === "ready", { deadlineMs: 60_000, what: "the lease" });
  return {
    async count() {
      const from = child.events.length;
      child.tell("count");
      const told = await child.waitFor(({ name }) => name === "count", { from, deadlineMs: 60_000, what: "a count" });
      return { published: Number(told["published"]), cpuMs: Number(told["cpuMs"]) };
    },
    async stop() {
      child.tell("stop");
      await child.exited;
    },
  };
}
