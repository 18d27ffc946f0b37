import { UsageError } from "@waybill/testing";
import { describe, expect, it } from "vitest";
import { readOptions } from "./options.ts";

describe("the rig's options", () => {
  it("name servers or URLs", () => {
    expect(
      readOptions(["chaos", "--seed", "7", "--minutes", "3", "--database", "mysql", "--broker", "kafka://h:1", "--json"]),
    ).toMatchObject({
      command: "chaos",
      seed: 7,
      minutes: 3,
      database: { server: "mysql" },
      broker: { url: "kafka://h:1" },
      isJson: true,
    });
    expect(readOptions(["scenario", "R64", "--full", "--repeat", "3"])).toMatchObject({
      code: "R64",
      isFull: true,
      repeat: 3,
      database: null,
      broker: null,
    });
    expect(readOptions(["scenarios", "--full", "--draw", "2"])).toMatchObject({ isFull: true, draw: 2 });
    expect(readOptions(["chaos", "--help"])).toBeNull();
  });

  it("are refused when they do not fit together", () => {
    const wrong = [
      [],
      ["scenario"],
      ["chaos", "R64"],
      ["chaos", "--full"],
      ["scenario", "R64", "--draw", "1"],
      ["scenarios", "--draw", "0"],
      ["scenario", "R64", "--minutes", "3"],
      ["chaos", "--repeat", "2"],
      ["chaos", "--seed", "-1"],
      ["chaos", "--minutes", "0"],
      ["chaos", "--database", "oracle"],
      ["chaos", "--broker", "http://h"],
      ["scenario", "R64", "--repeat", "0"],
      ["chaos", "--colour"],
    ];
    for (const args of wrong) expect(() => readOptions(args), args.join(" ")).toThrow(UsageError);
  });
});
