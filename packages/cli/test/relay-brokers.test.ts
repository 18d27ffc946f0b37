/** The relay's process over Kafka and RabbitMQ. */
import { createServer as createTcpServer, type Socket } from "node:net";
import { createServer, type Server } from "node:tls";
import { type Child, freePort, selfSigned, type TestDatabase, testBroker, testDatabase, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type BrokerTopic, kafkaTopic, rabbitmqTopic } from "./broker-topic.ts";
import { emptyTables, insertMessages, migrate } from "./fixtures.ts";
import { adminUrl, named, startRelay, waybill } from "./waybill.ts";

const [kafka, rabbitmq] = await Promise.all([testBroker("kafka"), testBroker("rabbitmq")]);
const patience = { deadlineMs: 30_000, intervalMs: 200 };

describe("waybill relay over a broker", () => {
  let database: TestDatabase;
  let environment: Record<string, string>;
  const closers: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    database = await testDatabase();
    environment = { WAYBILL_DATABASE: database.url };
    await migrate(database.url);
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    await emptyTables(database.url);
  });
  afterAll(() => database.drop());

  async function topicOf(made: Promise<BrokerTopic>): Promise<BrokerTopic> {
    const topic = await made;
    closers.push(() => topic.close());
    return topic;
  }

  async function relay(commandLine: readonly string[], given: Readonly<Record<string, string>> = {}): Promise<Child> {
    const started = await startRelay(commandLine, { ...environment, ...given });
    closers.push(async () => {
      started.kill();
      await started.exited;
    });
    return started;
  }

  async function metricsOf(running: Child): Promise<string> {
    return await (await fetch(`${await adminUrl(running)}/metrics`, { signal: AbortSignal.timeout(10_000) })).text();
  }

  const brokers = [
    { name: "Kafka", url: kafka.url, make: () => kafkaTopic(kafka.url) },
    { name: "RabbitMQ", url: rabbitmq.url, make: () => rabbitmqTopic(rabbitmq) },
  ] as const;

  test.each(brokers)(
    "what is committed lies in $name, the topic is looked at before, and SIGTERM ends it with 0",
    async ({ url, make }) => {
      const to = await topicOf(make());
      const running = await relay(["--transport", url, "--topics", to.topic]);
      await insertMessages(database.url, 300, { topic: to.topic, key: "k" });
      await waitUntil(async () => (await to.count()) >= 300, { what: "all lie in the broker", ...patience });
      await waitUntil(async () => /published_total\{[^}]*\} 300/.test(await metricsOf(running)), { what: "all are counted", ...patience });
      running.kill("SIGTERM");
      expect(await running.exited).toEqual({ code: 0, signal: null });
      expect(running.events.some(named("cli.transportNotChecked"))).toBe(false);
      expect(await to.count()).toBe(300);
    },
  );

  test.each(brokers)("from MariaDB to $name, too", async ({ url, make }) => {
    const mariadb = await testDatabase({ server: "mariadb-local" });
    closers.push(() => mariadb.drop());
    await migrate(mariadb.url);
    const to = await topicOf(make());
    const running = await relay(["--transport", url], { WAYBILL_DATABASE: mariadb.url });
    await insertMessages(mariadb.url, 100, { topic: to.topic, key: "k" });
    await waitUntil(async () => (await to.count()) >= 100, { what: "all lie in the broker", ...patience });
    expect(await metricsOf(running)).toMatch(/^waybill_relay_backlog_ids\{[^}]*\} \d+$/m);
    running.kill("SIGTERM");
    expect(await running.exited).toEqual({ code: 0, signal: null });
  });

  test.each([
    ["Kafka", "kafka://u:canary@127.0.0.1:PORT", "relay.retrying"],
    ["RabbitMQ", "amqp://u:canary@127.0.0.1:PORT/shop", "rabbitmq.connectFailed"],
  ])("%s that is away is waited for, ready until messages are late, and its password is shown nowhere", async (_name, url, event) => {
    const running = await relay([
      "--transport",
      url.replace("PORT", String(await freePort())),
      "--log-level",
      "debug",
      "--topics",
      "orders",
    ]);
    await insertMessages(database.url, 1);
    if (event === "rabbitmq.connectFailed") await running.waitFor(named("cli.transportNotChecked"), patience);
    await running.waitFor(named("relay.leaseAcquired"), patience);
    await running.waitFor(named(event), patience);
    const admin = await adminUrl(running);
    await waitUntil(async () => (await fetch(`${admin}/readyz`)).status === 200, { what: "it is ready", ...patience });
    running.kill("SIGTERM");
    expect(await running.exited).toEqual({ code: 0, signal: null });
    expect(running.output()).not.toContain("canary");
  });

  test.each([
    ["a wrong password", () => withPassword(rabbitmq.url, "canary"), "accessRefused", "403"],
    ["a vhost that there is not", () => new URL("/canary-vhost", rabbitmq.url).href, "vhostRefused", "530"],
  ])("RabbitMQ with %s says so", async (_what, url, reason, brokerCode) => {
    const running = await relay(["--transport", url(), "--topics", "orders"]);
    expect(await running.waitFor(named("rabbitmq.connectFailed"), patience)).toMatchObject({ reason, brokerCode });
    expect(running.output()).not.toContain(":canary@");
  });

  test("a broker whose certificate nobody vouches for is not talked to", async () => {
    const server: Server = createServer(selfSigned());
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    closers.push(() => new Promise((resolve) => server.close(resolve)));
    const running = await relay(["--transport", `amqps://u:canary@127.0.0.1:${port}/`, "--topics", "orders"]);
    expect(await running.waitFor(named("rabbitmq.connectFailed"), patience)).toMatchObject({ reason: "tlsRefused" });
    expect(running.output()).not.toContain("canary");
  });

  test.each(["amqp", "kafka"])("a broker over %s that accepts and says nothing delays no stop", async (scheme) => {
    const sockets = new Set<Socket>();
    const mute = createTcpServer((socket) => void sockets.add(socket.on("error", () => undefined)));
    const port = await freePort();
    await new Promise<void>((resolve) => mute.listen(port, "127.0.0.1", resolve));
    closers.push(() => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => mute.close(resolve));
    });
    const running = await relay(["--transport", `${scheme}://127.0.0.1:${port}`, "--topics", "orders"]);
    await waitUntil(() => sockets.size > 0, { what: "it is being looked at", ...patience });
    running.kill("SIGTERM");
    expect(await running.exited).toEqual({ code: 0, signal: null });
    const timeOf = (name: string): number => Date.parse(String(running.events.find(named(name))?.["time"]));
    expect(timeOf("cli.stopped") - timeOf("cli.stopping")).toBeLessThan(2_500); // looking goes on for three seconds at least
    expect(running.events.some(named("cli.transportNotChecked"))).toBe(false);
  });

  test("a message that finds no queue is counted and waits until there is one", async () => {
    const to = await topicOf(rabbitmqTopic(rabbitmq));
    const partitions = ["--rabbitmq-partitions", "1"]; // routed to <topic>.0, which is bound by #
    const running = await relay(["--transport", rabbitmq.url, ...partitions]);
    await insertMessages(database.url, 1, { topic: `${to.topic}-lonely` });
    await running.waitFor(named("rabbitmq.returned"), patience);
    expect(await metricsOf(running)).toMatch(/^waybill_rabbitmq_returned_total\{[^}]*\} [1-9]/m);
    await insertMessages(database.url, 1, { topic: to.topic });
    await waitUntil(async () => (await to.count()) === 1, { what: "its neighbour is there", ...patience });
  });

  test("an exchange that must be there and is not ends it with 1, by name", async () => {
    const running = await relay(["--transport", rabbitmq.url, "--rabbitmq-topology", "check", "--topics", "nowhere-at-all"]);
    expect(await running.exited).toMatchObject({ code: 1 });
    expect(running.events.find(named("cli.failed"))).toMatchObject({
      code: "WAYBILL_TOPOLOGY",
      message: expect.stringContaining("nowhere-at-all"),
    });
  });

  test("all that is wrong is said at once, with 2, and no secret in it", async () => {
    const ran = await waybill(
      [
        "relay",
        "--transport",
        "kafka://u:canary1@one",
        "--broker-user",
        "me",
        "--kafka-sasl",
        "md5",
        "--rabbitmq-partitions",
        "3",
        "--lease-ms",
        "x",
      ],
      { ...environment, WAYBILL_BROKER_PASSWORD: "canary2" },
    );
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    for (const problem of [
      "--broker-user: is given twice",
      "WAYBILL_BROKER_PASSWORD: is given twice",
      "--kafka-sasl: must be plain or",
      "--rabbitmq-partitions: is for a RabbitMQ transport",
      "--lease-ms: must be",
    ])
      expect(ran.stderr).toContain(problem);
    expect(ran.stderr).not.toContain("canary");
  });
});

function withPassword(url: string, password: string): string {
  const changed = new URL(url);
  changed.username ||= "guest";
  changed.password = password;
  return changed.href;
}
