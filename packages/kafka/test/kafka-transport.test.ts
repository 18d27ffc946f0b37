/** The transport on real brokers: what it is told that is wrong, who does not let it in, and how it ends. */
import { createServer, type Socket } from "node:net";
import { isWaybillError, secret } from "@waybill/core";
import { type KafkaTransportOptions, kafkaTransport } from "@waybill/kafka";
import { freePort, type StartedKafka, selfSigned, startKafka, testBroker } from "@waybill/testing";
import { type AclEntry, AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from "kafkajs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { client, isKafkajs } from "./client-under-test.ts";
import { messagesOf, publishUntilConfirmed, told } from "./sample-messages.ts";
import { addScramUser } from "./scram-user.ts";
import { type Topics, topicsOf } from "./topics-of.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function transportOf(options: KafkaTransportOptions): ReturnType<typeof kafkaTransport> {
  const transport = kafkaTransport({ client, ...options });
  closers.push(() => transport.close({ deadlineMs: 5_000 }));
  return transport;
}

describe("on a broker that lets everybody in", () => {
  let topics: Topics;
  beforeAll(async () => {
    topics = await topicsOf((await testBroker("kafka")).url);
  });
  afterAll(() => topics?.close());

  test("a missing topic waits, is not created, and is found once it is there; its neighbour goes on", async () => {
    const there = await topics.create();
    const missing = `${there}-missing`;
    const transport = transportOf({ brokers: topics.addresses });
    const [make, makeMissing] = [messagesOf(there), messagesOf(missing)];
    const waiting = makeMissing({ key: "a" });
    const outcomes = await transport.publish([waiting, make({ key: "a" }), makeMissing({ key: "a" })], { deadlineMs: 10_000 });
    expect(outcomes.map(told)).toEqual(["retry topic unknownTopicOrPartition:3", "confirmed", "retry message behindItsKey"]);

    // While its backoff runs it is answered at once.
    const startedAt = performance.now();
    const [again] = await transport.publish([waiting], { deadlineMs: 10_000 });
    expect(again).toMatchObject({ kind: "retry", scope: "topic" });
    expect(performance.now() - startedAt).toBeLessThan(1_000);

    await topics.create({ name: missing });
    await publishUntilConfirmed(transport, [waiting]);
    expect((await topics.read(missing)).map(({ message }) => message.id)).toEqual([waiting.id]);
  });

  test("a topic whose name Kafka cannot have is rejected", async () => {
    const transport = transportOf({ brokers: topics.addresses });
    const outcomes = await transport.publish([messagesOf("..")({ key: "a" })], { deadlineMs: 10_000 });
    expect(outcomes.map(told)).toEqual(["rejected invalidTopicException:17"]);
  });

  test("a broker that is not there is unreachable, and is found when it is", { timeout: 120_000 }, async () => {
    const kafka = await startKafka();
    closers.push(() => kafka.stop());
    const own = await topicsOf(kafka.url);
    closers.push(() => own.close());
    const topic = await own.create();
    await kafka.brokers[0]?.kill("SIGKILL");

    const transport = transportOf({ brokers: kafka.addresses });
    const message = messagesOf(topic)({ key: "a" });
    const [outcome] = await transport.publish([message], { deadlineMs: 10_000 });
    expect(told(outcome)).toBe("retry transport unreachable");
    // It says when to come back, and until then answers at once.
    const [soon] = await transport.publish([message], { deadlineMs: 10_000 });
    expect(soon).toMatchObject({ kind: "retry", scope: "transport" });

    await kafka.brokers[0]?.restart();
    await publishUntilConfirmed(transport, [message]);
    expect((await own.read(topic)).map(({ message: { id } }) => id)).toEqual([message.id]);
  });

  test("whoever accepts connections and never answers holds a call no longer than its deadline", async () => {
    const sockets: Socket[] = [];
    const mute = createServer((socket) => void sockets.push(socket.on("error", () => undefined)));
    const port = await new Promise<number>((resolve) =>
      mute.listen(0, "127.0.0.1", () => resolve((mute.address() as { port: number }).port)),
    );
    closers.push(() => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => mute.close(resolve));
    });
    const transport = transportOf({ brokers: [`127.0.0.1:${port}`] });
    const startedAt = performance.now();
    const outcomes = await transport.publish([messagesOf("any")()], { deadlineMs: 1_000 });
    expect(outcomes.map(told)).toEqual(["retry topic deadline"]);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
  });

  test("a seed that is down is passed over", async () => {
    const topic = await topics.create();
    const transport = transportOf({ brokers: [`127.0.0.1:${await freePort()}`, ...topics.addresses], random: { fraction: () => 0 } });
    const outcomes = await transport.publish([messagesOf(topic)()], { deadlineMs: 10_000 });
    expect(outcomes.map(told)).toEqual(["confirmed"]);
  });

  test("the default partitioner and librdkafka's put a key where those clients do", async () => {
    const topic = await topics.create({ partitions: 7 });
    const make = messagesOf(topic);
    await publishUntilConfirmed(transportOf({ brokers: topics.addresses }), [make({ key: "order-42" })]);
    await publishUntilConfirmed(transportOf({ brokers: topics.addresses, partitioner: "crc32" }), [make({ key: "123456789" })]);
    const places = (await topics.read(topic)).map(({ partition, message }) => [message.key, partition]);
    expect(new Map(places as [string, number][])).toEqual(
      new Map([
        ["order-42", (501_153_024 & 0x7fffffff) % 7],
        ["123456789", 0xcbf43926 % 7],
      ]),
    );
  });
});

describe("on a broker that asks who comes", () => {
  const { cert, key } = selfSigned();
  const users = { plain: { username: "relay", password: "pl@in:secret" }, scram: { username: "ledger", password: "scram-secret" } };
  let kafka: StartedKafka;
  let topics: Topics;
  let topic: string;
  let saslPort: number;
  let tlsPort: number;
  beforeAll(async () => {
    saslPort = await freePort();
    tlsPort = await freePort();
    const plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    kafka = await startKafka({
      settings: ({ port, controllerPort }) => ({
        listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort},SASL://127.0.0.1:${saslPort},TLS://127.0.0.1:${tlsPort}`,
        "advertised.listeners": `PLAINTEXT://127.0.0.1:${port},SASL://127.0.0.1:${saslPort},TLS://127.0.0.1:${tlsPort}`,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "true",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.sasl.plain.sasl.jaas.config": `${plain} user_${users.plain.username}="${users.plain.password}";`,
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "listener.name.sasl.oauthbearer.sasl.jaas.config":
          'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="admin";',
        "listener.name.tls.ssl.keystore.type": "PEM",
        "listener.name.tls.ssl.keystore.certificate.chain": oneLine(cert),
        "listener.name.tls.ssl.keystore.key": oneLine(key),
      }),
    });
    topics = await topicsOf(kafka.url);
    topic = await topics.create();
    await addScramUser({ port: kafka.brokers[0]?.port ?? 0, ...users.scram });
  }, 180_000);
  afterAll(async () => {
    await topics?.close();
    await kafka?.stop();
  });

  const publishOver = async (options: Omit<KafkaTransportOptions, "brokers">, port: number): Promise<string> => {
    const transport = transportOf({ brokers: [`127.0.0.1:${port}`], ...options });
    const [outcome] = await transport.publish([messagesOf(topic)({ key: "a" })], { deadlineMs: 15_000 });
    expect(JSON.stringify(outcome) + String(outcome?.kind !== "confirmed" && outcome?.error.stack)).not.toContain("secret");
    return told(outcome);
  };

  test("plain and scram users are let in", async () => {
    expect(await publishOver({ sasl: { mechanism: "plain", ...users.plain, password: secret(users.plain.password) } }, saslPort)).toBe(
      "confirmed",
    );
    expect(await publishOver({ sasl: { mechanism: "scram-sha-512", ...users.scram } }, saslPort)).toBe("confirmed");
  });

  test("a user who may not see or not write a topic waits, and other topics go on", async () => {
    const [unseen, unwritable] = [await topics.create(), await topics.create()];
    const admin = topics.kafka.admin();
    await admin.connect();
    const allowed = (resourceName: string, principal: string, operation: AclOperationTypes): AclEntry => ({
      resourceType: AclResourceTypes.TOPIC,
      resourceName,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal,
      host: "*",
      operation,
      permissionType: AclPermissionTypes.ALLOW,
    });
    const acl = [
      allowed(unseen, "User:somebody", AclOperationTypes.WRITE),
      allowed(unwritable, "User:relay", AclOperationTypes.DESCRIBE),
      allowed(unwritable, "User:somebody", AclOperationTypes.WRITE),
    ];
    await admin.createAcls({ acl });
    await admin.disconnect();
    const transport = transportOf({ brokers: [`127.0.0.1:${saslPort}`], sasl: { mechanism: "plain", ...users.plain } });
    const batch = [unseen, unwritable, topic].map((each) => messagesOf(each)({ key: "a" }));
    const outcomes = await transport.publish(batch, { deadlineMs: 15_000 });
    // kafkajs cannot tell whether the leader said so, or somebody whom it asked about the leader.
    const refused = isKafkajs ? "ambiguous" : "topicAuthorizationFailed";
    expect(outcomes.map(told)).toEqual(["retry topic topicAuthorizationFailed:29", `unknown topic ${refused}:29`, "confirmed"]);
  });

  test("a token is let in", async () => {
    const part = (content: object): string => Buffer.from(JSON.stringify(content)).toString("base64url");
    const nowS = Math.floor(Date.now() / 1_000);
    const token = `${part({ alg: "none" })}.${part({ sub: "relay", iat: nowS, exp: nowS + 600 })}.`;
    expect(await publishOver({ sasl: { mechanism: "oauthbearer", token: () => Promise.resolve(secret(token)) } }, saslPort)).toBe(
      "confirmed",
    );
  });

  test("wrong credentials make everything wait, and give nothing up", async () => {
    const refused = "retry transport notAuthenticated";
    expect(await publishOver({ sasl: { mechanism: "plain", username: "relay", password: "wrong secret" } }, saslPort)).toBe(refused);
    expect(await publishOver({ sasl: { mechanism: "scram-sha-512", username: "ledger", password: "wrong secret" } }, saslPort)).toBe(
      refused,
    );
    expect(await publishOver({ sasl: { mechanism: "scram-sha-256", ...users.scram } }, saslPort)).toBe(refused);
    const failing = (): Promise<string> => Promise.reject(new Error("token endpoint, client secret"));
    expect((await publishOver({ sasl: { mechanism: "oauthbearer", token: failing } }, saslPort)).startsWith("retry transport")).toBe(true);
  });

  test("a certificate that is trusted is let pass, and no other", async () => {
    expect(await publishOver({ ssl: { ca: cert } }, tlsPort)).toBe("confirmed");
    expect(await publishOver({ ssl: true }, tlsPort)).toBe("retry transport unreachable");
    expect(await publishOver({ ssl: { ca: cert, servername: "elsewhere.example" } }, tlsPort)).toBe("retry transport unreachable");
  });

  test("TLS to a port without it, and none to one with it, is unreachable", async () => {
    expect(await publishOver({ ssl: { ca: cert } }, kafka.brokers[0]?.port ?? 0)).toBe("retry transport unreachable");
    expect(await publishOver({}, tlsPort)).toBe("retry transport unreachable");
  });
});

test("wrong options are all told at once, without secrets", () => {
  const problems = (options: object): readonly string[] => {
    try {
      kafkaTransport(options as KafkaTransportOptions);
    } catch (error) {
      if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
      expect(String(error.stack)).not.toContain("hush");
      return error.facts.problems.map(({ option }) => option);
    }
    return [];
  };
  expect(problems({ brokers: [] })).toEqual(["brokers"]);
  expect(
    problems({
      brokers: ["kafka"],
      client: "other",
      clientId: "",
      partitioner: "md5",
      ssl: { cert: "hush" },
      sasl: { mechanism: "gssapi" },
    }),
  ).toEqual(["brokers", "client", "clientId", "ssl", "sasl.mechanism", "partitioner"]);
  expect(problems({ brokers: ["k:1"], sasl: { mechanism: "plain", username: "", password: secret("") } })).toEqual([
    "sasl.username",
    "sasl.password",
  ]);
  expect(problems({ brokers: ["k:1"], sasl: { mechanism: "oauthbearer", token: "hush" } })).toEqual(["sasl.token"]);
  expect(problems({ brokers: ["k:1"], ssl: { ca: "hush" } })).toEqual([]); // no certificate in it: nothing is trusted
});

function oneLine(pem: string): string {
  return pem.trim().replaceAll("\n", "\\n");
}
