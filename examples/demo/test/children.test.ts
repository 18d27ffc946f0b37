import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createChildren } from "../src/children.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "waybill-children-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Hears no signal before it has come up, as a program that is still loading. */
const slow = `import { createServer } from "node:http";
  setTimeout(() => {
    process.once("SIGTERM", () => process.exit(0));
    createServer((_, response) => response.end()).listen(Number(process.env.PORT), "127.0.0.1");
  }, 300);`;

test("what was killed just before the stop comes up first, and so stops cleanly", async () => {
  const file = join(folder, "slow.mjs");
  await writeFile(file, slow);
  const port = await freePort();
  const children = createChildren(new AbortController().signal);
  const child = children.make("slow", [file], { PORT: String(port) });
  await children.start([`http://127.0.0.1:${port}/`]);
  expect(await child.kill()).toBe(true);
  child.start();
  expect(await children.stop()).toEqual([]);
});

test("one that ends by itself breaks the run, with what it wrote", async () => {
  const file = join(folder, "brief.mjs");
  await writeFile(file, "console.error('no room'); process.exitCode = 7;");
  const children = createChildren(new AbortController().signal);
  children.make("brief", [file], {});
  await expect(children.start(["http://127.0.0.1:1/"])).rejects.toThrow(/brief ended by itself, exit code 7[\s\S]*no room/);
  await waitUntil(() => children.broken.aborted, { what: "the run is broken" });
});
