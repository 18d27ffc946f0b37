import { expect, test } from "vitest";
import { loadDriver, versionProblems } from "./driver.ts";

test.each(["3.24.0", "3.24.6", "3.99.1"])("M10 version %s of the driver is taken", (version) => {
  expect(versionProblems(version)).toEqual([]);
});

test.each(["3.23.9", "3.9.7", "2.3.3", "4.0.0"])("M10 version %s of the driver is refused, with what to do", (version) => {
  expect(versionProblems(version)).toEqual([{ option: "mysql2", problem: expect.stringContaining(`is version ${version}`) as string }]);
});

test("the driver that is installed here is taken", async () => {
  expect(typeof (await loadDriver()).createConnection).toBe("function");
});
