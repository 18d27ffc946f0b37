/**
 * What the client library and the broker behind it really do (A1 to A18, A20, B2, B3), each with the proof that we live with it. Where it
 * is cheap, the library's own behaviour is shown first: without it, nobody could tell whether the defence is still needed.
 */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { inspect } from "node:util";
import { isWaybillError, type OutgoingMessage, type PublishOutcome, type WaybillEvent } from "@waybill/core";
import { type RabbitmqTransport, type RabbitmqTransportOptions, rabbitmqTransport } from "@waybill/rabbitmq";
import { type FaultProxy, type StartedRabbitmq, startFaultProxy, testName, waitUntil } from "@waybill/testing";
import { type ChannelModel, type ConfirmChannel, connect } from "amqplib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { channelWriter } from "../src/channel-writer.ts";
import type { DriverConfirmChannel } from "../src/driver.ts";
import { outcomeText } from "./outcome-text.ts";
import { outgoing } from "./outgoing.ts";
import { ownNodes } from "./own-nodes.ts";
import { fullQueue, type TestQueues, testQueues } from "./test-queues.ts";

const deadlineMs = 30_000;
/** What the nodes of these tests take. */
const messageBytesMax = 200_000;

describe.each(ownNodes)("with $name,", ({ start }) => {
  let node: StartedRabbitmq;
  let queues: TestQueues;
  let proxy: FaultProxy;
  let events: WaybillEvent[];
  let opened: RabbitmqTransport[];
  let connections: RawConnection[];

  beforeAll(async () => {
    node = await start({ messageBytesMax });
  }, 600_000);
  afterAll(async () => {
    await node.stop();
  });
  beforeEach(async () => {
    events = [];
    opened = [];
    connections = [];
    queues = await testQueues(node.url);
    proxy = await startFaultProxy({ target: { host: node.host, port: node.port } });
  });
  afterEach(async () => {
    for (const transport of opened) await transport.close({ deadlineMs: 2_000 });
    await proxy.stop();
    for (const connection of connections) connection.connection.stream.destroy(new Error("the test is over"));
    await queues.dispose();
  });

  /** A transport of ours, through the proxy. */
  const ours = (options: Partial<RabbitmqTransportOptions> = {}): RabbitmqTransport => {
    const transport = rabbitmqTransport({ url: proxy.url(node.url), onEvent: (event) => events.push(event), ...options });
    opened.push(transport);
    return transport;
  };
  /** The library by itself, through the proxy. */
  const raw = async (): Promise<RawConnection> => {
    const connection = (await connect(`${proxy.url(node.url)}?heartbeat=10`)) as RawConnection;
    connections.push(connection);
    return connection;
  };
  const rawConfirms = async (): Promise<ConfirmChannel> => {
    const connection = await raw();
    connection.on("error", () => undefined);
    const channel = await connection.createConfirmChannel();
    channel.on("error", () => undefined);
    return channel;
  };
  const confirmOf = (channel: ConfirmChannel, exchange: string, key: string, mandatory: boolean, content = "x"): Promise<Error | null> =>
    new Promise((resolve) => {
      channel.publish(exchange, key, Buffer.from(content), { mandatory }, (error: Error | null) => resolve(error));
    });
  const eventsNamed = (name: WaybillEvent["name"]): readonly WaybillEvent[] => events.filter((event) => event.name === name);
  const kinds = (outcomes: readonly PublishOutcome[]): Readonly<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const outcome of outcomes) {
      const word = outcome.kind === "confirmed" ? "confirmed" : outcomeText(outcome);
      counts[word] = (counts[word] ?? 0) + 1;
    }
    return counts;
  };
  /** Publishes until everything is confirmed, as a relay does, and answers every outcome there was. */
  const publishUntilConfirmed = async (
    transport: RabbitmqTransport,
    messages: readonly OutgoingMessage[],
  ): Promise<readonly PublishOutcome[]> => {
    const seen: PublishOutcome[] = [];
    let left = messages;
    await waitUntil(
      async () => {
        const outcomes = await transport.publish(left, { deadlineMs: 5_000 });
        seen.push(...outcomes);
        left = left.filter((_, place) => outcomes[place]?.kind !== "confirmed");
        return left.length === 0;
      },
      { what: "everything is confirmed", deadlineMs, intervalMs: 50 },
    );
    return seen;
  };

  describe("A1", () => {
    test("the library: what no queue takes is acked unless it is mandatory", async () => {
      const exchange = await queues.exchange();
      expect(await confirmOf(await rawConfirms(), exchange, "nobody", false)).toBeNull();
    });

    test("a message that no queue takes is never confirmed", async () => {
      const exchange = await queues.exchange();
      const transport = ours({ topics: { orders: { exchange } } });
      const [outcome] = await transport.publish([outgoing()], { deadlineMs });
      expect(outcomeText(outcome)).toBe("retry topic unroutable 312");
      expect(eventsNamed("rabbitmq.returned")).toHaveLength(1);
    });
  });

  describe("A2", () => {
    test("the library: a message that is returned is acked all the same", async () => {
      const exchange = await queues.exchange();
      const channel = await rawConfirms();
      const seen: string[] = [];
      channel.on("return", () => seen.push("return"));
      expect(await confirmOf(channel, exchange, "nobody", true)).toBeNull();
      expect(seen).toEqual(["return"]);
    });

    test("unbinding under load: exactly what is confirmed is in the queue, and the rest waits", async () => {
      const exchange = await queues.exchange();
      const queue = await queues.queue(exchange);
      const transport = ours({ topics: { orders: { exchange } } });
      const confirmed = new Set<string>();
      const waiting: OutgoingMessage[] = [];
      const publish = async (messages: readonly OutgoingMessage[]): Promise<void> => {
        const outcomes = await transport.publish(messages, { deadlineMs });
        for (const [place, message] of messages.entries()) {
          const outcome = outcomes[place];
          if (outcome?.kind === "confirmed") confirmed.add(message.id);
          else {
            expect(outcomeText(outcome)).toBe("retry topic unroutable 312");
            waiting.push(message);
          }
        }
      };
      let isBound = true;
      const flip = async (): Promise<void> => {
        for (let turn = 0; turn < 10; turn += 1) {
          if (isBound) await queues.channel.unbindQueue(queue, exchange, "#");
          else await queues.channel.bindQueue(queue, exchange, "#");
          isBound = !isBound;
        }
      };
      await Promise.all([
        flip(),
        ...Array.from({ length: 8 }, async () => {
          for (let call = 0; call < 10; call += 1) await publish(Array.from({ length: 20 }, () => outgoing()));
        }),
      ]);
      // So that both ends were seen, however the race went.
      await queues.channel.unbindQueue(queue, exchange, "#");
      await publish([outgoing()]);
      await queues.channel.bindQueue(queue, exchange, "#");
      await publish([outgoing()]);
      expect(waiting.length).toBeGreaterThan(0);
      expect(new Set((await queues.takeMessages(queue)).map(({ id }) => id))).toEqual(confirmed);
      await publishUntilConfirmed(transport, waiting);
      expect((await queues.takeMessages(queue)).length).toBe(waiting.length);
    });
  });

  describe("A3", () => {
    test("the broker: a full queue with drop-head deletes what it has acked", async () => {
      const exchange = await queues.exchange();
      const queue = await queues.queue(exchange, {
        declare: { arguments: { "x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "drop-head" } },
      });
      const channel = await rawConfirms();
      for (const content of ["a", "b", "c"]) expect(await confirmOf(channel, exchange, "k", true, content)).toBeNull();
      expect((await queues.take(queue)).length).toBeLessThan(3);
    });

    test("a declaration with drop-head is refused before anything is opened", () => {
      const queue = { name: "orders", lengthMax: 10, arguments: { "x-overflow": "drop-head" } };
      expect(() => ours({ queues: [queue] })).toThrow(
        expect.objectContaining({
          code: "WAYBILL_CONFIG_INVALID",
          facts: { problems: [expect.objectContaining({ option: "queues.orders.arguments" })] },
        }),
      );
    });

    test("a queue that is there with drop-head stops the start, named with the argument", async () => {
      const exchange = await queues.exchange();
      const name = await queues.queue(exchange, {
        declare: {
          arguments: { "x-queue-type": "quorum", "x-max-length": 10, "x-overflow": "drop-head", "x-delivery-limit": 1_000_000_000 },
        },
      });
      const declared = { name, isKeyed: false, lengthMax: 10, bindings: [{ exchange, routingKey: "#" }] };
      const transport = ours({ topics: { orders: { exchange } }, queues: [declared] });
      await expect(transport.start({ deadlineMs })).rejects.toMatchObject({
        code: "WAYBILL_TOPOLOGY",
        facts: { what: "queue", name, argument: "x-overflow", brokerCode: "406" },
      });
      const [outcome] = await transport.publish([outgoing()], { deadlineMs });
      expect(outcomeText(outcome)).toBe("retry topic topologyRefused 406");
      expect(await queues.take(name)).toEqual([]);
    });
  });

  describe("the linter, with the management API,", () => {
    test("A3 a policy that lets a queue of others delete its oldest messages stops the start", async () => {
      const exchange = await queues.exchange();
      const queue = await queues.queue(exchange);
      const policy = testName("policy");
      await node.ctl("set_policy", policy, `^${queue}$`, '{"max-length":5}', "--apply-to", "queues");
      try {
        const transport = ours({ topics: { orders: { exchange } }, managementUrl: node.managementUrl });
        // The statistics behind the API learn of a policy in their own time.
        await waitUntil(
          async () => {
            const error: unknown = await transport.start({ deadlineMs }).catch((thrown: unknown) => thrown);
            return isWaybillError(error, "WAYBILL_TOPOLOGY") && error.facts.argument === "x-overflow" && error.facts.name === queue;
          },
          { what: "the start is refused for the policy", deadlineMs, intervalMs: 200 },
        );
      } finally {
        await node.ctl("clear_policy", policy);
      }
    });

    test("a queue that loses what expires, and an alternate exchange, are told", async () => {
      const elsewhere = await queues.exchange("fanout");
      const exchange = await queues.exchange("topic", { alternateExchange: elsewhere });
      const queue = await queues.queue(exchange, { declare: { arguments: { "x-queue-type": "classic", "x-message-ttl": 60_000 } } });
      const transport = ours({ topics: { orders: { exchange } }, topology: "check", managementUrl: node.managementUrl });
      await expect(transport.start({ deadlineMs })).rejects.toMatchObject({
        code: "WAYBILL_TOPOLOGY",
        facts: { what: "queue", name: queue, argument: "x-message-ttl" },
      });
      expect(eventsNamed("rabbitmq.topologyRisky")).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ what: "exchange", object: exchange, rule: expect.stringContaining("counts as delivered") }),
          expect.objectContaining({ what: "queue", object: queue, rule: expect.stringContaining("one node only") }),
        ]),
      );
    });

    test("queues of ours pass, and dead letters to nowhere do not", async () => {
      const [exchange, queue, deadExchange, deadQueue] = ["exchange", "queue", "dead", "dead"].map(testName) as [
        string,
        string,
        string,
        string,
      ];
      for (const name of [queue, deadQueue]) queues.remember("queue", name);
      for (const name of [exchange, deadExchange]) queues.remember("exchange", name);
      const declared = { name: queue, bindings: [{ exchange, routingKey: "#" }], deadLetter: { exchange: deadExchange, queue: deadQueue } };
      const transport = ours({ topics: { orders: { exchange } }, queues: [declared], managementUrl: node.managementUrl });
      await transport.start({ deadlineMs });
      await queues.channel.unbindQueue(deadQueue, deadExchange, "#");
      const checking = ours({ topics: { orders: { exchange } }, queues: [declared], topology: "check", managementUrl: node.managementUrl });
      await expect(checking.start({ deadlineMs })).rejects.toMatchObject({
        code: "WAYBILL_TOPOLOGY",
        facts: { name: queue, argument: "x-dead-letter-exchange" },
      });
    });

    test("an API that does not answer, or lets us not in, is told without its credentials", async () => {
      for (const [managementUrl, reason] of [
        ["http://guest:hunter2@127.0.0.1:1", "managementUnreachable"],
        [node.managementUrl.replace("guest:guest", "guest:hunter2"), "managementRefused"],
      ] as const) {
        const error: unknown = await ours({ managementUrl })
          .start({ deadlineMs })
          .catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: "WAYBILL_TRANSPORT", facts: { reason } });
        expect(inspect(error, { depth: 20, showHidden: true })).not.toContain("hunter2");
      }
    });
  });

  describe("A4", () => {
    // class and method, as they go over the wire
    const steps: readonly (readonly [name: string, pattern: string | Uint8Array])[] = [
      ["the greeting", "AMQP"],
      ["the login", "PLAIN"],
      ["opening the connection", Uint8Array.of(0, 10, 0, 40)],
      ["opening a channel", Uint8Array.of(0, 20, 0, 10)],
      ["declaring the exchange", Uint8Array.of(0, 40, 0, 10)],
      ["declaring the queue", Uint8Array.of(0, 50, 0, 10)],
      ["asking for confirms", Uint8Array.of(0, 85, 0, 10)],
      ["publishing", Uint8Array.of(0, 60, 0, 40)],
    ];

    test.each(steps)("a connection that is cut at %s harms no process and loses nothing", async (_, pattern) => {
      const [exchange, queue] = [testName("exchange"), testName("queue")];
      queues.remember("exchange", exchange);
      queues.remember("queue", queue);
      for (const at of ["beforeRequest", "afterRequest", "beforeReply"] as const) {
        const transport = ours({
          topics: { orders: { exchange } },
          queues: [{ name: queue, bindings: [{ exchange, routingKey: "#" }] }],
        });
        const fault = proxy.inject({ kind: "cut", at, pattern });
        const messages = Array.from({ length: 5 }, () => outgoing());
        await publishUntilConfirmed(transport, messages);
        expect(fault.fired, at).toBe(1);
        const ids = new Set((await queues.takeMessages(queue)).map(({ id }) => id));
        expect(ids, at).toEqual(new Set(messages.map(({ id }) => id)));
        await transport.close({ deadlineMs: 2_000 });
      }
    });

    test("an idle connection that is cut comes back by itself", async () => {
      const exchange = await queues.exchange();
      await queues.queue(exchange);
      const transport = ours({ topics: { orders: { exchange } } });
      await publishUntilConfirmed(transport, [outgoing()]);
      for (let time = 1; time <= 3; time += 1) {
        proxy.cutAll();
        await waitUntil(() => eventsNamed("rabbitmq.connected").length === time + 1, { what: "it is connected again", deadlineMs });
      }
      await publishUntilConfirmed(transport, [outgoing()]);
    });
  });

  describe("A5", () => {
    test("the library: a channel's error without a listener closes the connection", async () => {
      const connection = await raw();
      connection.on("error", () => undefined);
      const channel = await connection.createChannel();
      const closed = new Promise((resolve) => connection.once("close", resolve));
      channel.checkExchange(testName("missing")).catch(() => undefined);
      await closed;
    });

    test("a channel that the broker closes costs its own exchange only", async () => {
      const [gone, there] = [testName("missing"), await queues.exchange()];
      const queue = await queues.queue(there);
      const transport = ours({ topics: { lost: { exchange: gone }, orders: { exchange: there } }, topology: "none" });
      const batch = [outgoing({ topic: "lost" }), ...Array.from({ length: 50 }, () => outgoing())];
      const outcomes = await transport.publish(batch, { deadlineMs });
      expect(kinds(outcomes)).toEqual({ confirmed: 50, "retry topic channelException 404": 1 });
      expect(eventsNamed("rabbitmq.lost")).toEqual([]);
      expect((await queues.take(queue)).length).toBe(50);
    });
  });

  describe("A6", () => {
    test.each(["a forced close", "the loss of the socket"] as const)("%s is one loss and one reconnect", async (way) => {
      const exchange = await queues.exchange();
      await queues.queue(exchange);
      const transport = ours({ topics: { orders: { exchange } }, connectionName: testName("waybill") });
      await publishUntilConfirmed(transport, [outgoing()]);
      if (way === "a forced close") await node.ctl("close_all_connections", "--limit", "100", "maintenance");
      else proxy.cutAll();
      await waitUntil(() => eventsNamed("rabbitmq.connected").length >= 2, { what: "it is connected again", deadlineMs });
      await publishUntilConfirmed(transport, [outgoing()]);
      expect(eventsNamed("rabbitmq.lost")).toHaveLength(1);
      expect(eventsNamed("rabbitmq.connected")).toHaveLength(2);
      if (way === "a forced close") expect(eventsNamed("rabbitmq.lost")[0]).toMatchObject({ reason: "connectionLost", brokerCode: "320" });
    });
  });

  test("A7 every message has its outcome when the connection is cut with confirms outstanding, and confirmed ones are stored", async () => {
    const exchange = await queues.exchange();
    const queue = await queues.queue(exchange);
    const transport = ours({ topics: { orders: { exchange } } });
    const confirmed = new Set<string>();
    const published: string[] = [];
    for (let round = 0; round < 10; round += 1) {
      const messages = Array.from({ length: 200 }, () => outgoing());
      published.push(...messages.map(({ id }) => id));
      await publishUntilConfirmed(transport, [outgoing()]); // connected
      const fault = proxy.inject({ kind: "cut", at: "beforeReply", pattern: messages[100 + round]?.id ?? "" });
      const outcomes = await transport.publish(messages, { deadlineMs });
      expect(fault.fired).toBe(1);
      expect(outcomes).toHaveLength(200);
      for (const [place, outcome] of outcomes.entries()) {
        if (outcome.kind === "confirmed") confirmed.add(messages[place]?.id ?? "");
        else expect(outcomeText(outcome)).toMatch(/^(unknown transport connectionLost|retry transport )/);
      }
    }
    const stored = new Set((await queues.takeMessages(queue)).map(({ id }) => id));
    expect([...confirmed].filter((id) => !stored.has(id))).toEqual([]);
    expect(published.length).toBe(2_000);
  });

  test("A8 a confirm that is lost leaves the outcome unknown, the message stored, and the same id when it is published again", async () => {
    const exchange = await queues.exchange();
    const queue = await queues.queue(exchange);
    const transport = ours({ topics: { orders: { exchange } } });
    const message = outgoing();
    const fault = proxy.inject({ kind: "swallowReplies", pattern: message.id });
    const [outcome] = await transport.publish([message], { deadlineMs: 1_000 });
    expect(outcomeText(outcome)).toBe("unknown transport deadline");
    expect(fault.fired).toBe(1);
    await publishUntilConfirmed(transport, [message]);
    expect((await queues.takeMessages(queue)).map(({ id }) => id)).toEqual([message.id, message.id]);
  });

  describe("A9", () => {
    test.each([0, 4, 11, 7.5])("a heartbeat of %s seconds is refused", (heartbeatSeconds) => {
      expect(() => ours({ heartbeatSeconds })).toThrow(
        expect.objectContaining({ facts: { problems: [expect.objectContaining({ option: "heartbeatSeconds" })] } }),
      );
    });

    test("on a half-open connection a message is unknown at its deadline, and the next connection takes it", async () => {
      const exchange = await queues.exchange();
      const queue = await queues.queue(exchange);
      const transport = ours({ topics: { orders: { exchange } } });
      await publishUntilConfirmed(transport, [outgoing()]);
      const hole = proxy.inject({ kind: "blackHole" });
      const message = outgoing();
      const [outcome] = await transport.publish([message], { deadlineMs: 500 });
      expect(outcomeText(outcome)).toBe("unknown transport deadline");
      expect(hole.fired).toBeGreaterThan(0);
      hole.lift();
      await publishUntilConfirmed(transport, [message]);
      expect((await queues.takeMessages(queue)).map(({ id }) => id)).toContain(message.id);
    });

    test("a half-open connection that nobody uses is found by its heartbeat", async () => {
      const exchange = await queues.exchange();
      await queues.queue(exchange);
      const transport = ours({ topics: { orders: { exchange } }, heartbeatSeconds: 5 });
      await publishUntilConfirmed(transport, [outgoing()]);
      proxy.inject({ kind: "blackHole" });
      await waitUntil(() => eventsNamed("rabbitmq.lost").length === 1, { what: "the heartbeat finds it", deadlineMs: 40_000 });
    });
  });

  test("a queue that never confirms costs its own exchange only, and its messages are published again", async () => {
    const [stalled, there] = [await queues.exchange(), await queues.exchange()];
    const queue = await queues.queue(stalled);
    await queues.queue(there);
    const transport = ours({ topics: { stalled: { exchange: stalled }, orders: { exchange: there } } });
    await publishUntilConfirmed(transport, [outgoing(), outgoing({ topic: "stalled" })]);
    // As a quorum queue without a majority does.
    const leader = `whereis(list_to_atom("%2F_${queue}"))`;
    await node.ctl("eval", `sys:suspend(${leader}).`);
    const waiting = Array.from({ length: 3 }, () => outgoing({ topic: "stalled" }));
    try {
      const [outcomes, neighbours] = await Promise.all([
        transport.publish(waiting, { deadlineMs: 2_000 }),
        transport.publish(
          Array.from({ length: 20 }, () => outgoing()),
          { deadlineMs },
        ),
      ]);
      expect(kinds(outcomes)).toEqual({ "unknown topic deadline": 3 });
      expect(kinds(neighbours)).toEqual({ confirmed: 20 });
    } finally {
      await node.ctl("eval", `sys:resume(${leader}).`);
    }
    await publishUntilConfirmed(transport, [outgoing(), ...waiting]);
    expect(eventsNamed("rabbitmq.lost")).toEqual([]);
  });

  test.each([
    ["memory", ["set_vm_memory_high_watermark", "0.00001"], ["set_vm_memory_high_watermark", "0.4"]],
    ["disk", ["set_disk_free_limit", "999999GB"], ["set_disk_free_limit", "50MB"]],
  ])("A10 an alarm about %s stops all writes, keeps what is on its way, and ends", async (word, raise, clear) => {
    const exchange = await queues.exchange();
    const queue = await queues.queue(exchange);
    const transport = ours({ topics: { orders: { exchange } } });
    await publishUntilConfirmed(transport, [outgoing()]);
    await queues.take(queue);
    await node.ctl(...raise);
    const first = outgoing({ key: "a" });
    const second = outgoing({ key: "b" });
    try {
      // The broker blocks whoever publishes: this message is what tells us.
      const [outcome] = await transport.publish([first], { deadlineMs: 2_000 });
      expect(outcomeText(outcome)).toBe("unknown transport blocked");
      expect(eventsNamed("rabbitmq.blocked")).toEqual([expect.objectContaining({ reason: expect.stringContaining(word) })]);
      // What is on its way stays unknown and is not written twice; anything else is surely not written.
      const again = await transport.publish([first, second], { deadlineMs });
      expect(again.map(outcomeText)).toEqual(["unknown transport blocked", "retry transport blocked"]);
      expect(eventsNamed("rabbitmq.lost")).toEqual([]);
    } finally {
      await node.ctl(...clear);
    }
    await waitUntil(() => eventsNamed("rabbitmq.unblocked").length === 1, { what: "the alarm is over", deadlineMs });
    await publishUntilConfirmed(transport, [second]);
    const ids = (await queues.takeMessages(queue)).map(({ id }) => id);
    expect(ids).toEqual([first.id, second.id]);
    expect(eventsNamed("rabbitmq.lost")).toEqual([]);
  });

  test("A10 a broker that blocks for longer than allowed is given up, and everything on its way is unknown", async () => {
    const exchange = await queues.exchange();
    await queues.queue(exchange);
    const transport = ours({ topics: { orders: { exchange } }, blockedLimitMs: 1_000 });
    await publishUntilConfirmed(transport, [outgoing()]);
    await node.ctl("set_vm_memory_high_watermark", "0.00001");
    try {
      const [outcome] = await transport.publish([outgoing()], { deadlineMs });
      expect(outcomeText(outcome)).toBe("unknown transport blockedLimit");
      expect(eventsNamed("rabbitmq.lost")[0]).toMatchObject({ reason: "blockedLimit" });
    } finally {
      await node.ctl("set_vm_memory_high_watermark", "0.4");
    }
    await publishUntilConfirmed(transport, [outgoing()]);
  });

  describe("A11", () => {
    const payload = Buffer.alloc(100_000, "x");
    const count = 1_500;

    test("the library: takes whatever it is given while nobody reads, and sends it later", async () => {
      const exchange = await queues.exchange();
      const channel = await rawConfirms();
      const hole = proxy.inject({ kind: "blackHole" });
      let confirmed = 0;
      const answers = Array.from({ length: count }, () => channel.publish(exchange, "k", payload, {}, () => (confirmed += 1)));
      expect(answers).toContain(false);
      hole.lift();
      await waitUntil(() => confirmed === count, { what: "150 MB that were said not to fit have arrived", deadlineMs });
    });

    test("of what waits for a broker that does not read, 4 MiB are written and the rest surely is not", async () => {
      const exchange = await queues.exchange();
      const queue = await queues.queue(exchange);
      const transport = ours({ topics: { orders: { exchange } } });
      await publishUntilConfirmed(transport, [outgoing()]);
      await queues.take(queue);
      const hole = proxy.inject({ kind: "blackHole" });
      const messages = Array.from({ length: 200 }, () => outgoing({ payload }));
      const outcomes = await transport.publish(messages, { deadlineMs: 1_000 });
      const written = new Set(messages.filter((_, place) => outcomes[place]?.kind === "unknown").map(({ id }) => id));
      expect(written.size).toBeGreaterThan(0);
      expect(written.size).toBeLessThanOrEqual(42);
      expect(outcomes.filter(({ kind }) => kind === "retry").length).toBe(200 - written.size);
      hole.lift();
      await publishUntilConfirmed(transport, [outgoing()]);
      const stored = (await queues.takeMessages(queue)).map(({ id }) => id);
      const retried = new Set(messages.map(({ id }) => id).filter((id) => !written.has(id)));
      expect(stored.filter((id) => retried.has(id))).toEqual([]);
    });
  });

  describe("A14", () => {
    test("the library: refuses headers beyond 64 KiB by throwing", async () => {
      const channel = await rawConfirms();
      expect(() => channel.publish("", "k", Buffer.alloc(0), { headers: { large: "x".repeat(70_000) } })).toThrow(RangeError);
    });

    test("a message that cannot be encoded is rejected, and its neighbours go on", async () => {
      const exchange = await queues.exchange();
      const queue = await queues.queue(exchange);
      const transport = ours({ topics: { orders: { exchange } } });
      const large = outgoing({ headers: new Map([["large", "x".repeat(70_000)]]) });
      const longType = outgoing({ type: "t".repeat(256) });
      const outcomes = await transport.publish([outgoing(), large, outgoing(), longType, outgoing()], { deadlineMs });
      expect(outcomes.map(outcomeText)).toEqual([
        "confirmed",
        "rejected headersInvalid",
        "confirmed",
        "rejected messageInvalid",
        "confirmed",
      ]);
      expect((await queues.take(queue)).length).toBe(3);
    });
  });

  test("A15 a frame of a hostile size is refused from its header", async () => {
    const hostile = createServer((socket) => {
      socket.on("error", () => undefined);
      // A method frame on channel 0 of 2 GiB, of which only the header ever comes.
      socket.once("data", () => socket.write(Buffer.from([1, 0, 0, 0x7f, 0xff, 0xff, 0xff])));
    });
    hostile.listen(0, "127.0.0.1");
    await once(hostile, "listening");
    const { port } = hostile.address() as { port: number };
    try {
      const transport = ours({ url: `amqp://127.0.0.1:${port}` });
      await expect(transport.start({ deadlineMs: 5_000 })).rejects.toMatchObject({
        code: "WAYBILL_TRANSPORT",
        facts: { reason: "handshakeFailed" },
      });
      const [outcome] = await transport.publish([outgoing()], { deadlineMs });
      expect(outcome?.kind === "retry" && outcome.scope).toBe("transport");
      await transport.close({ deadlineMs: 1_000 });
    } finally {
      hostile.close();
    }
  });

  test("A16 a broker that is killed while messages are on their way costs repetitions, never a message", async () => {
    const exchange = await queues.exchange();
    // Classic: 3.10 finds no leader for a quorum queue of one node that was killed, and never confirms to it again.
    const queue = await queues.queue(exchange, { declare: { arguments: { "x-queue-type": "classic" } } });
    const transport = ours({ url: node.url, topics: { orders: { exchange } } });
    await publishUntilConfirmed(transport, [outgoing()]);
    const confirmed = new Set<string>();
    let isOver = false;
    const publishing = (async () => {
      while (!isOver) {
        const messages = Array.from({ length: 50 }, () => outgoing());
        let left: readonly OutgoingMessage[] = messages;
        while (left.length > 0) {
          const outcomes = await transport.publish(left, { deadlineMs: 2_000 });
          for (const [place, { id }] of left.entries()) if (outcomes[place]?.kind === "confirmed") confirmed.add(id);
          left = left.filter(({ id }) => !confirmed.has(id));
          if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    })();
    await waitUntil(() => confirmed.size > 200, { what: "messages flow", deadlineMs });
    await node.kill("SIGKILL");
    await waitUntil(() => eventsNamed("rabbitmq.lost").length > 0, { what: "the loss is noticed", deadlineMs });
    await node.restart();
    const before = confirmed.size;
    await waitUntil(() => confirmed.size > before + 200, { what: "messages flow again", deadlineMs: 90_000 });
    isOver = true;
    await publishing;
    const reader = await testQueues(node.url);
    const stored = new Set((await reader.takeMessages(queue)).map(({ id }) => id));
    await reader.dispose();
    expect([...confirmed].filter((id) => !stored.has(id))).toEqual([]);
  }, 240_000);

  test("A17 the library: a stream that is destroyed here is a connection that looks open", async () => {
    const connection = await raw();
    connection.on("error", () => undefined);
    let isClosed = false;
    connection.on("close", () => {
      isClosed = true;
    });
    const { stream } = connection.connection;
    stream.destroy();
    await once(stream, "close");
    expect(isClosed).toBe(false);
  });

  describe("A18", () => {
    test("the library: publishing to an exchange that is gone closes the channel with everything on it", async () => {
      const exchange = await queues.exchange();
      await queues.queue(exchange);
      const channel = await rawConfirms();
      const answers = [...Array.from({ length: 20 }, () => exchange), testName("missing")].map((to) => confirmOf(channel, to, "k", true));
      expect((await Promise.all(answers)).at(-1)).toBeInstanceOf(Error);
    });

    test("an exchange that is deleted under load stops its own topic, and all others go on", async () => {
      const [doomed, there] = [await queues.exchange(), await queues.exchange()];
      await queues.queue(doomed);
      const queue = await queues.queue(there);
      const transport = ours({ topics: { doomed: { exchange: doomed }, orders: { exchange: there } }, topology: "check" });
      const publishDoomed = async (): Promise<readonly PublishOutcome[]> =>
        await transport.publish(
          Array.from({ length: 20 }, () => outgoing({ topic: "doomed" })),
          { deadlineMs },
        );
      expect(kinds(await publishDoomed())).toEqual({ confirmed: 20 });
      const confirmed: PublishOutcome[] = [];
      const [, ended] = await Promise.all([
        (async () => {
          for (let call = 0; call < 20; call += 1)
            confirmed.push(
              ...(await transport.publish(
                Array.from({ length: 20 }, () => outgoing()),
                { deadlineMs },
              )),
            );
        })(),
        (async () => {
          await queues.channel.deleteExchange(doomed);
          return await publishDoomed();
        })(),
      ]);
      expect(kinds(confirmed)).toEqual({ confirmed: 400 });
      for (const outcome of ended) expect(outcomeText(outcome)).toMatch(/^(unknown topic channelException 404|retry topic .* 404)/);
      expect((await queues.take(queue)).length).toBe(400);
      // Back again: nothing but the exchange was missing.
      await queues.channel.assertExchange(doomed, "topic", { durable: true });
      await queues.queue(doomed);
      await publishUntilConfirmed(
        transport,
        Array.from({ length: 20 }, () => outgoing({ topic: "doomed" })),
      );
    });

    test("of a hundred messages the one that is too large is rejected, and the other ninety-nine are stored", async () => {
      const exchange = await queues.exchange();
      const queue = await queues.queue(exchange);
      const transport = ours({ topics: { orders: { exchange } } });
      const messages = Array.from({ length: 100 }, (_, place) =>
        outgoing(place === 42 ? { payload: Buffer.alloc(messageBytesMax + 1) } : {}),
      );
      const rejected = new Map<string, string>();
      let left: readonly OutgoingMessage[] = messages;
      let calls = 0;
      await waitUntil(
        async () => {
          calls += 1;
          const outcomes = await transport.publish(left, { deadlineMs });
          for (const [place, outcome] of outcomes.entries())
            if (outcome.kind === "rejected") rejected.set(left[place]?.id ?? "", outcomeText(outcome));
          left = left.filter((_, place) => outcomes[place]?.kind === "retry" || outcomes[place]?.kind === "unknown");
          return left.length === 0;
        },
        { what: "everything is settled", deadlineMs, intervalMs: 1 },
      );
      expect([...rejected]).toEqual([[messages[42]?.id, "rejected refused 406"]]);
      expect(calls).toBeLessThanOrEqual(3);
      const stored = new Set((await queues.takeMessages(queue)).map(({ id }) => id));
      expect(stored).toEqual(new Set(messages.filter((_, place) => place !== 42).map(({ id }) => id)));
      expect(eventsNamed("rabbitmq.culpritFound")).toEqual([expect.objectContaining({ messageId: messages[42]?.id, brokerCode: "406" })]);
      expect(eventsNamed("rabbitmq.lost")).toEqual([]);
    });
  });

  describe("A20", () => {
    const messages = 200;
    /** How often a channel's connection writes to its socket while `work` runs. */
    const writesOf = async (channel: ConfirmChannel, work: () => Promise<unknown>): Promise<number> => {
      const { stream } = channel.connection as unknown as RawConnection["connection"];
      let writes = 0;
      const write = stream.write.bind(stream) as (...given: unknown[]) => boolean;
      stream.write = ((...given: unknown[]) => {
        writes += 1;
        return write(...given);
      }) as Socket["write"];
      await work();
      return writes;
    };

    test("the library: every message is a write of its own, and so a system call", async () => {
      const exchange = await queues.exchange();
      await queues.queue(exchange);
      const channel = await rawConfirms();
      const all = (): Promise<unknown> => Promise.all(Array.from({ length: messages }, () => confirmOf(channel, exchange, "k", true)));
      expect(await writesOf(channel, all)).toBeGreaterThanOrEqual(messages);
    });

    test("messages of one turn leave in a few writes, and each has its confirm", async () => {
      const exchange = await queues.exchange();
      const queue = await queues.queue(exchange);
      const channel = await rawConfirms();
      // Null if the driver is not any more as we know it.
      const writer = channelWriter(channel as unknown as DriverConfirmChannel, exchange);
      const batch = Array.from({ length: messages }, () => outgoing());
      const all = (): Promise<unknown> =>
        Promise.all(batch.map((message) => new Promise<unknown>((resolve) => writer?.publish(message, "k", resolve))));
      expect(await writesOf(channel, all)).toBeLessThan(10);
      expect((await queues.takeMessages(queue)).map(({ id }) => id)).toEqual(batch.map(({ id }) => id));
    });
  });

  describe("B2", () => {
    /** Takes ten messages and drops the connection without a word, 25 times. */
    const dropOften = async (queue: string): Promise<void> => {
      for (let time = 0; time < 25; time += 1) {
        const connection = await connect(proxy.url(node.url));
        connection.on("error", () => undefined);
        const channel = await connection.createChannel();
        channel.on("error", () => undefined);
        await channel.prefetch(10);
        let delivered = 0;
        const ten = new Promise<void>((resolve) => {
          const countOne = (): void => {
            delivered += 1;
            if (delivered === 10) resolve();
          };
          channel.consume(queue, countOne, { noAck: false }).catch(() => undefined);
        });
        const atMost = new Promise<void>((resolve) => setTimeout(resolve, 3_000));
        await Promise.race([ten, atMost]);
        proxy.cutAll();
      }
    };

    test("ten messages in a queue of ours survive 25 connections that were dropped with them", async () => {
      const [exchange, queue] = [testName("exchange"), testName("queue")];
      queues.remember("exchange", exchange);
      queues.remember("queue", queue);
      const transport = ours({
        url: node.url,
        topics: { orders: { exchange } },
        queues: [{ name: queue, bindings: [{ exchange, routingKey: "#" }] }],
      });
      const messages = Array.from({ length: 10 }, () => outgoing());
      await publishUntilConfirmed(transport, messages);
      await dropOften(queue);
      const left = await waitUntil(
        async () => {
          const found = (await queues.takeMessages(queue)).map(({ id }) => id);
          return found.length > 0 ? found : null;
        },
        { what: "the messages are back in the queue", deadlineMs },
      );
      expect(new Set(left)).toEqual(new Set(messages.map(({ id }) => id)));
    });

    test("a delivery limit that can be reached is refused without a dead-letter queue, and -1 always", () => {
      for (const deliveryLimit of [20, -1]) {
        expect(() => ours({ queues: [{ name: "orders", deliveryLimit }] })).toThrow(
          expect.objectContaining({
            facts: { problems: expect.arrayContaining([expect.objectContaining({ option: "queues.orders.deliveryLimit" })]) },
          }),
        );
      }
    });
  });

  describe("B3", () => {
    test("the broker: of messages that follow each other without waiting, one is refused and a later one accepted", async () => {
      const exchange = await queues.exchange();
      const queue = await queues.queue(exchange, {
        declare: { arguments: { "x-queue-type": "classic", "x-max-length": 1, "x-overflow": "reject-publish" } },
      });
      const channel = await rawConfirms();
      const first = confirmOf(channel, exchange, "k", true);
      const second = confirmOf(channel, exchange, "k", true);
      await waitUntil(async () => (await queues.take(queue)).length > 0, { what: "the first is taken out", deadlineMs });
      await second;
      const third = confirmOf(channel, exchange, "k", true);
      expect((await Promise.all([first, second, third])).map((error) => error === null)).toEqual([true, false, true]);
    });

    test("a key stops at the first message that a full queue refuses, so nothing of it passes", async () => {
      const exchange = await queues.exchange();
      const queue = await queues.queue(exchange, {
        declare: { arguments: { "x-queue-type": "quorum", "x-max-length": 2, "x-overflow": "reject-publish" } },
      });
      const transport = ours({ topics: { orders: { exchange } } });
      const messages = Array.from({ length: 50 }, () => outgoing({ key: "order-42" }));
      const outcomes = await transport.publish(messages, { deadlineMs });
      const first = outcomes.findIndex(({ kind }) => kind !== "confirmed");
      expect(outcomeText(outcomes[first])).toBe("unknown topic nacked");
      for (const outcome of outcomes.slice(first + 1)) expect(outcomeText(outcome)).toBe("retry message behindItsKey");
      // Emptied again and again, it takes them all, in their order.
      const arrived: string[] = (await queues.takeMessages(queue)).map(({ id }) => id);
      let left: readonly OutgoingMessage[] = messages.slice(first);
      await waitUntil(
        async () => {
          const again = await transport.publish(left, { deadlineMs });
          arrived.push(...(await queues.takeMessages(queue)).map(({ id }) => id));
          const stopped = again.findIndex(({ kind }) => kind !== "confirmed");
          left = stopped === -1 ? [] : left.slice(stopped);
          return left.length === 0;
        },
        { what: "the queue has taken all", deadlineMs, intervalMs: 1 },
      );
      expect([...new Set(arrived)]).toEqual(messages.map(({ id }) => id));
    });

    test("a queue that refuses everything harms no neighbour", async () => {
      const [full, there] = [await queues.exchange(), await queues.exchange()];
      await queues.queue(full, { declare: fullQueue });
      await queues.queue(there);
      const transport = ours({ topics: { full: { exchange: full }, orders: { exchange: there } } });
      const batch = Array.from({ length: 40 }, (_, place) => outgoing({ topic: place % 2 === 0 ? "full" : "orders" }));
      expect(kinds(await transport.publish(batch, { deadlineMs }))).toEqual({ confirmed: 20, "unknown topic nacked": 20 });
    });
  });
});

/** The library's connection, with the socket that it does not show. */
type RawConnection = ChannelModel & { readonly connection: { readonly stream: Socket } };
