/** Brokers that ask who comes and show a certificate: with the right settings messages arrive, with wrong ones it is said why. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  freePort,
  type StartedKafka,
  type StartedRabbitmq,
  selfSigned,
  startKafka,
  startRabbitmq,
  type TestDatabase,
  testDatabase,
  waitUntil,
} from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kafkaTopic, rabbitmqTopic } from "./broker-topic.ts";
import { emptyTables, insertMessages, migrate } from "./fixtures.ts";
import { named, startRelay, waybill } from "./waybill.ts";

const password = "pl@in:canary/?";
const patience = { deadlineMs: 30_000, intervalMs: 200 };

let folder: string;
let database: TestDatabase;
/** With the right password, by file. */
let environment: Record<string, string>;
const file = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "waybill-security-"));
  chmodSync(folder, 0o755); // brokers may run as another user
  const own = selfSigned();
  const other = selfSigned();
  for (const [name, text] of [
    ["cert.pem", own.cert],
    ["key.pem", own.key],
    ["other.pem", other.cert],
    ["password", `${password}\n`],
  ] as const)
    writeFileSync(file(name), text, { mode: 0o644 });
  database = await testDatabase();
  await migrate(database.url);
  environment = { WAYBILL_DATABASE: database.url, WAYBILL_BROKER_PASSWORD_FILE: file("password") };
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await database.drop();
});

/** What `doctor` says about reaching the broker. */
async function reach(commandLine: readonly string[], given: Readonly<Record<string, string>> = environment): Promise<string> {
  const { stdout, stderr } = await waybill(["doctor", "--json", ...commandLine], given);
  expect(stdout + stderr).not.toContain("canary");
  const { findings } = JSON.parse(stdout) as { findings: { level: string; subject: string; rule: string; found: string }[] };
  const found = findings.findLast(({ rule, subject }) => rule === "reachable" && /^(?:broker|Kafka|RabbitMQ)$/.test(subject));
  return `${found?.level} ${found?.level === "ok" ? "" : found?.found}`.trim();
}

async function publish(commandLine: readonly string[], topic: string, count: () => Promise<number>): Promise<void> {
  const relay = await startRelay(commandLine, environment);
  try {
    await relay.waitFor(named("relay.leaseAcquired"), patience);
    await insertMessages(database.url, 20, { topic });
    await waitUntil(async () => (await count()) >= 20, { what: "all lie in the broker", ...patience });
    relay.kill("SIGTERM");
    expect(await relay.exited).toEqual({ code: 0, signal: null });
    expect(relay.output()).not.toContain("canary");
  } finally {
    relay.kill();
    await relay.exited;
    await emptyTables(database.url);
  }
}

describe("Kafka over SASL and TLS", () => {
  let kafka: StartedKafka;
  let url: string;
  beforeAll(async () => {
    const securePort = await freePort();
    const oneLine = (pem: string): string => pem.trim().replaceAll("\n", "\\n");
    const { cert, key } = selfSigned();
    writeFileSync(file("kafka.pem"), cert);
    kafka = await startKafka({
      settings: ({ port, controllerPort }) => ({
        listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort},SECURE://127.0.0.1:${securePort}`,
        "advertised.listeners": `PLAINTEXT://127.0.0.1:${port},SECURE://127.0.0.1:${securePort}`,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secure.plain.sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required user_relay="${password}";`,
        "listener.name.secure.ssl.keystore.type": "PEM",
        "listener.name.secure.ssl.keystore.certificate.chain": oneLine(cert),
        "listener.name.secure.ssl.keystore.key": oneLine(key),
      }),
    });
    url = `127.0.0.1:${securePort}`;
  }, 180_000);
  afterAll(() => kafka?.stop());

  test("with settings, or with all in the URL, messages arrive", { timeout: 120_000 }, async () => {
    const topic = await kafkaTopic(kafka.url);
    const tls = ["--tls-ca-file", file("kafka.pem"), "--tls-servername", "localhost"];
    await publish(["--transport", `kafka://${url}`, "--broker-user", "relay", "--kafka-sasl", "plain", ...tls], topic.topic, topic.count);
    const inUrl = `kafka://relay:${encodeURIComponent(password)}@${url}?ssl=true&sasl=plain`;
    const { WAYBILL_BROKER_PASSWORD_FILE: _, ...withoutPassword } = environment;
    expect(await reach(["--transport", inUrl, ...tls], withoutPassword)).toBe("ok");
    await topic.close();
  });

  test("a wrong password, a wrong mechanism and a certificate that does not fit are refused", { timeout: 120_000 }, async () => {
    const tls = ["--tls-ca-file", file("kafka.pem")];
    const [right, user] = [
      ["--transport", `kafka://${url}`],
      ["--broker-user", "relay"],
    ];
    expect(await reach([...right, ...user, ...tls])).toBe("ok");
    const wrong = { ...environment, WAYBILL_BROKER_PASSWORD_FILE: file("cert.pem") };
    expect(await reach([...right, ...user, ...tls], wrong)).toContain("notAuthenticated");
    expect(await reach([...right, ...user, ...tls, "--kafka-sasl", "scram-sha-512"])).toContain("notAuthenticated");
    expect(await reach([...right, ...user, "--tls-ca-file", file("other.pem")])).toContain("unreachable");
    expect(await reach([...right, ...user, ...tls, "--tls-servername", "elsewhere"])).toContain("unreachable");
  });
});

describe("RabbitMQ over TLS", () => {
  let rabbitmq: StartedRabbitmq;
  let url: string;
  beforeAll(async () => {
    const securePort = await freePort();
    rabbitmq = await startRabbitmq({
      settings: {
        "listeners.ssl.1": `127.0.0.1:${securePort}`,
        "ssl_options.certfile": file("cert.pem"),
        "ssl_options.keyfile": file("key.pem"),
        "ssl_options.cacertfile": file("cert.pem"),
        "ssl_options.verify": "verify_none",
      },
    });
    await rabbitmq.ctl("add_user", "relay", password);
    await rabbitmq.ctl("set_permissions", "relay", ".*", ".*", ".*");
    url = `127.0.0.1:${securePort}`;
  }, 180_000);
  afterAll(() => rabbitmq?.stop());

  test("with the right settings messages arrive, by the user in the URL or beside it", { timeout: 120_000 }, async () => {
    const topic = await rabbitmqTopic(rabbitmq);
    const tls = ["--tls-ca-file", file("cert.pem"), "--tls-servername", "localhost"];
    await publish(["--transport", `amqps://relay@${url}/`, ...tls], topic.topic, topic.count);
    expect(await reach(["--transport", `amqps://${url}/`, "--broker-user", "relay", ...tls])).toBe("ok");
    await topic.close();
  });

  test("a wrong password, a vhost that there is not and a certificate that does not fit are refused", { timeout: 120_000 }, async () => {
    const tls = ["--tls-ca-file", file("cert.pem")];
    const wrong = { ...environment, WAYBILL_BROKER_PASSWORD_FILE: file("cert.pem") };
    expect(await reach(["--transport", `amqps://relay@${url}/`, ...tls], wrong)).toContain("accessRefused");
    expect(await reach(["--transport", `amqps://relay@${url}/nowhere`, ...tls])).toContain("vhostRefused");
    expect(await reach(["--transport", `amqps://relay@${url}/`, "--tls-ca-file", file("other.pem")])).toContain("tlsRefused");
    expect(await reach(["--transport", `amqps://relay@${url}/`, ...tls, "--tls-servername", "elsewhere"])).toContain("tlsRefused");
  });
});
