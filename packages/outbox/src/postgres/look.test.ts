import { expect, it } from "vitest";
import { parseLook } from "./look.ts";

it("a look is transactions by name", () => {
  expect(parseLook([{ is_standby: "false", highest_id: "9007199254740993", live: "3/17 4/2", prepared: "" }])).toEqual({
    highestId: 9_007_199_254_740_993n,
    live: new Set(["3/17", "4/2"]),
    prepared: new Set(),
  });
});

it("a standby is refused: it knows no writers", () => {
  const standby = { is_standby: "true", highest_id: "1", live: "", prepared: "" };
  expect(() => parseLook([standby])).toThrow(expect.objectContaining({ code: "WAYBILL_READ_ONLY" }) as Error);
});
