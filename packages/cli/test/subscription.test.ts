import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { forEachDatabaseInTurn, type TestDatabase, testDatabase } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { emptyTables, insertMessages, migrate, query, startDestination } from "./fixtures.ts";
import { waybill } from "./waybill.ts";

const program = fileURLToPath(new URL("../dist/main.js", import.meta.url));

/** Runs the command on a terminal of its own, where `typed` is typed in. */
function onTerminal(commandLine: string, url: string, typed: string): Promise<number> {
  return new Promise((resolve) => {
    const child = execFile(
      "script",
      ["-qec", `"${process.execPath}" "${program}" ${commandLine}`, "/dev/null"],
      { env: { ...process.env, WAYBILL_DATABASE: url }, timeout: 30_000 },
      () => resolve(child.exitCode ?? -1),
    );
    let isTyped = false;
    child.stdout?.on("data", (text: string) => {
      if (isTyped || !text.includes("to go on")) return;
      isTyped = true;
      child.stdin?.write(`${typed}\n`);
    });
  });
}

await forEachDatabaseInTurn("cli subscription", (server) =>
  describe(`waybill subscription on ${server.name}`, () => {
    let database: TestDatabase;
    let environment: Record<string, string>;

    beforeAll(async () => {
      database = await testDatabase({ server: server.name });
      environment = { WAYBILL_DATABASE: database.url };
      await migrate(database.url);
    });
    afterAll(() => database.drop());
    afterEach(async () => {
      await query(database.url, "delete from waybill_subscription");
      await query(database.url, "delete from waybill_audit");
      await emptyTables(database.url);
    });

    const run = (verb: string, ...more: string[]) => waybill(["subscription", verb, ...more], environment);
    const change = (verb: string, ...more: string[]) => run(verb, "--yes", "--json", "--why", "as agreed", "--who", "ann", ...more);

    test("makes, moves, pauses, resumes, shows and deletes one, and the audit tells of each", { timeout: 60_000 }, async () => {
      await insertMessages(database.url, 3, { key: "k" });
      expect(JSON.parse((await change("create", "--subscription", "search", "--to", "now")).stdout)).toMatchObject({
        isChanged: true,
        after: { state: "active" },
      });
      const of = ["--subscription", "search"];
      expect(JSON.parse((await change("move", "--to", "beginning", ...of)).stdout)).toMatchObject({
        after: { state: "active", lastId: "0" },
      });
      expect((await change("pause", ...of)).code).toBe(0);
      const shown = JSON.parse((await run("show", "--json", ...of)).stdout) as { subscription: object };
      expect(shown.subscription).toMatchObject({ state: "paused", lastId: "0", lowWaterMark: "1", isHeld: false });
      expect((await run("list")).stdout).toContain("default/search");
      expect((await change("resume", ...of)).code).toBe(0);
      await query(
        database.url,
        `insert into waybill_spill (stream, subscription, sequence, lane, message_id, type, topic, created_at)
         values ('default', 'search', 1, 'lane', '00000000-0000-4000-8000-000000000001', 't', 't', current_timestamp)`,
      );
      expect(JSON.parse((await change("delete", ...of)).stderr)).toMatchObject({ error: { facts: { reason: "spilled" } } });
      expect((await change("delete", ...of, "--accept-loss")).code).toBe(0);
      expect(JSON.parse((await run("list", "--json")).stdout)).toEqual({ subscriptions: [] });
      expect((await run("show", ...of)).code).toBe(1);
      const audit = await query(database.url, "select who, what, subject, why from waybill_audit order by id");
      expect(audit.map(({ who, what, why }) => [who, what, why])).toEqual(
        ["create", "move", "pause", "resume", "delete"].map((verb) => ["ann", `subscription.${verb}`, "as agreed"]),
      );
      expect(audit[0]).toMatchObject({ subject: "subscription default/search" });
    });

    test("refuses a change where nobody can be asked, or that gives no reason, or no place, and says all of it", async () => {
      const { code, stderr } = await run("move", "--to", "now", "--to-id", "4");
      expect(code).toBe(2);
      expect(stderr).toMatch(/--yes: is needed where nobody can be asked/);
      expect(stderr).toMatch(/--why: is needed/);
      expect(stderr).toMatch(/only one of them/);
    });

    test("ends with 1 where the subscription does not allow it, and with the error as JSON", async () => {
      const missing = await change("pause", "--subscription", "none");
      expect([missing.code, JSON.parse(missing.stderr)]).toMatchObject([
        1,
        { error: { code: "WAYBILL_SUBSCRIPTION_REFUSED", facts: { reason: "missing" } } },
      ]);
      const beyond = await change("create", "--subscription", "far", "--to-id", "999999");
      expect([beyond.code, JSON.parse(beyond.stderr)]).toMatchObject([
        1,
        { error: { code: "WAYBILL_POSITION_REFUSED", facts: { asked: "999999" } } },
      ]);
    });

    test("asks on a terminal for the name, typed in", { timeout: 60_000 }, async () => {
      await change("create", "--to", "beginning");
      expect(await onTerminal("subscription pause --why typed", database.url, "default/other")).toBe(1);
      expect(await query(database.url, "select state from waybill_subscription")).toMatchObject([{ state: "active" }]);
      expect(await onTerminal("subscription pause --why typed", database.url, "default/default")).toBe(0);
      expect(await query(database.url, "select state from waybill_subscription")).toMatchObject([{ state: "paused" }]);
    });

    test("replays what was finished, and tells what it did", { timeout: 60_000 }, async () => {
      await insertMessages(database.url, 5, { key: "k" });
      const [ends] = await query(database.url, "select max(id) as high from waybill_outbox");
      const high = Number(ends?.["high"]);
      await change("create", "--to", "now");
      const to = await startDestination();
      try {
        const replayed = await change("replay", "--transport", to.url, "--from-id", String(high - 2));
        expect(JSON.parse(replayed.stdout)).toMatchObject({ endedBy: "end", published: 3, nextId: String(high + 1), rejected: [] });
        expect(replayed.code).toBe(0);
        const refused = await run("replay", "--transport", to.url);
        expect([refused.code, refused.stderr]).toMatchObject([2, expect.stringContaining("--from-time is needed")]);
      } finally {
        await to.close();
      }
    });

    test("one that was stopped for its ledger: doctor, status and show say what to do, and resume wants it said", {
      timeout: 60_000,
    }, async () => {
      await change("create", "--to", "beginning");
      await query(database.url, "update waybill_subscription set state = 'stopped', state_reason = 'idsWentBack:10:5'");
      for (const command of [["doctor"], ["status"], ["subscription", "show"]]) {
        const { stdout } = await waybill(command, environment);
        expect(stdout, command.join(" ")).toMatch(/resume --accept-repeats --stream default --subscription default/);
      }
      expect(await change("resume")).toMatchObject({ code: 1, stderr: expect.stringContaining("decisionNeeded") as string });
      expect(JSON.parse((await change("resume", "--accept-repeats")).stdout)).toMatchObject({ after: { state: "active", lastId: "0" } });
    });
  }),
);
