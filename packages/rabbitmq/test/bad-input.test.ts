/** What is wrong before a message is: credentials, vhost, address, TLS, topology. Each a typed answer, and nothing is lost by it. */
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { createServer, type Server } from "node:tls";
import { inspect } from "node:util";
import { secret, type WaybillEvent } from "@waybill/core";
import { type RabbitmqTransport, type RabbitmqTransportOptions, rabbitmqTransport } from "@waybill/rabbitmq";
import { selfSigned, testBroker, testName, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { outcomeText } from "./outcome-text.ts";
import { outgoing } from "./outgoing.ts";
import { type TestQueues, testQueues } from "./test-queues.ts";

const broker = await testBroker("rabbitmq");
const { hostname: host, port: portText, username, password } = new URL(broker.url);
const port = portText === "" ? 5672 : Number(portText);
const login = { username: username === "" ? "guest" : username, password: password === "" ? "guest" : password };
const deadlineMs = 30_000;

let queues: TestQueues;
let opened: RabbitmqTransport[];
beforeEach(async () => {
  opened = [];
  queues = await testQueues(broker.url);
});
afterEach(async () => {
  for (const transport of opened) await transport.close({ deadlineMs: 2_000 });
  await queues.dispose();
});

function ours(options: RabbitmqTransportOptions): RabbitmqTransport {
  const transport = rabbitmqTransport(options);
  opened.push(transport);
  return transport;
}

/** The start is refused and a message waits, both for this reason; the secret is in neither. */
async function expectUnusable(options: RabbitmqTransportOptions, reason: string, brokerCode: string | null): Promise<void> {
  const events: WaybillEvent[] = [];
  const transport = ours({ ...options, onEvent: (event) => events.push(event) });
  const error: unknown = await transport.start({ deadlineMs }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "WAYBILL_TRANSPORT", facts: { system: "rabbitmq", reason, brokerCode } });
  const [outcome] = await transport.publish([outgoing()], { deadlineMs });
  expect(outcomeText(outcome)).toBe(["retry transport", reason, ...(brokerCode === null ? [] : [brokerCode])].join(" "));
  expect(inspect([error, outcome, events], { depth: 20, showHidden: true })).not.toContain("hunter2");
}

describe("a broker that cannot be used", () => {
  test("wrong credentials", async () => {
    await expectUnusable({ url: `amqp://nobody:hunter2@${host}:${port}` }, "accessRefused", "403");
  });

  test("wrong credentials beside the URL", async () => {
    await expectUnusable({ url: `amqp://${host}:${port}`, username: "nobody", password: secret("hunter2") }, "accessRefused", "403");
  });

  test("a vhost that is not there", async () => {
    await expectUnusable({ url: `amqp://${login.username}:${login.password}@${host}:${port}/missing` }, "vhostRefused", "530");
  });

  test("nobody at the address", async () => {
    await expectUnusable({ url: "amqp://guest:hunter2@127.0.0.1:1" }, "unreachable", "ECONNREFUSED");
  });

  test("a name that does not resolve", async () => {
    await expectUnusable({ url: "amqp://guest:hunter2@broker.invalid" }, "unreachable", "ENOTFOUND");
  });

  test("TLS to a port that speaks none", async () => {
    await expectUnusable({ url: `amqps://guest:hunter2@${host}:${port}` }, "tlsRefused", "ERR_SSL_WRONG_VERSION_NUMBER");
  });

  test("of several brokers the one that answers is found", async () => {
    const exchange = await queues.exchange();
    await queues.queue(exchange);
    const transport = ours({ urls: ["amqp://127.0.0.1:1", broker.url], topics: { orders: { exchange } } });
    await waitUntil(async () => (await transport.publish([outgoing()], { deadlineMs }))[0]?.kind === "confirmed", {
      what: "the second broker has taken the message",
      deadlineMs,
    });
  });
});

describe("TLS", () => {
  const certificate = selfSigned();
  let server: Server;
  let url: string;
  // In front of the real broker, so that it is not the broker that needs a certificate.
  beforeAll(async () => {
    server = createServer(certificate, (secured) => {
      const plain = connectTcp({ host, port });
      for (const socket of [secured, plain]) socket.on("error", () => [secured, plain].forEach((each) => each.destroy()));
      secured.pipe(plain).pipe(secured);
    });
    server.on("tlsClientError", () => undefined);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `amqps://${login.username}:${login.password}@127.0.0.1:${(server.address() as { port: number }).port}`;
  });
  afterAll(() => void server.close());

  test("a certificate of a trusted authority is accepted, and messages pass", async () => {
    const exchange = await queues.exchange();
    const queue = await queues.queue(exchange);
    const transport = ours({ url, tls: { ca: certificate.cert }, topics: { orders: { exchange } } });
    const [outcome] = await transport.publish([outgoing()], { deadlineMs });
    expect(outcomeText(outcome)).toBe("confirmed");
    expect(await queues.take(queue)).toHaveLength(1);
  });

  test("a certificate of nobody we trust is refused", async () => {
    await expectUnusable({ url }, "tlsRefused", "DEPTH_ZERO_SELF_SIGNED_CERT");
  });

  test("a certificate of another name is refused", async () => {
    const tls = { ca: certificate.cert, servername: "broker.example" };
    await expectUnusable({ url, tls }, "tlsRefused", "ERR_TLS_CERT_ALTNAME_INVALID");
  });

  test("without verification, which has to be asked for by its name, anybody is believed", async () => {
    const exchange = await queues.exchange();
    await queues.queue(exchange);
    const transport = ours({ url, tls: { insecureSkipVerification: true }, topics: { orders: { exchange } } });
    expect(outcomeText((await transport.publish([outgoing()], { deadlineMs }))[0])).toBe("confirmed");
  });

  test("a connection in the clear to a port that speaks TLS", async () => {
    const transport = ours({ url: url.replace("amqps:", "amqp:") });
    await expect(transport.start({ deadlineMs })).rejects.toMatchObject({ code: "WAYBILL_TRANSPORT" });
    const [outcome] = await transport.publish([outgoing()], { deadlineMs });
    expect(outcome?.kind === "retry" && outcome.scope).toBe("transport");
  });
});

describe("options that cannot work", () => {
  const problemsOf = (options: RabbitmqTransportOptions): readonly string[] => {
    try {
      rabbitmqTransport(options);
    } catch (error) {
      expect(inspect(error, { depth: 20 })).not.toContain("hunter2");
      return (error as { facts: { problems: { option: string }[] } }).facts.problems.map(({ option }) => option);
    }
    return [];
  };

  test.each<readonly [string, RabbitmqTransportOptions, readonly string[]]>([
    ["no URL", {}, ["url"]],
    ["another scheme", { url: "http://guest:hunter2@localhost" }, ["url"]],
    ["no URL at all", { url: "hunter2" }, ["url"]],
    ["a query", { url: "amqp://guest:hunter2@localhost?heartbeat=0" }, ["url"]],
    ["a vhost of two segments", { url: "amqp://guest:hunter2@localhost/a/b" }, ["url"]],
    ["url and urls", { url: "amqp://localhost", urls: ["amqp://localhost"] }, ["urls"]],
    ["TLS with some of the brokers", { urls: ["amqp://localhost", "amqps://localhost"] }, ["urls"]],
    ["half an identity", { url: "amqps://localhost", tls: { cert: "hunter2" } }, ["tls"]],
    ["limits out of range", { url: "amqp://localhost", blockedLimitMs: 1, connectDeadlineMs: 1 }, ["connectDeadlineMs", "blockedLimitMs"]],
    [
      "queues that would lose messages",
      {
        url: "amqp://localhost",
        queues: [
          { name: "a", messageTtlMs: 1_000 },
          { name: "b", deliveryLimit: 3 },
          { name: "c", arguments: { "x-expires": 1_000, "x-queue-type": "classic" } },
          { name: "d", deadLetter: { exchange: "x", queue: "d" } },
          { name: "" },
          { name: "amq.gen" },
        ],
      },
      [
        "queues.a.messageTtlMs",
        "queues.b.deliveryLimit",
        "queues.c.arguments",
        "queues.c.arguments",
        "queues.d.deadLetter",
        'queues."".name',
        "queues.amq.gen.name",
      ],
    ],
  ])("%s: refused at once, all of them together, no secret shown", (_, options, expected) => {
    expect(problemsOf(options)).toEqual(expected);
  });
});

describe("topology", () => {
  test("ensure declares exchange, queue, dead-letter queue and bindings as they are to be, again after a reconnect", async () => {
    const [exchange, queue, deadLetters, deadQueue] = ["exchange", "queue", "dead", "dead"].map(testName) as [
      string,
      string,
      string,
      string,
    ];
    for (const name of [queue, deadQueue]) queues.remember("queue", name);
    for (const name of [exchange, deadLetters]) queues.remember("exchange", name);
    const transport = ours({
      url: broker.url,
      topics: { orders: { exchange } },
      queues: [
        {
          name: queue,
          bindings: [{ exchange, routingKey: "orders" }],
          lengthMax: 10,
          messageTtlMs: 3_600_000,
          deadLetter: { exchange: deadLetters, queue: deadQueue },
        },
      ],
    });
    await transport.start({ deadlineMs });
    // The same declaration is no difference; another one would be.
    await queues.channel.assertQueue(queue, {
      durable: true,
      arguments: {
        "x-queue-type": "quorum",
        "x-single-active-consumer": true,
        "x-delivery-limit": 1_000_000_000,
        "x-max-length": 10,
        "x-overflow": "reject-publish",
        "x-message-ttl": 3_600_000,
        "x-dead-letter-exchange": deadLetters,
        "x-dead-letter-routing-key": queue,
        "x-dead-letter-strategy": "at-least-once",
      },
    });
    expect(outcomeText((await transport.publish([outgoing()], { deadlineMs }))[0])).toBe("confirmed");
    // What is given up arrives in the dead-letter queue.
    const [taken] = await new Promise<readonly Parameters<typeof queues.channel.reject>[0][]>((resolve, reject) => {
      queues.channel.consume(queue, (message) => message !== null && resolve([message])).catch(reject);
    });
    if (taken === undefined) throw new Error("nothing was delivered");
    queues.channel.reject(taken, false);
    await waitUntil(async () => (await queues.channel.checkQueue(deadQueue)).messageCount === 1, {
      what: "it is a dead letter",
      deadlineMs,
    });
  });

  test("check takes what is there, and says what is not", async () => {
    const exchange = await queues.exchange("direct");
    const missing = testName("missing");
    const there = ours({ url: broker.url, topics: { orders: { exchange } }, topology: "check" });
    await there.start({ deadlineMs });
    const notThere = ours({ url: broker.url, topics: { orders: { exchange: missing }, payments: { exchange } }, topology: "check" });
    await expect(notThere.start({ deadlineMs })).rejects.toMatchObject({
      code: "WAYBILL_TOPOLOGY",
      facts: { what: "exchange", name: missing, brokerCode: "404" },
    });
    await queues.queue(exchange, { routingKey: "payments" });
    const outcomes = await notThere.publish([outgoing(), outgoing({ topic: "payments" })], { deadlineMs });
    expect(outcomes.map(outcomeText)).toEqual(["retry topic topologyRefused 404", "confirmed"]);
    // Made by hand, it is used without a restart.
    await queues.channel.assertExchange(missing, "topic");
    queues.remember("exchange", missing);
    await queues.queue(missing);
    expect(outcomeText((await notThere.publish([outgoing()], { deadlineMs }))[0])).toBe("confirmed");
  });

  test("an exchange of another kind stops the start, named with the argument", async () => {
    const exchange = await queues.exchange("direct");
    const transport = ours({ url: broker.url, topics: { orders: { exchange } } });
    await expect(transport.start({ deadlineMs })).rejects.toMatchObject({
      code: "WAYBILL_TOPOLOGY",
      facts: { what: "exchange", name: exchange, argument: "type", brokerCode: "406" },
    });
  });

  test("partitions: a key's messages are in one queue, the one that Kafka would choose", async () => {
    const exchange = await queues.exchange();
    const names = await Promise.all([0, 1, 2].map((partition) => queues.queue(exchange, { routingKey: `orders.${partition}` })));
    const transport = ours({ url: broker.url, topics: { orders: { exchange, partitions: 3 } } });
    const batch = [outgoing({ key: "order-42" }), outgoing({ key: "21" }), outgoing({ key: "order-42" })];
    expect((await transport.publish(batch, { deadlineMs })).map(outcomeText)).toEqual(["confirmed", "confirmed", "confirmed"]);
    const found = await Promise.all(names.map(async (name) => (await queues.takeMessages(name)).map(({ key }) => key)));
    const placeOf = (key: string): readonly number[] => found.flatMap((keys, place) => keys.filter((one) => one === key).map(() => place));
    expect(placeOf("order-42")).toEqual([501153024 % 3, 501153024 % 3]);
    expect(placeOf("21")).toEqual([(-973932308 & 0x7fffffff) % 3]);
  });
});

describe("the transport", () => {
  test("pipelineKeys: messages of a key follow each other without waiting, in their order", async () => {
    const exchange = await queues.exchange();
    const queue = await queues.queue(exchange);
    const transport = ours({ url: broker.url, topics: { orders: { exchange } }, pipelineKeys: true });
    // Small ones are written by us, large and empty ones by the driver.
    const bytes = (place: number): number => (place % 7 === 3 ? 50_000 : place % 11 === 5 ? 0 : 500);
    const messages = Array.from({ length: 300 }, (_, place) => outgoing({ key: "order-42", payload: Buffer.alloc(bytes(place), place) }));
    expect(new Set((await transport.publish(messages, { deadlineMs })).map(outcomeText))).toEqual(new Set(["confirmed"]));
    expect((await queues.takeMessages(queue)).map(({ id }) => id)).toEqual(messages.map(({ id }) => id));
  });

  test("more exchanges than it has channels: all are served, one after the other", async () => {
    const shared = await queues.exchange();
    const queue = await queues.queue(shared);
    const names = Array.from({ length: 70 }, () => testName("exchange"));
    for (const name of names) {
      queues.remember("exchange", name);
      await queues.channel.assertExchange(name, "topic");
      await queues.channel.bindQueue(queue, name, "#");
    }
    const transport = ours({ url: broker.url });
    for (const topic of names) {
      const outcomes = await transport.publish([outgoing({ topic })], { deadlineMs });
      expect(outcomes.map(outcomeText)).toEqual(["confirmed"]);
    }
    expect(await queues.take(queue)).toHaveLength(70);
  });

  test("the same message twice in one call is on its way once, and both are answered", async () => {
    const exchange = await queues.exchange();
    const queue = await queues.queue(exchange);
    const transport = ours({ url: broker.url, topics: { orders: { exchange } } });
    for (let call = 0; call < 2; call += 1) {
      const message = outgoing();
      const outcomes = await transport.publish([message, message, outgoing()], { deadlineMs });
      expect(outcomes.map(outcomeText)).toEqual(["confirmed", "confirmed", "confirmed"]);
      expect(await queues.take(queue)).toHaveLength(2);
    }
  });

  test("a topic that names no exchange is rejected, and its neighbours go on", async () => {
    const exchange = await queues.exchange();
    await queues.queue(exchange);
    const transport = ours({ url: broker.url, topics: { orders: { exchange } } });
    const outcomes = await transport.publish([outgoing({ topic: "" }), outgoing({ topic: "no topic" }), outgoing()], { deadlineMs });
    expect(outcomes.map(outcomeText)).toEqual(["rejected topicInvalid", "rejected topicInvalid", "confirmed"]);
  });
});
