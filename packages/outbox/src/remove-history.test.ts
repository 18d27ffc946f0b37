import { namespace, type Units } from "@waybill/sql";
import { expect, it } from "vitest";
import { type RemoveHistoryOptions, removeHistory } from "./remove-history.ts";

const units: Units = { unitOfWork: () => Promise.reject(new Error("never asked")) };
const problems = (options: Partial<RemoveHistoryOptions>): Promise<unknown> =>
  removeHistory(units, { space: namespace("mysql"), lowWaterMark: async () => 1n, ...options }).then(
    () => null,
    (error: { facts: { problems: readonly { option: string }[] } }) => error.facts.problems.map(({ option }) => option),
  );

it("less than an hour of history, and steps without a bound, are refused, all at once", async () => {
  expect(await problems({ retentionMs: 3_599_999, idRetentionMs: 1, rowsMax: 0 })).toEqual(["retentionMs", "idRetentionMs", "rowsMax"]);
});
