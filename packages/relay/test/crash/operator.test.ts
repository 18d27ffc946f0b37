/** An operator's command that dies between any two of its statements: what it changed and its line of audit are both there, or neither is. */
import { fileURLToPath } from "node:url";
import { forEachDatabase, startChild } from "@waybill/testing";
import { describe, expect } from "vitest";
import { itOn, type RelayFixture, row } from "../relay-fixture.ts";
import type { OperatorChildOptions } from "./operator.child.ts";

const program = fileURLToPath(new URL("../../dist-programs/test/crash/operator.child.js", import.meta.url));

const rowsAfter: Readonly<Record<OperatorChildOptions["change"], readonly string[]>> = {
  move: ["active 1 1"],
  pause: ["paused 1 0"],
  delete: [],
};

const isAll = process.env["WAYBILL_TEST_ALL"] === "1";

/** Before this one nothing is written: the fourth of a move is its change, then come the audit and the COMMIT. */
const firstStatement = isAll ? 1 : 5;

/** All three are one unit of work; the longest stands for them unless everything is asked for. */
const changes = isAll ? (["move", "pause", "delete"] as const) : (["move"] as const);

/** Enough for the longest of them; a run that was not killed ends the search. */
const statementsMax = 20;

const stored = async (fixture: RelayFixture) => {
  const rows = await fixture.run("select state, epoch, last_id from waybill_subscription");
  const audit = await fixture.run("select what from waybill_audit");
  return { rows: rows.map((one) => [one.state, Number(one.epoch), Number(one.last_id)].join(" ")), audit: audit.map(({ what }) => what) };
};

await forEachDatabase((server) => {
  describe(`an operator killed with -9 on ${server.name}`, () => {
    const it = itOn(server);

    for (const change of changes) {
      it(`leaves ${change} and audit together, or neither`, { timeout: 120_000 }, async ({ fixture }) => {
        await fixture.append(row("k"), row("k"), row("k"));
        await fixture.run({
          postgres: "insert into waybill_subscription (stream, subscription) values ('default', 'default')",
          mysql: "insert into waybill_subscription (stream, subscription, holes, solo_deaths) values ('default', 'default', '[]', '{}')",
        });
        let kills = 0;
        for (let beforeStatement = firstStatement; beforeStatement <= statementsMax; beforeStatement += 1) {
          const options: OperatorChildOptions = { url: fixture.url, change, beforeStatement };
          const child = await startChild(program, { args: [JSON.stringify(options)] });
          const { signal } = await child.exited;
          if (signal !== "SIGKILL") break;
          kills += 1;
          expect(await stored(fixture)).toEqual({ rows: ["active 0 0"], audit: [] });
        }
        expect(kills).toBeGreaterThanOrEqual(2);
        expect(await stored(fixture)).toEqual({ rows: rowsAfter[change], audit: [`subscription.${change}`] });
      });
    }
  });
});
