import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isWaybillError } from "@waybill/core";
import { selfSigned } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readConfiguration } from "./configuration.ts";
import { loadTransport } from "./load-transport.ts";
import { transportSettings } from "./settings.ts";

const canary = "canary-pass";
let folder: string;
const file = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "waybill-load-"));
  const { cert, key } = selfSigned();
  writeFileSync(file("ca.pem"), cert);
  writeFileSync(file("key.pem"), key);
  writeFileSync(file("no.pem"), "no certificate");
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Loaded {
  readonly name: string | null;
  readonly batchMax: number | null;
  readonly problems: readonly string[];
}

/** `FOLDER` in a value is where the certificates lie. */
async function load(flags: Readonly<Record<string, string>>, environment: Readonly<Record<string, string>> = {}): Promise<Loaded> {
  const configuration = readConfiguration({
    settings: transportSettings,
    knownNames: new Set(transportSettings.map(({ name }) => name)),
    flags: Object.fromEntries(Object.entries(flags).map(([name, value]) => [name, value.replace("FOLDER", folder)])),
    environment,
    readFile: () => canary,
  });
  const loaded = await loadTransport(configuration, () => undefined);
  await loaded?.transport.close({ deadlineMs: 1_000 });
  const made = { name: loaded?.name ?? null, batchMax: loaded?.batchMax ?? null };
  try {
    configuration.checked({});
    return { ...made, problems: [] };
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    return { ...made, problems: error.facts.problems.map(({ option, problem }) => `${option}: ${problem}`) };
  }
}

test("a module that never makes its transport is given up, so that the others of its process start", async () => {
  writeFileSync(file("never.mjs"), "export default () => new Promise(() => undefined);");
  const configuration = readConfiguration({
    settings: transportSettings,
    knownNames: new Set(),
    flags: { transport: file("never.mjs") },
    environment: {},
    readFile: () => "",
  });
  expect(await loadTransport(configuration, () => undefined, { deadlineMs: 50 })).toBeNull();
  expect(() => configuration.checked({})).toThrow("the module made no transport within 50 ms");
});

describe("what a transport is made from", () => {
  test.each<[string, Record<string, string>, string, number | null]>([
    ["Kafka", { transport: "kafka://one,two:9093" }, "kafka://one:9092,two:9093", 500],
    [
      "Kafka with all in the URL",
      { transport: `kafka://u:${canary}@one?ssl=true&sasl=plain&clientId=me&partitioner=crc32` },
      "kafka://one:9092",
      500,
    ],
    [
      "Kafka with all in settings",
      {
        transport: "kafka://one",
        brokerUser: "user@place",
        brokerPassword: `${canary}:/?@`,
        kafkaSasl: "scram-sha-512",
        kafkaClient: "kafkajs",
        kafkaClientId: "me",
        kafkaPartitioner: "crc32",
        tlsCaFile: "FOLDER/ca.pem",
        tlsCertFile: "FOLDER/ca.pem",
        tlsKeyFile: "FOLDER/key.pem",
        tlsServername: "broker",
        topics: "orders",
      },
      "kafka://one:9092",
      500,
    ],
    ["Kafka with the password beside the URL's user", { transport: "kafka://me@one", brokerPassword: canary }, "kafka://one:9092", 500],
    ["RabbitMQ", { transport: `amqp://u:${canary}@host:5673/shop` }, "amqp://host:5673/shop", 500],
    ["RabbitMQ with several nodes", { transport: "amqps://one/v,amqps://two/v" }, "amqps://one/v,amqps://two/v", 500],
    [
      "RabbitMQ with all in settings",
      {
        transport: "amqps://host/shop",
        brokerUser: "me",
        brokerPassword: canary,
        tlsCaFile: "FOLDER/ca.pem",
        tlsCertFile: "FOLDER/ca.pem",
        tlsKeyFile: "FOLDER/key.pem",
        rabbitmqTopology: "check",
        rabbitmqPartitions: "8",
        rabbitmqPipelineKeys: "true",
        rabbitmqBlockedLimitMs: "60000",
        rabbitmqManagementUrl: `http://u:${canary}@host:15672`,
        topics: "orders,payments",
      },
      "amqps://host/shop",
      500,
    ],
    ["HTTP", { transport: "http://127.0.0.1/{topic}" }, "http://127.0.0.1/%7Btopic%7D", 50],
  ])("%s", async (_what, flags, name, batchMax) => {
    expect(await load(flags)).toEqual({ name, batchMax, problems: [] });
  });

  test("the other client is taken where Node is new enough, and refused where it was asked for otherwise", async () => {
    const [major = 0] = process.versions.node.split(".").map(Number);
    const isOld = major < 22;
    const rule = expect.stringMatching(/needs Node 22\.22, 24\.6 or newer/);
    const bySetting = await load({ transport: "kafka://one", kafkaClient: "platformatic" });
    const inUrl = await load({ transport: "kafka://one?client=platformatic" });
    if (isOld || major > 24) {
      expect([bySetting.problems, inUrl.problems]).toEqual(isOld ? [[rule], [rule]] : [[], []]);
      expect([bySetting.name, inUrl.name]).toEqual(isOld ? [null, null] : ["kafka://one:9092", "kafka://one:9092"]);
    }
    for (const problem of bySetting.problems) expect(problem).toMatch(/^--kafka-client: /);
    for (const problem of inUrl.problems) expect(problem).toMatch(/^--transport: client /);
  });

  test("a password comes from the file that its variable names", async () => {
    const environment = { WAYBILL_TRANSPORT: "amqp://me@host/", WAYBILL_BROKER_PASSWORD_FILE: "/run/secrets/broker" };
    expect(await load({}, environment)).toMatchObject({ name: "amqp://host/", problems: [] });
  });
});

describe("what is wrong is said at once, where it is, and without a secret", () => {
  test.each<[string, Record<string, string>, readonly string[]]>([
    [
      "no Kafka URL",
      { transport: `kafka://u:${canary}@`, kafkaSasl: "plain" },
      ["--transport: must be kafka://[user:password@]host[:port][,host[:port]…][?ssl=true&…]"],
    ],
    [
      "wrong parameters of a Kafka URL",
      { transport: "kafka://one?ssl=perhaps&acks=0&partitioner=fair" },
      ["--transport: acks is not known; known are ssl, sasl, client, clientId, partitioner", "--transport: ssl must be true or false"],
    ],
    [
      "a partitioner that there is not",
      { transport: "kafka://one?partitioner=fair" },
      ["--transport: partitioner must be murmur2 or crc32"],
    ],
    [
      "everything twice",
      {
        transport: `kafka://u:${canary}@one?sasl=plain&client=kafkajs&clientId=me&partitioner=crc32`,
        brokerUser: "u",
        brokerPassword: canary,
        kafkaSasl: "plain",
        kafkaClient: "kafkajs",
        kafkaClientId: "me",
        kafkaPartitioner: "crc32",
      },
      [
        "--kafka-sasl: is given twice: the URL has sasl",
        "--kafka-client: is given twice: the URL has client",
        "--kafka-client-id: is given twice: the URL has clientId",
        "--kafka-partitioner: is given twice: the URL has partitioner",
        "--broker-user: is given twice: the URL has a user",
        "--broker-password: is given twice: the URL has a password",
      ],
    ],
    ["a mechanism and nobody", { transport: "kafka://one", kafkaSasl: "plain" }, ["--kafka-sasl: needs a user and a password"]],
    ["a user without a password", { transport: "kafka://one", brokerUser: "me" }, ["--broker-password: must not be empty"]],
    ["a password without a user", { transport: "kafka://one", brokerPassword: canary }, ["--broker-password: needs a user"]],
    [
      "TLS files and no TLS",
      { transport: "kafka://one?ssl=false", tlsCaFile: "FOLDER/ca.pem" },
      ["--tls-ca-file: needs TLS, and the URL says ssl=false"],
    ],
    [
      "files that are not there, or no certificates",
      { transport: "kafka://one", tlsCaFile: "FOLDER/no.pem", tlsCertFile: "FOLDER/nowhere.pem", tlsKeyFile: "FOLDER/key.pem" },
      ["--tls-cert-file: must name a file that can be read", "--tls-ca-file: needs cert and key together, or neither"],
    ],
    [
      "what RabbitMQ has not",
      {
        transport: `amqp://u:${canary}@host/a/b`,
        brokerUser: "u",
        brokerPassword: canary,
        rabbitmqPartitions: "2000",
        rabbitmqBlockedLimitMs: "1",
        rabbitmqManagementUrl: `ftp://u:${canary}@host`,
        topics: "or/ders",
        tlsServername: "host",
      },
      [
        "--broker-user: is given twice: the URL has a user",
        "--broker-password: is given twice: the URL has a password",
        "--tls-servername: needs amqps://",
        "--transport: must name the vhost as one segment; write / in it as %2F",
        "--rabbitmq-partitions: must be a whole number from 1 to 1024",
        "--topics: must be named by 1 to 249 of A-Z, a-z, 0-9, '.', '_' and '-'",
        "--rabbitmq-blocked-limit-ms: must be a whole number from 1000 to 86400000",
      ],
    ],
    [
      "a management API that is none",
      { transport: "amqp://host/", rabbitmqManagementUrl: `ftp://u:${canary}@host`, topics: "orders" },
      ["--rabbitmq-management-url: must be a URL such as http://host:15672"],
    ],
    ["an encrypted link and a plain one", { transport: "amqp://one/,amqps://two/" }, ["--transport: must be all amqp:// or all amqps://"]],
    [
      "settings of other transports, to HTTP",
      {
        transport: "http://127.0.0.1/",
        transportOptions: "{}",
        brokerPassword: canary,
        tlsCaFile: "FOLDER/ca.pem",
        kafkaPartitioner: "crc32",
        rabbitmqPipelineKeys: "true",
        topics: "orders",
      },
      [
        "--broker-password: is for a Kafka or RabbitMQ transport",
        "--tls-ca-file: is for a Kafka or RabbitMQ transport",
        "--kafka-partitioner: is for a Kafka transport",
        "--rabbitmq-pipeline-keys: is for a RabbitMQ transport",
        "--topics: is for a Kafka or RabbitMQ transport",
        "--transport-options: is for a transport module",
      ],
    ],
    [
      "settings of other transports, to Kafka",
      { transport: "kafka://one", httpConcurrency: "3", rabbitmqTopology: "none", transportOptions: "{}" },
      [
        "--http-concurrency: is for an HTTP transport",
        "--rabbitmq-topology: is for a RabbitMQ transport",
        "--transport-options: is for a transport module",
      ],
    ],
    [
      "settings of other transports, to RabbitMQ",
      { transport: "amqp://one/", httpDeadlineMs: "3000", kafkaSasl: "plain" },
      ["--http-deadline-ms: is for an HTTP transport", "--kafka-sasl: is for a Kafka transport"],
    ],
    [
      "words that are none",
      { transport: "amqp://one/", rabbitmqTopology: "perhaps", rabbitmqPipelineKeys: "perhaps" },
      ["--rabbitmq-topology: must be ensure or check or none", "--rabbitmq-pipeline-keys: must be true or false"],
    ],
  ])("%s", async (_what, flags, problems) => {
    const loaded = await load(flags);
    expect(loaded.problems).toEqual(problems);
    expect(JSON.stringify(loaded)).not.toContain(canary);
  });
});

test("a relay over HTTP loads nothing of a broker's: nobody imports those packages but when they are needed", () => {
  const folder = new URL(".", import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ts") && !name.includes(".test"),
  );
  const imports = files.flatMap(
    (name) => readFileSync(new URL(name, folder), "utf8").match(/^.*from "@waybill\/(kafka|rabbitmq)";$/gm) ?? [],
  );
  expect(imports.length).toBeGreaterThan(0);
  expect(imports.filter((line) => !line.startsWith("import type "))).toEqual([]);
});
