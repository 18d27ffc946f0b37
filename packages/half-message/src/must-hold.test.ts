import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const list = readFileSync(new URL("../test/must-hold.md", import.meta.url), "utf8");
const folders = [new URL("../test/", import.meta.url), new URL("../../cli/test/", import.meta.url)];

/** The numbers with which names of tests begin: `"H12 suspended half messages …"`. */
function numbersOfTests(folder: URL): readonly number[] {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".test.ts"));
  return files.flatMap((file) =>
    [...readFileSync(new URL(file, folder), "utf8").matchAll(/["`]H([0-9]+) \S/g)].map(([, number]) => Number(number)),
  );
}

test("each line of what must hold has a test under its number, and no test has another", () => {
  const wanted = [...list.matchAll(/^([0-9]+)\. /gm)].map(([, number]) => Number(number));
  expect(wanted).toEqual(Array.from({ length: 44 }, (_, index) => index + 1));
  expect([...new Set(folders.flatMap(numbersOfTests))].sort((one, other) => one - other)).toEqual(wanted);
});
