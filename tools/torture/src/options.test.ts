import { UsageError } from "@waybill/testing";
import { describe, expect, it } from "vitest";
import { brokenBuilds } from "./broken-builds.ts";
import { readOptions } from "./options.ts";

describe("what the command line asks for", () => {
  it("is one run of five minutes on a PostgreSQL of our own, unless it says otherwise", () => {
    expect(readOptions([])).toEqual({ seed: null, minutes: 5, database: null, isJson: false, mode: "run", record: null });
    expect(readOptions(["--seed", "7", "--minutes", "0.5", "--database", "mysql", "--json"])).toMatchObject({
      seed: 7,
      minutes: 0.5,
      database: { server: "mysql" },
      isJson: true,
    });
    expect(readOptions(["--database", "postgres://127.0.0.1/x"])?.database).toEqual({ url: "postgres://127.0.0.1/x" });
    expect(readOptions(["--help"])).toBeNull();
  });

  it("is a nightly run that records its seeds, or builds to be caught", () => {
    expect(readOptions(["--nightly"])).toMatchObject({ mode: "nightly", record: "torture-nightly.jsonl" });
    expect(readOptions(["--broken", "all"])?.mode).toEqual({ broken: brokenBuilds });
    expect(readOptions(["--broken", "two-statements"])?.mode).toMatchObject({ broken: [{ name: "two-statements" }] });
  });

  it("is refused where it means nothing", () => {
    for (const args of [
      ["--seed", "-1"],
      ["--seed", "x"],
      ["--minutes", "0"],
      ["--database", "oracle"],
      ["--broken", "none"],
      ["--nightly", "--seed", "1"],
      ["--nightly", "--broken", "all"],
      ["--unknown"],
    ]) {
      expect(() => readOptions(args), args.join(" ")).toThrow(UsageError);
    }
  });
});
