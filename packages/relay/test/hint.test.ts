import { createHint } from "@waybill/outbox";
import { openDatabase } from "@waybill/sql";
import { forEachDatabase, startFaultProxy, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { createRelay } from "../src/index.ts";
import { itOn, row } from "./relay-fixture.ts";

/** Longer than any test: whatever is published in time was not found by polling. */
const slowPoll = { pollMinMs: 50_000, pollMaxMs: 50_000 } as const;

await forEachDatabase((server) =>
  describe(`hints on ${server.name}`, () => {
    const it = itOn(server);

    if (server.dialect === "mysql") {
      it("are refused, by the writer and by the relay; a call of its wake in the same process does it", async ({ fixture }) => {
        expect(() => createHint({ database: fixture.database })).toThrow(expect.objectContaining({ code: "WAYBILL_CONFIG_INVALID" }));
        const options = { database: fixture.database, transport: fixture.start().transport, hint: true };
        expect(() => createRelay(options)).toThrow(expect.objectContaining({ code: "WAYBILL_CONFIG_INVALID" }));
        const relay = fixture.start({ subscription: "slow", ...slowPoll });
        await relay.seen("relay.batchApplied");
        await fixture.append(row("k"));
        relay.relay.wake();
        await relay.hasPublished(1);
      });
      return;
    }

    it("wake a relay of another process: it publishes without waiting for its poll", async ({ fixture }) => {
      const relay = fixture.start({ hint: true, ...slowPoll });
      await relay.seen("relay.hintListening");
      await fixture.append(row("k"));
      const hint = createHint({ database: fixture.database });
      hint.give();
      await relay.hasPublished(1);
      await fixture.append(row("k"));
      hint.give();
      await relay.hasPublished(2);
    });

    it("that come together are one: while a NOTIFY is on its way, a thousand more cost one", async ({ fixture }) => {
      let sent = 0;
      const database = {
        dialect: "postgres",
        query: (...call: Parameters<typeof fixture.database.query>) => {
          sent += 1;
          return fixture.database.query(...call);
        },
      } as const;
      const hint = createHint({ database });
      for (let count = 0; count < 1_000; count += 1) hint.give();
      await hint.settled();
      expect(sent).toBeLessThanOrEqual(2);
    });

    it("of another stream or prefix wake nobody else", async ({ fixture }) => {
      const relay = fixture.start({ hint: true, ...slowPoll });
      await relay.seen("relay.hintListening");
      await relay.seen("relay.batchApplied");
      const other = createHint({ database: fixture.database, stream: "other" });
      await fixture.append(row("k"));
      other.give();
      await other.settled();
      const own = createHint({ database: fixture.database });
      expect(relay.transport.received).toHaveLength(0);
      own.give();
      await relay.hasPublished(1);
    });

    it("that are lost with their connection cost one poll: the relay goes on, listens again, and its session never ended", async ({
      fixture,
    }) => {
      const relay = fixture.start({ hint: true });
      await relay.seen("relay.hintListening");
      const listeners = "from pg_stat_activity where datname = current_database() and application_name like '%relay hint'";
      await fixture.run(`select pg_terminate_backend(pid) ${listeners}`);
      expect(await relay.seen("relay.hintLost")).toMatchObject({ reason: "connectionLost" });
      await fixture.append(row("k"));
      await relay.hasPublished(1); // nobody told it
      await waitUntil(() => relay.eventsOf("relay.hintListening").length === 2, { what: "it listens again" });
      expect(relay.eventsOf("relay.restarting")).toEqual([]);
    });

    it("that can no longer arrive, because their connection is half open, are listened for on another one", async ({ fixture }) => {
      const target = new URL(fixture.url);
      const proxy = await startFaultProxy({ target: { host: target.hostname, port: Number(target.port) } });
      const link = openDatabase({ url: proxy.url(fixture.url) });
      // Everything else of the relay goes straight: what is asked here is not whether its session survives.
      const database = {
        ...fixture.database,
        connect: (request: Parameters<typeof link.connect>[0]) =>
          request.purpose === "relay hint" ? link.connect(request) : fixture.database.connect(request),
      };
      try {
        const relay = fixture.start({ hint: true, database });
        await relay.seen("relay.hintListening");
        proxy.inject({ kind: "blackHole" });
        // Ten seconds by the probe and its deadline; the rest is for a machine that is busy.
        expect(await relay.seen("relay.hintLost", { deadlineMs: 30_000 })).toMatchObject({ reason: "WAYBILL_DEADLINE" });
        proxy.heal();
        await waitUntil(() => relay.eventsOf("relay.hintListening").length === 2, { what: "it listens again" });
        expect(relay.eventsOf("relay.restarting")).toEqual([]);
        await relay.stop();
      } finally {
        await link.close({ deadlineMs: 500 });
        await proxy.stop();
      }
    });

    it("that cannot be given throw nothing and are told", async ({ fixture }) => {
      const told: string[] = [];
      const database = { dialect: "postgres", query: () => Promise.reject(new Error("as the test wants it")) } as const;
      const hint = createHint({ database, onEvent: ({ name }) => told.push(name) });
      hint.give();
      await hint.settled();
      expect(told).toEqual(["outbox.hintLost"]);
      expect(fixture.database.dialect).toBe("postgres");
    });

    it("leave no connection behind when the relay stops", async ({ fixture }) => {
      const relay = fixture.start({ hint: true });
      await relay.seen("relay.hintListening");
      await relay.stop();
      const gone = async (): Promise<boolean> =>
        (await fixture.run("select 1 from pg_stat_activity where datname = current_database() and application_name like '%relay%'"))
          .length === 0;
      await waitUntil(gone, { what: "its connections are closed" });
    });
  }),
);
