import { namespace } from "@waybill/sql";
import { expect, it } from "vitest";
import type { HistoryStatements } from "./history-step.ts";
import { type RemoveHistoryOptions, removeHistory } from "./remove-history.ts";

const never = () => Promise.reject(new Error("never asked"));
const statements: HistoryStatements = { unitOfWork: never, execute: never };
const problems = (options: Partial<RemoveHistoryOptions>): Promise<unknown> =>
  removeHistory(statements, { space: namespace("mysql"), lowWaterMark: async () => 1n, ...options }).then(
    () => null,
    (error: { facts: { problems: readonly { option: string }[] } }) => error.facts.problems.map(({ option }) => option),
  );

it("less than an hour of history, and steps without a bound, are refused, all at once", async () => {
  expect(await problems({ retentionMs: 3_599_999, idRetentionMs: 1, rowsMax: 0 })).toEqual(["retentionMs", "idRetentionMs", "rowsMax"]);
});
