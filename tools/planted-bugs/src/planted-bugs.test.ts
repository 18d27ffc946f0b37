import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { drawBugs } from "./draw.ts";
import { replaced } from "./planted-bug.ts";
import { plantedBugs } from "./planted-bugs.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));

describe("a planted bug", () => {
  for (const { name, replacements } of plantedBugs) {
    it(`${name} can still be planted into the sources`, () => {
      const texts = new Map<string, string>();
      for (const replacement of replacements) {
        const path = `${root}packages/${replacement.packageName}/src/${replacement.module}.ts`;
        const text = replaced(texts.get(path) ?? readFileSync(path, "utf8"), replacement);
        expect(text).toContain(replacement.replace);
        texts.set(path, text);
      }
    });
  }

  it("is planted nowhere if its text is missing or stands twice", () => {
    const replacement = { packageName: "relay", module: "cursor", find: "now", replace: "never" };
    expect(replaced("here and now", replacement)).toBe("here and never");
    expect(() => replaced("here", replacement)).toThrow("0 times");
    expect(() => replaced("now and now", replacement)).toThrow("2 times");
  });

  it("has a name of its own, and something that must catch it: a test that is there and says something, or a torture run", () => {
    expect(new Set(plantedBugs.map(({ name }) => name)).size).toBe(plantedBugs.length);
    for (const { name, test, torture } of plantedBugs) {
      expect(test !== null || torture.length > 0, name).toBe(true);
      if (test === null) continue;
      expect(existsSync(`${root}${test.file}`), `${name}: ${test.file}`).toBe(true);
      expect(test.says.length, name).toBeGreaterThan(4);
    }
  });
});

describe("what is drawn", () => {
  it("is the same for the same seed, each once, and over some seeds every quick one", () => {
    const quick = plantedBugs.filter(({ isQuick }) => isQuick);
    const drawn = new Set<string>();
    for (let seed = 0; seed < 200; seed += 1) {
      const names = drawBugs(plantedBugs, 2, seed).map(({ name }) => name);
      expect(names).toEqual(drawBugs(plantedBugs, 2, seed).map(({ name }) => name));
      expect(new Set(names).size).toBe(2);
      for (const name of names) drawn.add(name);
    }
    expect(drawn).toEqual(new Set(quick.map(({ name }) => name)));
  });
});
