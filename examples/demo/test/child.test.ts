import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Child, createChild } from "../src/child.ts";

let folder: string;
const exits: (number | null)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "waybill-child-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function child(name: string, program: string): Promise<Child> {
  const file = join(folder, `${name}.mjs`);
  // It says that it is up when it is: a signal that comes before its listener would end it.
  await writeFile(file, `${program} process.stderr.write(\`up \${process.env.WORD} \`);`);
  return createChild({ name, args: [file], environment: { WORD: "hello" } }, (code) => exits.push(code));
}

const up = (made: Child, times: number): Promise<true> =>
  waitUntil(() => made.output().split("up hello").length - 1 >= times, { what: `${made.name} is up` });

test("a process is killed, started again and stopped; none of it is an exit of its own", async () => {
  const made = await child("patient", "setInterval(() => undefined, 1_000); process.once('SIGTERM', () => process.exit(0));");
  expect(await made.kill()).toBe(false);
  made.start();
  await up(made, 1);
  expect(await made.kill()).toBe(true);
  made.start();
  await up(made, 2);
  expect(await made.stop(5_000)).toBe(0);
  expect(await made.kill()).toBe(false);
  expect(exits).toEqual([]);
});

test("a process that does not stop is killed at the deadline", async () => {
  const made = await child("deaf", "setInterval(() => undefined, 1_000); process.on('SIGTERM', () => undefined);");
  made.start();
  await up(made, 1);
  expect(await made.stop(100)).toBeNull();
});

test("a process that ends by itself is told of", async () => {
  exits.length = 0;
  const made = await child("brief", "process.exit(7);");
  made.start();
  await waitUntil(() => exits.length > 0, { what: "its exit is told" });
  expect(exits).toEqual([7]);
});
