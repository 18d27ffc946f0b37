import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { startChild, waitUntil } from "../src/index.ts";

const program = fileURLToPath(new URL("../dist-programs/test/programs/telling.js", import.meta.url));

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("a child", () => {
  it("tells events, hears lines, and gets the environment it is given", async () => {
    const seen: string[] = [];
    const child = await startChild(program, {
      args: ["echo"],
      env: { WAYBILL_ECHO: "yes" },
      onEvent: (event) => seen.push(String(event.name)),
    });
    expect(await child.waitFor(({ name }) => name === "ready")).toEqual({ name: "ready", variable: "yes" });
    child.tell("hello");
    expect(await child.waitFor(({ name }) => name === "heard")).toEqual({ name: "heard", text: "hello\n" });
    await waitUntil(() => child.output() === "not an event", { what: "the plain line has arrived" });
    child.kill("SIGTERM");
    expect(await child.exited).toEqual({ code: null, signal: "SIGTERM" });
    expect(seen).toEqual(["ready", "heard"]);
  });

  it("that ends too early fails the wait with what it wrote", async () => {
    const child = await startChild(program, { args: ["fail"] });
    await expect(child.waitFor(({ name }) => name === "done", { what: "it is done" })).rejects.toThrow(
      /ended with code 3 before it is done[^]*the reason/,
    );
    expect(await child.exited).toEqual({ code: 3, signal: null });
  });

  it("that says nothing fails the wait at its deadline", async () => {
    const child = await startChild(program, { args: ["echo"] });
    await expect(child.waitFor(({ name }) => name === "done", { deadlineMs: 20 })).rejects.toThrow("within 20 ms");
    child.kill();
    await child.exited;
  });

  it("loses no event however many it tells", async () => {
    const child = await startChild(program, { args: ["flood"] });
    expect(await child.exited).toEqual({ code: 0, signal: null });
    expect(child.events.length).toBe(20_000);
  });

  it("that kills itself at an event has told that event and done nothing after it", async () => {
    const child = await startChild(program, { args: ["kill", "3"] });
    expect(await child.exited).toEqual({ code: null, signal: "SIGKILL" });
    expect(child.events.map(({ name, epoch }) => `${String(name)} ${String(epoch)}`)).toEqual([
      "relay.leaseRenewed 1",
      "after 1",
      "relay.leaseRenewed 2",
      "after 2",
      "relay.leaseRenewed 3",
    ]);
  });
});

describe("a server", () => {
  it.each(["exit", "stay"])("ends with the process that started it (%s)", async (how) => {
    const child = await startChild(program, { args: ["server", how] });
    const { pid, folder } = await child.waitFor(({ name }) => name === "started", { deadlineMs: 30_000 });
    if (how === "stay") child.kill("SIGKILL");
    await child.exited;
    await waitUntil(() => !isAlive(Number(pid)), { what: "the server is gone" });
    // Whoever is killed cannot clean up.
    expect(existsSync(String(folder))).toBe(how === "stay");
    await rm(dirname(String(folder)), { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
});
