import { rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@waybill/core";
import { createServiceClient, halfMessageMigrations } from "@waybill/half-message";
import { migrateUp, namespace, openDatabase } from "@waybill/sql";
import { forEachDatabaseInTurn, type TestDatabase, testDatabase } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { named, startWaybill, waybill } from "./waybill.ts";

const producerSecret = "payments-payments-payments-payments";

await forEachDatabaseInTurn("cli half-message-serve", (server) =>
  describe(`waybill half-message serve on ${server.name}`, () => {
    let place: TestDatabase;
    let folder: string;
    const file = (values: object): string => {
      const path = join(folder, "half-message.json");
      writeFileSync(path, JSON.stringify(values));
      return path;
    };

    beforeAll(async () => {
      place = await testDatabase({ server: server.name });
      const database = openDatabase({ url: place.url });
      await migrateUp(database, namespace(database.dialect), [halfMessageMigrations]);
      await database.close();
      folder = await mkdtemp(join(tmpdir(), "waybill-serve-"));
    });
    afterAll(async () => {
      rmSync(folder, { recursive: true });
      await place.drop();
    });

    test("a flag wins over the environment, that over the file, and that over the default", async () => {
      const path = file({
        database: "postgres://nobody@127.0.0.1:1/nowhere",
        listen: "127.0.0.1:1",
        maxMessages: 50,
        maxPayloadBytes: 1_000,
        producers: { payments: { check: { via: "pull" } } },
        routes: { payments: ["nowhere"] },
        durability: "relaxed",
      });
      const keys = [{ id: "payments-1", secret: { env: "PAYMENTS_KEY" }, producer: "payments", scopes: ["prepare"] }];
      const child = await startWaybill(
        ["half-message", "serve", "--config", path, "--listen", "127.0.0.1:0", "--max-messages", "2", "--routes", '{"payments":["hooks"]}'],
        {
          WAYBILL_DATABASE: place.url,
          WAYBILL_ADMIN: "off",
          WAYBILL_MAX_MESSAGES: "1",
          WAYBILL_KEYS: JSON.stringify(keys),
          WAYBILL_DESTINATIONS: '{"hooks":"http://127.0.0.1:9/hooks"}',
          PAYMENTS_KEY: producerSecret,
        },
      );
      const { port } = await child.waitFor(named("halfMessage.listening"), { what: "it listens", deadlineMs: 60_000 });
      const client = createServiceClient({
        service: { url: `http://127.0.0.1:${String(port)}`, key: { id: "payments-1", secret: producerSecret } },
        clock: systemClock,
      });
      const prepare = (count: number, payload: string) => {
        const messages = Array.from({ length: count }, (_, nth) => ({ id: `m${nth}`, type: "shop.taken.v1", topic: "payments", payload }));
        const target = `/v1/producers/payments/half-messages/of-${count}-${payload.length}`;
        return client.call({ method: "PUT", target, body: JSON.stringify({ messages }) }, 10_000);
      };
      expect(await prepare(2, "x")).toMatchObject({ status: 201 });
      expect(await prepare(3, "x")).toMatchObject({ status: 422 });
      expect(await prepare(1, "x".repeat(1_001))).toMatchObject({ status: 422 });
      client.close();
      child.kill("SIGTERM");
      expect(await child.exited).toMatchObject({ code: 0 });
      expect(child.events.filter(named("halfMessage.listening"))).toHaveLength(1);
      const configured = child.events.find(named("cli.configured"));
      expect(configured?.["settings"]).toEqual(
        expect.arrayContaining([
          { name: "maxMessages", value: "2", source: "flag" },
          { name: "admin", value: "off", source: "environment" },
          { name: "keys", value: "[redacted]", source: "environment" },
        ]),
      );
    });

    test("what is wrong is told at once, each with where it was given", async () => {
      const path = file({ database: place.url, leaseMs: 1, producers: { payments: { checkAfterMs: 1 } }, insecureDev: true });
      const ran = await waybill(["half-message", "serve", "--config", path, "--poll-ms", "1"], {
        WAYBILL_MAX_BODY_BYTES: "1",
        WAYBILL_ROUTES: '{"payments":["canary"]}',
      });
      expect(ran.code).toBe(2);
      for (const place of [
        "--poll-ms: must be",
        "WAYBILL_MAX_BODY_BYTES: must be",
        `leaseMs in ${path}`,
        `producers.payments.checkAfterMs in ${path}`,
        "WAYBILL_ROUTES.payments",
      ])
        expect(ran.stderr).toContain(place);
    });

    test.each(["/etc/waybill/tls.pem", null, { cert: "PEM" }])("with tls that is %j it serves nobody", async (tls) => {
      const path = file({ database: place.url, listen: "127.0.0.1:0", admin: null, insecureDev: true, durability: "relaxed", tls });
      const ran = await waybill(["half-message", "serve", "--config", path]);
      expect(ran).toMatchObject({ code: 2, stderr: expect.stringContaining(`tls in ${path}: must be an object with cert and key`) });
    });
  }),
);
