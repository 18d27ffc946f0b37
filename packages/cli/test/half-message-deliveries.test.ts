import { secret, systemClock } from "@waybill/core";
import { createHalfMessageService, createServiceClient, halfMessageMigrations, type ServiceClient } from "@waybill/half-message";
import { type Database, migrateUp, namespace, openDatabase } from "@waybill/sql";
import { forEachDatabaseInTurn, memoryTransport, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { waybill } from "./waybill.ts";

const producerSecret = "payments-payments-payments-payments";
const operatorSecret = "operator-operator-operator-operator";

await forEachDatabaseInTurn("cli half-message-deliveries", (server) =>
  describe(`waybill and dead deliveries of half messages on ${server.name}`, () => {
    let place: TestDatabase;
    let database: Database;
    let environment: Record<string, string>;
    const transport = memoryTransport();
    const stop = new AbortController();
    let running: Promise<void>;
    let client: ServiceClient;
    /** Commits a message that the transport refuses; answers the id of its delivery once that is dead. */
    const commit = async (id: string): Promise<string> => {
      const halfMessage = { messages: [{ type: "shop.payment.taken.v1", topic: "payments", payload: '"secret of the payload"' }] };
      const target = `/v1/producers/payments/half-messages/${id}`;
      await client.call({ method: "POST", target: `${target}/commit`, body: JSON.stringify({ halfMessage }) }, 5_000);
      const deliveries = async (): Promise<readonly { readonly deliveryId: string; readonly state: string }[]> => {
        const shown = await client.call({ method: "GET", target, body: null }, 5_000);
        return shown.kind === "answered" ? (shown.body as { deliveries: [] }).deliveries : [];
      };
      await waitUntil(async () => (await deliveries())[0]?.state === "dead", { what: "it is dead" });
      return (await deliveries())[0]?.deliveryId ?? "";
    };

    beforeAll(async () => {
      place = await testDatabase({ server: server.name });
      database = openDatabase({ url: place.url, connections: 10 });
      await migrateUp(database, namespace(database.dialect), [halfMessageMigrations]);
      const ports: Record<string, number> = {};
      const service = await createHalfMessageService({
        database,
        http: { call: () => Promise.resolve({ kind: "notSent", reason: "none" }) },
        listen: "127.0.0.1:0",
        admin: "127.0.0.1:0",
        keys: [
          { id: "payments-1", secret: secret(producerSecret), producer: "payments", scopes: ["prepare", "decide", "read"] },
          { id: "operator-1", secret: secret(operatorSecret), scopes: ["operate", "register"] },
        ],
        producers: { payments: { check: { via: "pull" } } },
        destinations: { kafka: { transport } },
        routes: { payments: ["kafka"] },
        receiverMasterSecret: secret("a-master-secret-of-at-least-32-bytes"),
        durability: "relaxed",
        pollMs: 50,
        onEvent: (event) => {
          if (event.name === "halfMessage.listening") ports[event.at] = event.port;
        },
      });
      running = service.run({ signal: stop.signal });
      await waitUntil(() => ports.public !== undefined && ports.admin !== undefined, { what: "it listens" });
      environment = {
        WAYBILL_SERVICE: `http://127.0.0.1:${ports.admin}`,
        WAYBILL_KEY_ID: "operator-1",
        WAYBILL_KEY_SECRET: operatorSecret,
      };
      transport.inject({ kind: "reject", times: 2 });
      client = createServiceClient({
        service: { url: `http://127.0.0.1:${ports.public}`, key: { id: "payments-1", secret: producerSecret } },
        clock: systemClock,
      });
      for (const id of ["one", "two"]) await commit(id);
    });
    afterAll(async () => {
      client.close();
      stop.abort();
      await running;
      await database.close();
      await place.drop();
    });

    test("they are listed, counted and put back on their way, by either command", async () => {
      const listed = await waybill(["dead-letter", "list", "--json", "--destination", "kafka"], environment);
      expect(listed.stderr).toBe("");
      expect(JSON.parse(listed.stdout)).toMatchObject({
        deadLetters: [{ messageId: "one", deadReason: "rejected" }, { messageId: "two" }],
        isCut: false,
      });
      expect((await waybill(["dead-letter", "list", "--destination", "billing"], environment)).stdout).toBe("None.\n");
      const counted = await waybill(["half-message", "redrive", "--destination", "kafka", "--why", "fixed", "--dry-run"], environment);
      expect(counted).toMatchObject({ code: 0, stdout: "2 deliveries would be put back on their way.\n" });
      const unsure = await waybill(["half-message", "redrive", "--destination", "kafka", "--why", "fixed"], environment);
      expect(unsure.code).toBe(2);
      const one = await waybill(
        ["dead-letter", "redrive", "--destination", "kafka", "--limit", "1", "--why", "fixed", "--yes"],
        environment,
      );
      expect(one).toMatchObject({ code: 0, stdout: "1 deliveries put back on their way.\n" });
      const other = await waybill(["half-message", "redrive", "--destination", "kafka", "--why", "fixed", "--yes", "--json"], environment);
      expect(JSON.parse(other.stdout)).toEqual({ deliveries: 1, dryRun: false });
      await waitUntil(() => transport.received.length === 2, { what: "both arrived" });
    });

    test("one is shown with its attempts and put back on its way by its id, and what is given up for good is discarded, with who and why in the log", async () => {
      const before = transport.received.length;
      transport.inject({ kind: "reject", times: 2 });
      const [again, closed] = [await commit("again"), await commit("closed")];
      const seen = JSON.parse((await waybill(["dead-letter", "show", "--delivery", again], environment)).stdout) as object;
      expect(seen).toMatchObject({
        deliveryId: again,
        halfMessageId: "again",
        state: "dead",
        attemptLog: [{ attempt: 1, outcome: "rejected" }],
      });
      expect(JSON.stringify(seen)).not.toContain("secret of the payload");
      const named = ["--why", "the order is gone", "--yes", "--delivery"];
      expect(await waybill(["dead-letter", "redrive", ...named, again], environment)).toMatchObject({
        code: 0,
        stdout: "1 deliveries put back on their way.\n",
      });
      await waitUntil(() => transport.received.length === before + 1, { what: "it arrived" });
      const counted = await waybill(["dead-letter", "discard", "--destination", "kafka", "--why", "w", "--dry-run"], environment);
      expect(counted).toMatchObject({ code: 0, stdout: "1 deliveries would be discarded.\n" });
      expect(await waybill(["dead-letter", "discard", ...named, closed], environment)).toMatchObject({
        stdout: "1 deliveries discarded.\n",
      });
      // What is not dead is left as it is.
      expect(await waybill(["dead-letter", "discard", ...named, again], environment)).toMatchObject({
        stdout: "0 deliveries discarded.\n",
      });
      const entries = await database.query("select actor, reason from waybill_decision_log where event = 'force_acked'", []);
      expect(entries).toEqual([{ actor: "operator:operator-1", reason: "the order is gone" }]);
    });

    test("receivers are listed without their secrets", async () => {
      expect((await waybill(["half-message", "receivers"], environment)).stdout).toBe("None.\n");
      await database.query(
        `insert into waybill_receiver (receiver, url, secret, schedule, success, state, updated_by)
         values ('merchant', 'https://merchant.example/hooks?token=t', '{"derived":1}', '"doubling"', 'null', 'active', 'x')`,
        [],
      );
      const { code, stdout } = await waybill(["half-message", "receivers"], environment);
      expect(code).toBe(0);
      expect(stdout).toMatch(/merchant +https:\/\/merchant\.example +active +- +- +doubling/);
      expect(stdout).not.toContain("token");
      const refused = await waybill(["half-message", "receivers"], { ...environment, WAYBILL_KEY_SECRET: producerSecret });
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("unauthenticated") });
    });
  }),
);
