import { expect, test } from "vitest";
import { afterRejection, isBraked, type RejectionBrake, rejectionsInARowMax, releasedBrake } from "./rejection-brake.ts";

function rejecting(codes: readonly string[], from: RejectionBrake = releasedBrake): RejectionBrake {
  return codes.reduce(afterRejection, from);
}
const tooLarge = (times: number): string[] => Array.from({ length: times }, () => "tooLarge");

test("the brake is on after ten rejections in a row with one code, and not after nine", () => {
  expect(rejectionsInARowMax).toBe(10);
  expect(isBraked(rejecting(tooLarge(9)), "tooLarge")).toBe(false);
  expect(isBraked(rejecting(tooLarge(10)), "tooLarge")).toBe(true);
  expect(isBraked(rejecting(tooLarge(11)), "tooLarge")).toBe(true);
});

test("another code starts the count again, and is not braked itself", () => {
  expect(isBraked(rejecting(["denied", ...tooLarge(9)]), "tooLarge")).toBe(false);
  expect(isBraked(rejecting([...tooLarge(9), "denied", "tooLarge"]), "tooLarge")).toBe(false);
  expect(isBraked(rejecting(tooLarge(10)), "denied")).toBe(false);
});

test("a released brake rejects as at first", () => {
  expect(isBraked(releasedBrake, "tooLarge")).toBe(false);
  expect(isBraked(rejecting(tooLarge(9), releasedBrake), "tooLarge")).toBe(false);
});
