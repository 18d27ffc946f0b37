import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { secret } from "@waybill/core";
import {
  barrierMigrations,
  type CheckOptions,
  createHalfMessageService,
  createProducer,
  type DestinationOptions,
  halfMessageMigrations,
  type KeyOptions,
  type Producer,
} from "@waybill/half-message";
import { httpCaller } from "@waybill/http";
import { committedValue, type Database, migrateUp, namespace, openDatabase } from "@waybill/sql";
import { forEachDatabaseInTurn, freePort, memoryTransport, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Configuration } from "../src/configuration.ts";
import { paymentMessages } from "../src/messages.ts";
import { paymentMigrations } from "../src/migrations.ts";
import { type Service, startService } from "../src/service.ts";

const key = "payments-payments-payments-payments";
const other = "others-others-others-others-others-others";
const checkSecret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;

/** What somebody copies: the file of `waybill half-message serve`, here with this test's secrets, address and short times. */
const serviceFile = JSON.parse(readFileSync(new URL("../half-message.json", import.meta.url), "utf8")) as {
  readonly keys: readonly (Omit<KeyOptions, "secret"> & { readonly secret: { readonly env: string } })[];
  readonly producers: { readonly payments: { readonly check: CheckOptions } };
  readonly destinations: { readonly order: Omit<DestinationOptions, "transport"> };
  readonly routes: Readonly<Record<string, readonly string[]>>;
};
const serviceOptions = (paymentUrl: string) => ({
  ...serviceFile,
  keys: serviceFile.keys.map((each) => ({ ...each, secret: secret(each.secret.env === "PAYMENTS_KEY" ? key : other) })),
  producers: {
    payments: {
      check: {
        ...serviceFile.producers.payments.check,
        url: `${paymentUrl}/checks`,
        secret: secret(checkSecret),
        allowPorts: [Number(new URL(paymentUrl).port)],
      },
      pendingDelaysMs: [100],
      unansweredBackoff: { firstMs: 100, maxMs: 500 },
    },
  },
});

await forEachDatabaseInTurn("payment example", (server) =>
  describe(server.name, () => {
    let testbed: TestDatabase;
    let database: Database;
    let configuration: Configuration;
    let service: Service;
    let running: Promise<void>;
    const stop = new AbortController();
    const delivered = memoryTransport();

    beforeAll(async () => {
      testbed = await testDatabase({ server: server.name });
      database = openDatabase({ url: testbed.url, connections: 12 });
      // One database for both, which a test may do: the half-message service asks over HTTP all the same.
      await migrateUp(database, namespace(database.dialect), [halfMessageMigrations, barrierMigrations, paymentMigrations]);
      const port = await freePort();
      configuration = {
        databaseUrl: secret(testbed.url),
        host: "127.0.0.1",
        port: 0,
        topicPrefix: "",
        halfMessages: {
          url: `http://127.0.0.1:${port}`,
          keyId: "payments-1",
          key: secret(key),
          checkSecret: secret(checkSecret),
          checkAfterMs: 100,
        },
      };
      service = await startService(configuration);
      let isListening = false;
      const halfMessages = await createHalfMessageService({
        ...serviceOptions(service.url),
        database,
        http: httpCaller(),
        listen: `127.0.0.1:${port}`,
        admin: null,
        destinations: { order: { ...serviceFile.destinations.order, transport: delivered } },
        durability: "relaxed",
        pollMs: 100,
        onEvent: (event) => {
          isListening ||= event.name === "halfMessage.listening";
        },
      });
      running = halfMessages.run({ signal: stop.signal });
      await waitUntil(() => isListening, { what: "the half-message service listens" });
    });

    afterAll(async () => {
      await service?.close();
      stop.abort();
      await running;
      await database?.close();
      await testbed?.drop();
    });

    const payment = (changes: object = {}) => ({
      paymentId: randomUUID(),
      orderId: randomUUID(),
      customerId: `customer-${randomUUID()}`,
      cents: 500,
      ...changes,
    });

    async function pay(given: object): Promise<number> {
      const answer = await fetch(`${service.url}/payments`, { method: "POST", body: JSON.stringify(given) });
      await answer.arrayBuffer();
      return answer.status;
    }

    const find = async (paymentId: string) => {
      const answer = await fetch(`${service.url}/payments/${paymentId}`);
      return answer.status === 404 ? null : ((await answer.json()) as object);
    };
    const arrived = (id: string) => delivered.received.filter((message) => message.id === id);
    const marks = { postgres: "$1", mysql: "?" } as const;
    const statesOf = async (id: string) => {
      const sql = `select state from waybill_half_message h
                   join waybill_half_message_body b on b.producer = h.producer and b.id = h.id
                   where b.message_id = ${marks[database.dialect]} order by state`;
      return (await database.query(sql, [id])).map((row) => row["state"]);
    };

    test("a payment is there, and its message is delivered", async () => {
      const given = payment();
      expect(await pay(given)).toBe(201);
      expect(await find(given.paymentId)).toEqual(given);
      await waitUntil(() => arrived(given.paymentId).length > 0, { what: "its message arrived" });
      const [message, ...more] = arrived(given.paymentId);
      expect(more).toEqual([]);
      expect(message).toMatchObject({ type: "shop.payment.taken.v1", topic: "payments", key: given.customerId });
      expect(JSON.parse(Buffer.from(message?.payload ?? []).toString())).toEqual(given);
    });

    test("a refused payment leaves no trace, and its message is never delivered", async () => {
      const given = payment({ cents: 200_000_000 });
      expect(await pay(given)).toBe(402);
      expect(await find(given.paymentId)).toBeNull();
      expect(await statesOf(given.paymentId)).toEqual(["rolled_back"]);
      expect(arrived(given.paymentId)).toEqual([]);
    });

    test("paying again changes nothing, also side by side: one half message is committed, the others are rolled back", async () => {
      const given = payment();
      const statuses = await Promise.all(Array.from({ length: 6 }, () => pay(given)));
      expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 200, 200, 200, 200, 201]);
      expect(await pay(given)).toBe(200);
      expect((await statesOf(given.paymentId)).filter((state) => state === "committed")).toHaveLength(1);
      expect(await pay({ ...given, cents: 501 })).toBe(409);
    });

    test("what a dead process has committed and not reported is found out by a check-back; what it only prepared never commits", async () => {
      const mine = openDatabase({ url: testbed.url, connections: 2 });
      const { url, keyId } = configuration.halfMessages;
      // One is asked about only when it has joined, however slow the machine is; the other at once.
      const [producer, hasty] = [5_000, 100].map((checkAfterMs) =>
        createProducer({ producer: "payments", service: { url, key: { id: keyId, secret: key } }, checkAfterMs, database: mine }),
      ) as [Producer, Producer];
      const [taken, prepared] = [payment(), payment()];
      const messages = paymentMessages("");
      // As `send` does it, up to where the process dies.
      const half = await producer.prepare(messages.paymentTaken(taken, { id: taken.paymentId }));
      committedValue("take", await mine.unitOfWork((tx) => half.join(tx), { operation: "take" }));
      const late = await hasty.prepare(messages.paymentTaken(prepared, { id: prepared.paymentId }));
      await waitUntil(async () => (await statesOf(taken.paymentId))[0] === "committed", { what: "the check-back finds the commit" });
      await waitUntil(async () => (await statesOf(prepared.paymentId))[0] === "rolled_back", { what: "the check-back fences the other" });
      await waitUntil(() => arrived(taken.paymentId).length > 0, { what: "it is delivered" });
      const outcome = await mine.unitOfWork((tx) => late.join(tx), { operation: "too late" });
      expect(outcome).toMatchObject({ kind: "rolledBack", error: { code: "WAYBILL_FENCED" } });
      await producer.close();
      await hasty.close();
      await mine.close();
    });

    test("a check that is not signed is refused, a body that is no payment too, and there are no other paths", async () => {
      expect((await fetch(`${service.url}/checks`, { method: "POST", body: "{}" })).status).toBe(401);
      const response = await fetch(`${service.url}/payments`, { method: "POST", body: '{"cents":0}' });
      expect(response.status).toBe(400);
      expect(((await response.json()) as { problems: unknown[] }).problems).toHaveLength(4);
      for (const [path, status] of [
        ["/livez", 200],
        ["/readyz", 200],
        ["/", 404],
        ["/payments/1", 404],
      ] as const) {
        expect((await fetch(service.url + path)).status).toBe(status);
      }
    });

    test("without its tables it does not start and says what to do; without the half-message service it takes nothing", async () => {
      const empty = await testDatabase({ server: server.name });
      try {
        await expect(startService({ ...configuration, databaseUrl: secret(empty.url) })).rejects.toMatchObject({
          code: "WAYBILL_SCHEMA_MISMATCH",
        });
      } finally {
        await empty.drop();
      }
      const alone = await startService({ ...configuration, halfMessages: { ...configuration.halfMessages, url: "http://127.0.0.1:1" } });
      const given = payment();
      const answer = await fetch(`${alone.url}/payments`, { method: "POST", body: JSON.stringify(given) });
      expect(answer.status).toBe(503);
      expect(await find(given.paymentId)).toBeNull();
      await Promise.all([alone.close(), alone.close()]);
    });
  }),
);
