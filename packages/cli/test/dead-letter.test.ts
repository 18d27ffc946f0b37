import { userInfo } from "node:os";
import { type Child, forEachDatabaseInTurn, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Destination, emptyTables, insertMessages, isMysql, migrate, query, startDestination } from "./fixtures.ts";
import { named, startRelay, waybill } from "./waybill.ts";

await forEachDatabaseInTurn("cli dead-letter", (server) =>
  describe(`waybill dead-letter and status on ${server.name}`, () => {
    let database: TestDatabase;
    let environment: Record<string, string>;
    let to: Destination;
    let relay: Child;

    beforeAll(async () => {
      database = await testDatabase({ server: server.name });
      environment = { WAYBILL_DATABASE: database.url };
      await migrate(database.url);
    });
    afterAll(() => database.drop());

    beforeEach(async () => {
      to = await startDestination();
      relay = await startRelay(["--transport", to.url], environment);
      await relay.waitFor(named("relay.leaseAcquired"), { deadlineMs: 20_000 });
    });
    afterEach(async () => {
      relay.kill("SIGTERM");
      await relay.exited;
      await to.close();
      await emptyTables(database.url);
    });

    interface Listed {
      readonly deadLetters: {
        messageId: string;
        state: string;
        reason: string | null;
        key: string | null;
        sequence: string;
        attempts: number;
      }[];
    }

    async function list(...commandLine: string[]): Promise<Listed["deadLetters"]> {
      const { code, stdout, stderr } = await waybill(["dead-letter", "list", "--json", ...commandLine], environment);
      expect(stderr).toBe("");
      expect(code).toBe(0);
      return (JSON.parse(stdout) as Listed).deadLetters;
    }

    /** One dead, with two of its key held behind it; `refused` is then taken again. */
    async function giveUp(): Promise<readonly string[]> {
      let refused = "";
      to.answer = (response, id) => {
        if (refused === "") refused = id;
        response.writeHead(id === refused ? 422 : 200).end();
      };
      const ids = await insertMessages(database.url, 3, { key: "k" });
      await waitUntil(async () => (await list("--state", "any")).length === 3, {
        what: "one is dead and two are held",
        deadlineMs: 20_000,
        intervalMs: 200,
      });
      return ids;
    }

    test("what is refused is listed with its reason, and what waits behind it on request", async () => {
      const [first, second, third] = await giveUp();
      expect(await list()).toMatchObject([{ messageId: first, state: "dead", reason: "status:422", key: "k" }]);
      expect((await list("--state", "held")).map(({ messageId }) => messageId)).toEqual([second, third]);
      expect(
        await list(
          "--message-id",
          String(first),
          "--state",
          "any",
          "--topic",
          "orders",
          "--reader",
          "default/default",
          "--origin",
          "relay",
        ),
      ).toHaveLength(1);
      expect(await list("--topic", "payments", "--state", "any")).toEqual([]);
      const table = await waybill(["dead-letter", "list", "--limit", "1", "--state", "any"], environment);
      expect(table.stdout).toContain("status:422");
      expect(table.stdout).toContain("there may be more");
    });

    test("status shows them and ends with 1", async () => {
      await giveUp();
      const shown = await waybill(["status", "--json"], environment);
      expect(shown.code).toBe(1);
      expect(JSON.parse(shown.stdout)).toMatchObject({
        subscriptions: [
          { stream: "default", subscription: "default", state: "active", isHeld: true, deadLetters: { dead: 1, held: 2, released: 0 } },
        ],
        problems: [expect.stringContaining("1 dead letters wait for a decision, 2 messages behind them")],
      });
      expect((await waybill(["status"], environment)).stdout).toContain("default/default");
    });

    test("redrive publishes them in order under their old ids, and the audit says who and why", async () => {
      const ids = await giveUp();
      to.answer = (response) => response.end();
      to.ids.length = 0;
      const counted = await waybill(["dead-letter", "redrive", "--topic", "orders", "--dry-run", "--json"], environment);
      expect(counted).toMatchObject({ code: 0, stdout: '{"messages":1,"dryRun":true}\n' });
      expect(to.ids).toEqual([]);
      const redriven = await waybill(
        ["dead-letter", "redrive", "--topic", "orders", "--yes", "--who", "ada", "--why", "receiver fixed"],
        environment,
      );
      expect(redriven).toMatchObject({ code: 0, stdout: "1 messages put back on their way.\n" });
      await waitUntil(() => to.ids.length >= 3, { what: "all three have arrived", deadlineMs: 20_000 });
      expect(to.ids).toEqual(ids);
      expect(await query(database.url, "select who, what, why from waybill_audit")).toEqual([
        { who: "ada", what: "dead-letter.redrive", why: "receiver fixed" },
      ]);
      await waitUntil(async () => (await waybill(["status"], environment)).code === 0, {
        what: "nothing needs attention",
        deadlineMs: 20_000,
        intervalMs: 200,
      });
    });

    test("discard closes them for good and what waited goes on; the user of the system is who did it", async () => {
      const [first, second, third] = await giveUp();
      to.ids.length = 0;
      const discarded = await waybill(["dead-letter", "discard", "--message-id", String(first), "--yes"], environment);
      expect(discarded).toMatchObject({ code: 0, stdout: "1 messages discarded.\n" });
      await waitUntil(() => to.ids.length >= 2, { what: "those behind it have arrived", deadlineMs: 20_000 });
      expect(to.ids).toEqual([second, third]);
      expect(await query(database.url, "select who, why from waybill_audit")).toEqual([{ who: userInfo().username, why: null }]);
    });

    test("nothing is decided unasked: no filter without --all, no answer without --yes", async () => {
      await giveUp();
      const unfiltered = await waybill(["dead-letter", "discard", "--yes"], environment);
      expect(unfiltered).toMatchObject({ code: 2, stderr: expect.stringContaining("--all: is needed where no filter is given") });
      const unasked = await waybill(["dead-letter", "discard", "--all"], environment, "y\n");
      expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining("--yes: is needed where nobody can be asked") });
      const both = await waybill(["dead-letter", "discard", "--all", "--topic", "orders", "--yes"], environment);
      expect(both.code).toBe(2);
      expect(await list("--state", "any")).toHaveLength(3);
      expect(await query(database.url, "select 1 from waybill_audit")).toEqual([]);
    });
  }),
);

await forEachDatabaseInTurn("cli dead-letter", (server) =>
  describe(`waybill status on ${server.name}`, () => {
    let database: TestDatabase;
    beforeAll(async () => {
      database = await testDatabase({ server: server.name });
    });
    afterAll(() => database.drop());

    test("without tables it ends with 3; with tables and no relay it is calm; with a subscription that nobody holds it ends with 1", async () => {
      const environment = { WAYBILL_DATABASE: database.url };
      const without = await waybill(["status", "--json"], environment);
      expect(without.code).toBe(3);
      expect((JSON.parse(without.stdout) as { problems: string[] }).problems.length).toBeGreaterThan(0);
      await migrate(database.url);
      expect(await waybill(["status"], environment)).toMatchObject({ code: 0, stdout: "No relay has run yet.\n" });
      await query(
        database.url,
        isMysql(database.url)
          ? "insert into waybill_subscription (stream, subscription, holes, solo_deaths) values ('default', 'kafka', '[]', '{}')"
          : "insert into waybill_subscription (stream, subscription) values ('default', 'kafka')",
      );
      await insertMessages(database.url, 7);
      const idle = await waybill(["status", "--json"], environment);
      expect(idle.code).toBe(1);
      expect(JSON.parse(idle.stdout)).toMatchObject({
        subscriptions: [
          { subscription: "kafka", isHeld: false, lastId: "0", highestId: "7", backlogIds: "7", oldestUnpublishedMs: expect.any(Number) },
        ],
        problems: ["default/kafka: no relay holds it"],
      });
      const late = await waybill(["status", "--json", "--ready-max-age-ms", "100"], environment);
      expect((JSON.parse(late.stdout) as { problems: string[] }).problems.join()).toContain("oldest unpublished message");
    });

    test.runIf(server.dialect === "mysql")("a row that only closes an id is no message that waits", async () => {
      await migrate(database.url);
      await emptyTables(database.url);
      await query(
        database.url,
        "insert into waybill_subscription (stream, subscription, holes, solo_deaths) values ('default', 'fenced', '[]', '{}')",
      );
      await query(database.url, "insert into waybill_outbox (type, topic) values ('', '')");
      const shown = await waybill(["status", "--json", "--ready-max-age-ms", "100"], { WAYBILL_DATABASE: database.url });
      expect(JSON.parse(shown.stdout)).toMatchObject({
        subscriptions: [{ subscription: "fenced", oldestUnpublishedMs: null }],
        problems: ["default/fenced: no relay holds it"],
      });
    });
  }),
);
