/** What the service has committed against what the producer's database knows. */
import { type HttpCaller, newMessageId, secret, systemClock } from "@waybill/core";
import {
  barrierMigrations,
  createHalfMessageService,
  createProducer,
  createServiceClient,
  halfMessageMigrations,
} from "@waybill/half-message";
import { type Database, migrateUp, namespace, openDatabase } from "@waybill/sql";
import { forEachDatabaseInTurn, memoryTransport, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { waybill } from "./waybill.ts";

const noHttp: HttpCaller = { call: () => Promise.resolve({ kind: "notSent", reason: "none" }) };
const keys = {
  payments: { id: "payments-1", secret: "payments-payments-payments-payments" },
  operator: { id: "operator-1", secret: "operator-operator-operator-operator" },
};

await forEachDatabaseInTurn("cli reconcile", (server) =>
  describe(server.name, () => {
    let place: TestDatabase;
    let database: Database;
    const ports = new Map<string, number>();
    const stop = new AbortController();
    let ran: Promise<void>;

    beforeAll(async () => {
      place = await testDatabase({ server: server.name });
      database = openDatabase({ url: place.url, connections: 10 });
      await migrateUp(database, namespace(server.dialect), [halfMessageMigrations, barrierMigrations]);
      const service = await createHalfMessageService({
        database,
        http: noHttp,
        listen: "127.0.0.1:0",
        admin: "127.0.0.1:0",
        durability: "relaxed",
        keys: [
          {
            id: keys.payments.id,
            secret: secret(keys.payments.secret),
            producer: "payments",
            scopes: ["prepare", "decide", "check", "read"],
          },
          { id: keys.operator.id, secret: secret(keys.operator.secret), scopes: ["operate"] },
        ],
        producers: { payments: { check: { via: "pull" } } },
        destinations: { kafka: { transport: memoryTransport() } },
        routes: { payments: ["kafka"] },
        onEvent: (event) => {
          if (event.name === "halfMessage.listening") ports.set(event.at, event.port);
        },
      });
      ran = service.run({ signal: stop.signal });
      await waitUntil(() => ports.size === 2, { what: "the service listens" });
    });
    afterAll(async () => {
      stop.abort();
      await ran;
      await database.close();
      await place.drop();
    });

    const run = async (): Promise<{ code: number | null; found: { looked: number; unknown: number; unreconciled: unknown[] } }> => {
      const commandLine = ["reconcile", "--producer", "payments", "--service", `http://127.0.0.1:${ports.get("admin")}`, "--json"];
      const { code, stdout, stderr } = await waybill([...commandLine, "--key-id", keys.operator.id], {
        WAYBILL_DATABASE: place.url,
        WAYBILL_KEY_SECRET: keys.operator.secret,
      });
      expect(stderr).toBe("");
      return { code, found: JSON.parse(stdout) };
    };

    test("H43 a delivered half message whose barrier row is absent, though younger than the horizon, is listed; the others are not", async () => {
      const service = { url: `http://127.0.0.1:${ports.get("public")}`, key: keys.payments };
      const producer = createProducer({ producer: "payments", service, database });
      const message = { ownId: null, type: "paid", topic: "payments", key: null, headers: new Map(), payload: "{}" };
      const ids: string[] = [];
      for (let n = 0; n < 5; n++) ids.push((await producer.send(message, async () => undefined)).id);
      const client = createServiceClient({ service, clock: systemClock });
      const body = JSON.stringify({ halfMessage: { barrier: null, messages: [{ type: "paid", topic: "payments", payload: "{}" }] } });
      await client.call({ method: "POST", target: `/v1/producers/payments/half-messages/${newMessageId()}/commit`, body }, 2_000);
      client.close();
      expect(await run()).toEqual({ code: 0, found: { looked: 6, unknown: 1, unreconciled: [] } });

      // A failover that lost two transactions; the fence of one came later.
      const [lost, fenced] = ids as [string, string];
      await database.query(`delete from waybill_barrier where id = '${lost}'`, []);
      await database.query(`update waybill_barrier set fate = 'fenced' where id = '${fenced}'`, []);
      const { code, found } = await run();
      expect(code).toBe(1);
      expect(found.looked).toBe(6);
      expect(found.unreconciled).toHaveLength(2);
      expect(found.unreconciled).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ id: lost, found: "absent", decidedBy: "producer:payments-1" }),
          expect.objectContaining({ id: fenced, found: "fenced" }),
        ]),
      );
      // What the barrier may have forgotten says nothing.
      const now = server.dialect === "postgres" ? "clock_timestamp()" : "utc_timestamp(6)";
      await database.query(`update waybill_barrier_horizon set purged_before = ${now}`, []);
      expect((await run()).found).toMatchObject({ unknown: 2, unreconciled: [{ id: fenced }] });
      await producer.close();
    });
  }),
);
