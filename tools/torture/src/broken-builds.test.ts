import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { brokenBuilds, replaced } from "./broken-builds.ts";

const packages = fileURLToPath(new URL("../../../packages/", import.meta.url));

describe("a broken build", () => {
  for (const { name, replacements } of brokenBuilds) {
    it(`${name} can still be made of the sources`, () => {
      for (const replacement of replacements) {
        const { packageName, module, replace } = replacement;
        expect(replaced(readFileSync(`${packages}${packageName}/src/${module}.ts`, "utf8"), replacement)).toContain(replace);
      }
    });
  }

  it("is refused where its text is missing or stands twice", () => {
    const replacement = { packageName: "relay", module: "cursor", find: "now", replace: "never" };
    expect(replaced("here and now", replacement)).toBe("here and never");
    expect(() => replaced("here", replacement)).toThrow("0 times");
    expect(() => replaced("now and now", replacement)).toThrow("2 times");
  });
});
