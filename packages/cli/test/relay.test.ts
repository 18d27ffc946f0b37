import { fileURLToPath } from "node:url";
import { type Child, forEachDatabaseInTurn, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Destination, emptyTables, insertMessages, isMysql, migrate, query, startDestination } from "./fixtures.ts";
import { adminUrl, named, startRelay, waybill } from "./waybill.ts";

const module = fileURLToPath(new URL("../dist-programs/test/programs/transport-module.js", import.meta.url));

await forEachDatabaseInTurn("cli relay", (server) =>
  describe(`waybill relay on ${server.name}`, () => {
    let database: TestDatabase;
    let environment: Record<string, string>;
    const relays: Child[] = [];
    const destinations: Destination[] = [];

    beforeAll(async () => {
      database = await testDatabase({ server: server.name });
      environment = { WAYBILL_DATABASE: database.url };
      await migrate(database.url);
    });
    afterEach(async () => {
      for (const relay of relays.splice(0)) {
        relay.kill();
        await relay.exited;
      }
      for (const destination of destinations.splice(0)) await destination.close();
      await emptyTables(database.url);
    });
    afterAll(() => database.drop());

    async function relay(commandLine: readonly string[], given: Readonly<Record<string, string>> = {}): Promise<Child> {
      const started = await startRelay(commandLine, { ...environment, ...given });
      relays.push(started);
      return started;
    }

    async function destination(): Promise<Destination> {
      const started = await startDestination();
      destinations.push(started);
      return started;
    }

    async function get(url: string): Promise<{ readonly status: number; readonly text: string; readonly type: string | null }> {
      const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) });
      return { status: answer.status, text: await answer.text(), type: answer.headers.get("content-type") };
    }

    test("messages that are committed arrive, and SIGTERM ends it with 0, everything saved and handed over", async () => {
      const to = await destination();
      const running = await relay(["--transport", to.url]);
      await running.waitFor(named("relay.leaseAcquired"));
      const ids = await insertMessages(database.url, 200);
      await waitUntil(() => new Set(to.ids).size === 200, { what: "all have arrived", deadlineMs: 20_000 });
      const from = performance.now();
      running.kill("SIGTERM");
      expect(await running.exited).toEqual({ code: 0, signal: null });
      expect(performance.now() - from).toBeLessThan(5_000);
      expect(new Set(to.ids)).toEqual(new Set(ids));
      expect(running.events.at(-1)).toMatchObject({ name: "cli.stopped", exitCode: 0 });
      const [row] = await query(database.url, "select * from waybill_subscription");
      expect(row).toMatchObject({ owner: null, ...(isMysql(database.url) ? { holes: "[]" } : { hole_lo: [] }) });
    });

    test("signing secrets come from a file, sign what is sent, and are shown nowhere", async () => {
      const to = await destination();
      const secret = `whsec_${Buffer.from("canary-canary-canary-canary").toString("base64")}`;
      const running = await relay(["--transport", to.url, "--log-level", "debug", "--signing-secrets", secret]);
      await insertMessages(database.url, 3);
      await waitUntil(() => to.ids.length >= 3, { what: "they have arrived", deadlineMs: 20_000 });
      expect(to.headers[0]).toHaveProperty("webhook-signature");
      running.kill("SIGTERM");
      await running.exited;
      const everything = JSON.stringify(running.events) + running.output();
      expect(everything).toContain("[redacted]");
      expect(everything).not.toContain(secret.slice(6));
      expect(everything).not.toContain(database.url);
    });

    test("a second relay stands by, is ready, and goes on when the first is told to stop", async () => {
      const to = await destination();
      // A lease that nobody waits out: it is handed over.
      const holding = ["--transport", to.url, "--lease-ms", "600000"];
      const first = await relay(holding);
      await first.waitFor(named("relay.leaseAcquired"));
      const second = await relay(holding);
      await second.waitFor(named("relay.standby"));
      expect(await get(`${await adminUrl(second)}/readyz`)).toMatchObject({ status: 200, text: expect.stringContaining('"standby"') });
      first.kill("SIGTERM");
      await first.exited;
      await second.waitFor(named("relay.leaseAcquired"));
      await insertMessages(database.url, 5);
      await waitUntil(() => to.ids.length >= 5, { what: "they have arrived", deadlineMs: 20_000 });
    });

    test("the admin server tells life, readiness and figures", async () => {
      const to = await destination();
      const running = await relay(["--transport", to.url]);
      await running.waitFor(named("relay.leaseAcquired"));
      const admin = await adminUrl(running);
      await insertMessages(database.url, 20);
      await waitUntil(
        async () =>
          (await get(`${admin}/metrics`)).text.includes('waybill_relay_published_total{stream="default",subscription="default"} 20'),
        {
          what: "20 are counted as published",
          deadlineMs: 20_000,
          intervalMs: 100,
        },
      );
      const metrics = await get(`${admin}/metrics`);
      expect(metrics.type).toBe("text/plain; version=0.0.4; charset=utf-8");
      expect(metrics.text).toMatch(/^waybill_relay_state\{stream="default",subscription="default",state="active"\} 1$/m);
      expect(metrics.text).toMatch(/^waybill_relay_backlog_ids\{[^}]*\} \d+$/m);
      expect(metrics.text).toMatch(/^waybill_relay_commit_to_publish_seconds_bucket\{[^}]*le="5"\} 20$/m);
      expect(await get(`${admin}/livez`)).toMatchObject({ status: 200 });
      expect(await get(`${admin}/readyz`)).toMatchObject({ status: 200, text: '{"ready":true,"state":"active","reasons":[]}\n' });
      expect(await get(`${admin}/nowhere`)).toMatchObject({ status: 404 });
      expect((await fetch(`${admin}/metrics`, { method: "POST" })).status).toBe(405);
    });

    test("a relay whose messages do not move is alive and not ready, and names the topic", async () => {
      const to = await destination();
      to.answer = (response) => response.writeHead(404).end();
      const running = await relay(["--transport", to.url, "--ready-max-age-ms", "200"]);
      const admin = await adminUrl(running);
      await insertMessages(database.url, 1, { topic: "nobodys" });
      const notReady = await waitUntil(
        async () => {
          const answer = await get(`${admin}/readyz`);
          return answer.status === 503 && answer.text.includes("nobodys") ? answer : null;
        },
        { what: "it is not ready", deadlineMs: 20_000, intervalMs: 50 },
      );
      expect(notReady.text).toContain("ms old");
      expect(await get(`${admin}/livez`)).toMatchObject({ status: 200 });
      to.answer = (response) => response.end();
      await waitUntil(async () => (await get(`${admin}/readyz`)).status === 200, {
        what: "it is ready again",
        deadlineMs: 20_000,
        intervalMs: 50,
      });
    });

    test("a module of one's own makes the transport from its options", async () => {
      const running = await relay(["--transport", module, "--transport-options", '{"behaviour":"confirm"}']);
      await running.waitFor((event) => event["topic"] === "told by the module");
      await insertMessages(database.url, 10);
      const admin = await adminUrl(running);
      await waitUntil(
        async () => (await get(`${admin}/metrics`)).text.includes('published_total{stream="default",subscription="default"} 10'),
        {
          what: "10 are published",
          deadlineMs: 20_000,
          intervalMs: 100,
        },
      );
      running.kill("SIGINT");
      expect(await running.exited).toEqual({ code: 0, signal: null });
    });

    test("a second signal ends it at once with 1", async () => {
      const running = await relay([
        "--transport",
        module,
        "--transport-options",
        '{"behaviour":"hang"}',
        "--drain-ms",
        "60000",
        "--drain-deadline-ms",
        "60000",
        "--log-level",
        "debug",
      ]);
      await running.waitFor(named("relay.leaseAcquired"));
      await insertMessages(database.url, 1);
      await running.waitFor(named("relay.publishing"), { deadlineMs: 20_000 });
      running.kill("SIGTERM");
      await running.waitFor(named("relay.draining"));
      const from = performance.now();
      running.kill("SIGTERM");
      expect(await running.exited).toEqual({ code: 1, signal: null });
      expect(performance.now() - from).toBeLessThan(2_000);
    });

    test("what does not close by the drain deadline is left, with 1 and its name", async () => {
      const running = await relay([
        "--transport",
        module,
        "--transport-options",
        '{"behaviour":"never close"}',
        "--drain-deadline-ms",
        "1000",
      ]);
      await running.waitFor(named("relay.leaseAcquired"));
      running.kill("SIGTERM");
      expect(await running.exited).toEqual({ code: 1, signal: null });
      expect(running.events.find(named("cli.drainDeadlinePassed"))).toMatchObject({ waitingFor: "the transport" });
    });

    test("settings come from flags, environment and file, in this order", async () => {
      const to = await destination();
      const running = await relay(["--transport", to.url, "--lease-ms", "2000"], { WAYBILL_LEASE_MS: "3000", WAYBILL_BATCH_MAX: "7" });
      const { settings } = (await running.waitFor(named("cli.configured"))) as unknown as {
        settings: { name: string; value: string; source: string }[];
      };
      expect(settings).toContainEqual({ name: "leaseMs", value: "2000", source: "flag" });
      expect(settings).toContainEqual({ name: "batchMax", value: "7", source: "environment" });
      expect(settings).toContainEqual({ name: "database", value: "[redacted]", source: "environment" });
    });

    describe("what is wrong is said before anything starts", () => {
      test("all of it at once, with 2, and no secret in it", async () => {
        const ran = await waybill(
          [
            "relay",
            "--transport",
            "https://user:canary1@receiver.example/",
            "--lease-ms",
            "abc",
            "--batch-max",
            "0",
            "--hole-fence-after-ms",
            "1",
            "--retention-ms",
            "1",
            "--admin",
            "here",
            "--schema",
            "a.b",
            "--key-policy",
            "drop",
          ],
          { WAYBILL_DATABASE: "oracle://u:canary2@h/d", WAYBILL_SIGNING_SECRETS: "canary3", WAYBILL_STREAM: "a", WAYBILL_STREAM_FILE: "b" },
        );
        expect(ran.code).toBe(2);
        expect(ran.stdout).toBe("");
        for (const part of [
          "--lease-ms: must be",
          "--batch-max: ",
          "--hole-fence-after-ms: a whole number from 10",
          "--retention-ms: a whole number from 3600000",
          "--admin: must be",
          "--schema: must be",
          "--key-policy: must be hold or skip or stop",
          "WAYBILL_DATABASE: must be a URL that begins with postgres://",
          "WAYBILL_SIGNING_SECRETS: ",
          "WAYBILL_STREAM: is given twice",
        ]) {
          expect(ran.stderr).toContain(part);
        }
        expect(ran.stderr).not.toContain("canary");
      });

      test.each<[string, string[], string]>([
        ["a scheme that nobody serves", ["--transport", "carrier-pigeon://loft"], "there is no transport for carrier-pigeon://"],
        ["a module that is not there", ["--transport", "./nowhere.js"], "the module cannot be loaded"],
        ["a module without a default export", ["--transport", "node_modules/commander/package.json"], "cannot be loaded"],
        [
          "a module that fails",
          ["--transport", module, "--transport-options", '{"behaviour":"fail to start","canary":"canary4"}'],
          "the module's default export failed: Error",
        ],
        [
          "a module that makes no transport",
          ["--transport", module, "--transport-options", '{"behaviour":"be no transport"}'],
          "it has no publish and close",
        ],
      ])("%s is WAYBILL_TRANSPORT_UNKNOWN, with 2", async (_what, commandLine, problem) => {
        const ran = await waybill(["relay", ...commandLine], environment);
        expect(ran).toMatchObject({ code: 2, stdout: "" });
        expect(ran.stderr).toContain("(WAYBILL_TRANSPORT_UNKNOWN)");
        expect(ran.stderr).toContain(problem);
        expect(ran.stderr).not.toContain("canary");
      });

      test("no database and no transport, options of the other transport, and an unsigned destination elsewhere", async () => {
        const nothing = await waybill(["relay"], {});
        expect(nothing.code).toBe(2);
        expect(nothing.stderr).toContain("--database: is needed");
        expect(nothing.stderr).toContain("--transport: is needed");
        const mixed = await waybill(["relay", "--transport", module, "--http-concurrency", "3"], environment);
        expect(mixed).toMatchObject({ code: 2, stderr: expect.stringContaining("--http-concurrency: is for an HTTP transport") });
        const unsigned = await waybill(["relay", "--transport", "https://receiver.example/"], environment);
        expect(unsigned).toMatchObject({ code: 2, stderr: expect.stringContaining("--signing-secrets: give a signing secret") });
      });

      test("an option that there is not, and an argument too many, with 2", async () => {
        expect((await waybill(["relay", "--leese-ms", "1"], environment)).code).toBe(2);
        expect((await waybill(["relay", "more"], environment)).code).toBe(2);
        expect((await waybill(["dance"], environment)).code).toBe(2);
        expect((await waybill([], environment)).code).toBe(2);
        expect((await waybill(["relay", "--help"], environment)).code).toBe(0);
      });

      test("a port that is taken, with 2", async () => {
        const to = await destination();
        const taken = new URL(to.url).host;
        const running = await relay(["--transport", to.url, "--admin", taken]);
        expect(await running.exited).toMatchObject({ code: 2 });
        expect(running.events.find(named("cli.failed"))).toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
      });
    });

    test("a database without the tables ends it with 3", async () => {
      const empty = await testDatabase({ server: server.name });
      try {
        const running = await relay(["--transport", module], { WAYBILL_DATABASE: empty.url });
        expect(await running.exited).toMatchObject({ code: 3 });
        expect(running.events.find(named("cli.failed"))).toMatchObject({
          code: "WAYBILL_SCHEMA_MISMATCH",
          message: expect.stringContaining("waybill migrate up"),
        });
      } finally {
        await empty.drop();
      }
    });

    test("without an admin server it runs, too", async () => {
      const to = await destination();
      const running = await relay(["--transport", to.url, "--admin", "off"]);
      await running.waitFor(named("relay.leaseAcquired"));
      expect(running.events.some(named("cli.adminListening"))).toBe(false);
    });
  }),
);
