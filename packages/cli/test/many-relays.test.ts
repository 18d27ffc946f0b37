/** `waybill relay` with several subscriptions of several databases in its file, as an operator runs it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Child, forEachDatabaseInTurn, startFaultProxy, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Destination, emptyTables, insertMessages, migrate, query, startDestination } from "./fixtures.ts";
import { adminUrl, named, startRelay, waybill } from "./waybill.ts";

const deadlineMs = 60_000;
const module = fileURLToPath(new URL("../dist-programs/test/programs/transport-module.js", import.meta.url));

await forEachDatabaseInTurn("many relays", (server) =>
  describe(`waybill relay with several relays on ${server.name}`, { timeout: 240_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "waybill-many-"));
    let [shop, billing]: TestDatabase[] = [];
    const urlOf = (database: TestDatabase | undefined): string => database?.url ?? "";

    beforeAll(async () => {
      [shop, billing] = await Promise.all([testDatabase({ server: server.name }), testDatabase({ server: server.name })]);
      await Promise.all([migrate(urlOf(shop)), migrate(urlOf(billing))]);
    });
    afterEach(() => Promise.all([emptyTables(urlOf(shop)), emptyTables(urlOf(billing))]));
    afterAll(async () => {
      await Promise.all([shop?.drop(), billing?.drop()]);
      rmSync(folder, { recursive: true });
    });

    function fileOf(settings: object): string {
      const path = join(folder, `${Math.round(performance.now() * 1_000)}.json`);
      writeFileSync(path, JSON.stringify(settings));
      return path;
    }

    async function relays(settings: object): Promise<Child> {
      const running = await startRelay(["--config", fileOf(settings)]);
      onTestFinished(async () => {
        running.kill("SIGKILL");
        await running.exited;
      });
      return running;
    }

    async function destination(): Promise<Destination> {
      const started = await startDestination();
      onTestFinished(() => started.close());
      return started;
    }

    const isOf = (name: string, relay: string) => (event: Readonly<Record<string, unknown>>) =>
      named(name)(event) && event["relay"] === relay;
    const seen = (running: Child, name: string, relay: string) =>
      running.waitFor(isOf(name, relay), { deadlineMs, what: `${relay} reports ${name}` });
    const arrived = (to: Destination, count: number) =>
      waitUntil(() => new Set(to.ids).size >= count, { what: `${count} have arrived`, deadlineMs });
    const get = async (url: string): Promise<{ readonly status: number; readonly text: string }> => {
      const answer = await fetch(url, { signal: AbortSignal.timeout(30_000) });
      return { status: answer.status, text: await answer.text() };
    };
    const owners = async (url: string): Promise<readonly unknown[]> =>
      (await query(url, "select owner from waybill_subscription")).map(({ owner }) => owner);

    /** Two subscriptions of one database, and one of another. */
    const three = async (billingUrl: string, more: object = {}, ofBilling: object = {}) => {
      const [all, payments, bills] = [await destination(), await destination(), await destination()];
      const secret = join(folder, "shop-url");
      writeFileSync(secret, `${urlOf(shop)}\n`);
      const relay = { leaseMs: 2_000, statementDeadlineMs: 2_000 };
      const settings = {
        ...more,
        databases: [
          {
            name: "shop",
            database: { file: secret },
            subscriptions: [
              { ...relay, subscription: "all", transport: all.url },
              { ...relay, subscription: "payments", transport: payments.url, onlyTopics: ["pay*"] },
            ],
          },
          { name: "billing", database: billingUrl, subscriptions: [{ ...relay, transport: bills.url, ...ofBilling }] },
        ],
      };
      return { all, payments, bills, settings };
    };
    const names = ["shop/default/all", "shop/default/payments", "billing/default/default"];

    test("each publishes what is its own, says so by name, and one SIGTERM hands all leases over and ends with 0", async () => {
      const { all, payments, bills, settings } = await three(urlOf(billing));
      const running = await relays(settings);
      await Promise.all(names.map((name) => seen(running, "relay.leaseAcquired", name)));
      await insertMessages(urlOf(shop), 5, { topic: "orders" });
      await insertMessages(urlOf(shop), 3, { topic: "payments" });
      await insertMessages(urlOf(billing), 2);
      await Promise.all([arrived(all, 8), arrived(payments, 3), arrived(bills, 2)]);
      const admin = await adminUrl(running);
      const counted = 'waybill_relay_published_total{database="billing",stream="default",subscription="default"} 2';
      const { text } = await waitUntil(
        async () => {
          const metrics = await get(`${admin}/metrics`);
          return metrics.text.includes(counted) && /^waybill_ledger_bytes\{database="shop"/m.test(metrics.text) ? metrics : null;
        },
        { what: "it is counted", deadlineMs },
      );
      // A family stands in one place, a ledger in one sample, and no URL anywhere.
      expect(text.match(/^# TYPE waybill_relay_published_total /gm)).toHaveLength(1);
      expect(text.match(/^waybill_relay_published_total\{/gm)).toHaveLength(3);
      expect(text.match(/^waybill_ledger_bytes\{database="shop"/gm)).toHaveLength(1);
      const ready = await waitUntil(
        async () => {
          const answer = await get(`${admin}/readyz`);
          return answer.status === 200 ? answer : null;
        },
        { what: "it is ready", deadlineMs },
      );
      expect(JSON.parse(ready.text)).toEqual({
        ready: true,
        reasons: [],
        relays: names.map((name) => ({ name, ready: true, state: "active", reasons: [] })),
      });
      running.kill("SIGTERM");
      expect(await running.exited).toEqual({ code: 0, signal: null });
      expect(await owners(urlOf(shop))).toEqual([null, null]);
      expect(await owners(urlOf(billing))).toEqual([null]);
      const everything = JSON.stringify(running.events) + running.output() + text;
      expect(everything).toContain('"databases[0].database","value":"[redacted]"');
      for (const { name } of [shop, billing] as TestDatabase[]) expect(everything).not.toContain(name);
    });

    test("one whose database hangs makes the process not ready by name; the others publish, and hand over at the stop", async () => {
      const { hostname, port } = new URL(urlOf(billing));
      const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      onTestFinished(() => proxy.stop());
      const { all, payments, settings } = await three(proxy.url(urlOf(billing)), { drainDeadlineMs: 20_000 });
      const running = await relays(settings);
      await Promise.all(names.map((name) => seen(running, "relay.leaseAcquired", name)));
      proxy.inject({ kind: "blackHole" });
      await seen(running, "relay.restarting", "billing/default/default");
      await insertMessages(urlOf(shop), 4, { topic: "payments" });
      await Promise.all([arrived(all, 4), arrived(payments, 4)]);
      const admin = await adminUrl(running);
      const answer = await get(`${admin}/readyz`);
      expect(answer.status).toBe(503);
      expect(answer.text).toContain("billing/default/default: failing");
      expect(answer.text).toContain('{"name":"shop/default/all","ready":true,"state":"active","reasons":[]}');
      expect(await get(`${admin}/livez`)).toMatchObject({ status: 200 });
      expect((await get(`${admin}/metrics`)).text).toContain(
        'waybill_relay_ready{database="billing",stream="default",subscription="default"} 0',
      );
      running.kill("SIGTERM");
      await seen(running, "relay.leaseReleased", "shop/default/all");
      await seen(running, "relay.leaseReleased", "shop/default/payments");
      expect(await owners(urlOf(shop))).toEqual([null, null]);
      expect(await running.exited).toEqual({ code: 0, signal: null });
      expect(running.events.some(isOf("relay.leaseLost", "shop/default/all"))).toBe(false);
    });

    test("SIGTERM while a database hangs: the others are closed meanwhile, and it is given up long before its deadlines, with 0", async () => {
      const { hostname, port } = new URL(urlOf(billing));
      const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      onTestFinished(() => proxy.stop());
      const hanging = { leaseMs: 120_000, statementDeadlineMs: 120_000 };
      const { settings } = await three(proxy.url(urlOf(billing)), { drainDeadlineMs: 40_000 }, hanging);
      const running = await relays(settings);
      await Promise.all(names.map((name) => seen(running, "relay.leaseAcquired", name)));
      const fault = proxy.inject({ kind: "blackHole" });
      await fault.hasFired(1, deadlineMs);
      running.kill("SIGTERM");
      expect(await running.exited).toEqual({ code: 0, signal: null });
      expect(await owners(urlOf(shop))).toEqual([null, null]);
      expect(await owners(urlOf(billing))).not.toContain(null);
    });

    test("killed with -9, another process with the same file takes all of them over", async () => {
      const { all, payments, bills, settings } = await three(urlOf(billing));
      const first = await relays(settings);
      await Promise.all(names.map((name) => seen(first, "relay.leaseAcquired", name)));
      const second = await relays(settings);
      await Promise.all(names.map((name) => seen(second, "relay.standby", name)));
      expect(await get(`${await adminUrl(second)}/readyz`)).toMatchObject({ status: 200 });
      first.kill("SIGKILL");
      await first.exited;
      await Promise.all(names.map((name) => seen(second, "relay.leaseAcquired", name)));
      await insertMessages(urlOf(shop), 2, { topic: "payments" });
      await insertMessages(urlOf(billing), 2);
      await Promise.all([arrived(all, 2), arrived(payments, 2), arrived(bills, 2)]);
    });

    test("one that is refused at its start is told of, and is begun anew until its tables are there; when all are, it ends with 3", async () => {
      const bare = await testDatabase({ server: server.name });
      onTestFinished(() => bare.drop());
      const { all, bills, settings } = await three(bare.url);
      const running = await relays(settings);
      const refused = await seen(running, "relays.relayEnded", "billing/default/default");
      expect(refused).toMatchObject({ code: "WAYBILL_SCHEMA_MISMATCH", message: expect.stringContaining("waybill migrate up") });
      await seen(running, "relay.leaseAcquired", "shop/default/all");
      expect((await get(`${await adminUrl(running)}/readyz`)).text).toContain(
        "billing/default/default: ended with WAYBILL_SCHEMA_MISMATCH",
      );
      await insertMessages(urlOf(shop), 1);
      await arrived(all, 1);
      await migrate(bare.url);
      await insertMessages(bare.url, 1);
      await arrived(bills, 1);

      const empty = await testDatabase({ server: server.name });
      onTestFinished(() => empty.drop());
      const [, ofBilling] = settings.databases;
      // Nor does a transport that does not close keep the process from telling.
      const stuck = { transport: module, transportOptions: { behaviour: "never close" } };
      const nowhere = await relays({ drainDeadlineMs: 500, databases: [{ ...ofBilling, database: empty.url, subscriptions: [stuck] }] });
      expect(await nowhere.exited).toMatchObject({ code: 3 });
      expect(nowhere.events.find(named("cli.failed"))).toMatchObject({ code: "WAYBILL_SCHEMA_MISMATCH" });
    });

    test("what is wrong with its file is said with places, before anything starts, with 2", async () => {
      const { settings } = await three(urlOf(billing));
      const [ofShop, ofBilling] = settings.databases;
      const wrong = {
        totalLoadedMax: 100,
        databases: [
          {
            ...ofShop,
            subscriptions: [{ transport: "carrier-pigeon://canary@loft" }, { subscription: "a.b", transport: "x" }],
          },
          { ...ofBilling, name: "shop", database: "oracle://u:canary@h/d" },
          { ...ofBilling, subscriptions: [{ transport: "https://receiver.example/" }, { subscription: "bare", leese: 1, leaseMs: 1 }] },
        ],
      };
      const ran = await waybill(["relay", "--config", fileOf(wrong)], { WAYBILL_TRANSPORT: "https://canary@h/" });
      expect(ran).toMatchObject({ code: 2, stdout: "" });
      for (const part of [
        "WAYBILL_TRANSPORT: is for one relay",
        "totalLoadedMax in ",
        "databases[0].subscriptions[0].transport in ",
        "there is no transport for carrier-pigeon://",
        "databases[0].subscriptions[1].subscription in ",
        "databases[2].subscriptions[1].leaseMs in ",
        "databases[1].name in ",
        "databases[1].database in ",
        "databases[2].subscriptions[0].signingSecrets in ",
        "databases[2].subscriptions[1].leese in ",
        "databases[2].subscriptions[1].transport in ",
      ])
        expect(ran.stderr).toContain(part);
      expect(ran.stderr).not.toContain("canary");
    });

    test("doctor looks at all of them, and finds one subscription behind two addresses", async () => {
      const { hostname, port } = new URL(urlOf(shop));
      const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      onTestFinished(() => proxy.stop());
      const { settings } = await three(urlOf(billing));
      const [ofShop, ofBilling] = settings.databases;
      const nobody = "postgres://nobody@127.0.0.1:1/nothing";
      const both = {
        databases: [
          ofShop,
          { ...ofShop, name: "again", database: proxy.url(urlOf(shop)) },
          { ...ofBilling, subscriptions: [{ ...ofBilling?.subscriptions[0], stream: "missing" }] },
          { ...ofBilling, name: "away", database: nobody },
        ],
      };
      const ran = await waybill(["doctor", "--json", "--config", fileOf(both)]);
      expect(ran.code).toBe(1);
      const { findings, configuration } = JSON.parse(ran.stdout) as {
        readonly findings: readonly { readonly level: string; readonly subject: string; readonly rule: string }[];
        readonly configuration: readonly { readonly name: string; readonly value: string }[];
      };
      const found = findings.filter(({ level }) => level !== "ok").map(({ level, subject, rule }) => `${level} ${subject} ${rule}`);
      expect(found).toEqual(
        expect.arrayContaining([
          "warned again/default/all once",
          "warned again/default/payments once",
          "refused billing/missing/default ledger missing exists",
          "refused away database reachable",
        ]),
      );
      expect(findings.map(({ level, subject, rule }) => `${level} ${subject} ${rule}`)).toContain("ok shop ledger default facts");
      expect(configuration).toContainEqual({ name: "databases[3].database", value: "[redacted]", source: "file" });
      expect(ran.stdout + ran.stderr).not.toContain("nobody");
    });
  }),
);
