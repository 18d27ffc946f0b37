import { forEachDatabaseInTurn, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { migrate, query, startDestination } from "./fixtures.ts";
import { named, startRelay, waybill } from "./waybill.ts";

await forEachDatabaseInTurn("cli stream", (server) =>
  describe(`waybill stream on ${server.name}`, () => {
    let database: TestDatabase;
    let environment: Record<string, string>;
    beforeAll(async () => {
      database = await testDatabase({ server: server.name });
      environment = { WAYBILL_DATABASE: database.url };
      await migrate(database.url);
    });
    afterAll(() => database.drop());

    test("a stream is made once, with a line of audit, and printed with its rights; a relay of its own publishes it, status and doctor see it", async () => {
      const created = await waybill(
        ["stream", "create", "--stream", "billing", "--who", "ann", "--why", "invoices", "--json"],
        environment,
      );
      expect(created.code, created.stderr).toBe(0);
      expect(JSON.parse(created.stdout)).toMatchObject({ stream: "billing", table: "waybill_billing_outbox", isNew: true });
      expect(created.stdout).toContain("on waybill_billing_outbox_delayed to waybill_relay;");
      const again = await waybill(["stream", "create", "--stream", "billing"], environment);
      expect([again.code, again.stdout.split("\n")[0]]).toEqual([
        0,
        "Nothing to do: the stream billing is there, in waybill_billing_outbox.",
      ]);
      expect(await query(database.url, "select who, subject, why from waybill_audit")).toEqual([
        { who: "ann", subject: "stream billing", why: "invoices" },
      ]);

      const destination = await startDestination();
      const relays = await Promise.all(
        ["default", "billing"].map((stream) => startRelay(["--transport", destination.url, "--stream", stream], environment)),
      );
      try {
        for (const relay of relays) await relay.waitFor(named("relay.leaseAcquired"), { deadlineMs: 20_000 });
        const values = "(type, topic, payload) values ('shop.order.placed.v1', 'orders', '{}')";
        await query(database.url, `insert into waybill_outbox ${values}`);
        await query(database.url, `insert into waybill_billing_outbox ${values}`);
        await waitUntil(() => destination.ids.length === 2, { what: "both are published" });

        const listed = JSON.parse((await waybill(["stream", "list", "--json"], environment)).stdout) as { streams: readonly object[] };
        expect(listed.streams).toEqual([
          { stream: "billing", highestId: "1", nextDueInMs: null },
          { stream: "default", highestId: "1", nextDueInMs: null },
        ]);
        const status = JSON.parse((await waybill(["status", "--json", "--ready-max-age-ms", "600000"], environment)).stdout) as {
          subscriptions: readonly { stream: string; isHeld: boolean }[];
        };
        expect(status.subscriptions.map(({ stream, isHeld }) => [stream, isHeld])).toEqual([
          ["billing", true],
          ["default", true],
        ]);
        const { stdout } = await waybill(["doctor"], environment);
        for (const stream of ["billing", "default"]) expect(stdout).toContain(`ledger ${stream}`);
      } finally {
        for (const relay of relays) relay.kill("SIGTERM");
        await Promise.all(relays.map((relay) => relay.exited));
        await destination.close();
      }
    });

    test("a relay of a stream that is not there ends, and a stream without a name is not made", async () => {
      const relay = await startRelay(["--transport", "http://127.0.0.1:1/{topic}", "--stream", "nowhere"], environment);
      const failed = await relay.waitFor(named("cli.failed"), { deadlineMs: 20_000 });
      expect(failed["code"]).toBe("WAYBILL_LEDGER_UNSAFE");
      expect((await relay.exited).code).toBe(1);
      expect((await waybill(["stream", "create"], environment)).code).toBe(2);
      expect((await waybill(["stream", "create", "--stream", "default"], environment)).code).toBe(2);
    });
  }),
);
