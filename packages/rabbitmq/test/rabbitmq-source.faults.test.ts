/** A source under faults of its broker, of the link to it, and of whoever handles its messages: on nodes of our own, which can be killed. */
import type { Delivery, OnEvent, OutgoingMessage, Settlement, Source, WaybillEvent } from "@waybill/core";
import { type FaultProxy, hasTurn, type StartedRabbitmq, startFaultProxy, startRabbitmq, waitUntil } from "@waybill/testing";
import { connect } from "amqplib";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { inspectRabbitmq, type RabbitmqSourceOptions, rabbitmqSource } from "../src/index.ts";
import { type ConsumerFixture, consumerFixture, faultless, placed, placedOf, verdict } from "./consumer-fixture.ts";
import { type QueueFixture, queueFixture } from "./queue-fixture.ts";

/** What a delivery must be settled within; the default is half an hour. */
const consumerTimeoutMs = 5_000;

const both: readonly { readonly name: string; readonly suite?: string }[] = [
  { name: "the installed RabbitMQ" },
  { name: "RabbitMQ 4", suite: "sid" },
];
const versions = both.filter((_, place) => hasTurn("rabbitmq source faults", place, both.length));

const done: Settlement = { kind: "done" };

/** Both versions run what they do differently; the rest runs on the newer one, too, when everything is asked for. */
const isAll = process.env.WAYBILL_TEST_ALL === "1";

describe.each(versions)("$name", ({ name, suite }) => {
  const onBoth = test;
  const onOne = test.skipIf(name !== versions[0]?.name && !isAll);
  let node: StartedRabbitmq;
  let proxy: FaultProxy;
  let database: ConsumerFixture;
  const open = new Set<() => Promise<unknown>>();

  beforeAll(async () => {
    node = await startRabbitmq({
      ...(suite === undefined ? {} : { suite }),
      settings: { consumer_timeout: String(consumerTimeoutMs) },
    });
    await node.ctl("eval", "application:set_env(rabbit, channel_tick_interval, 500).");
    proxy = await startFaultProxy({ target: { host: node.host, port: node.port } });
    database = await consumerFixture();
  }, 300_000);
  afterEach(async () => {
    proxy.heal();
    for (const close of [...open].toReversed()) await close();
    open.clear();
    await database.clear();
  });
  afterAll(async () => {
    await database?.close();
    await proxy?.stop();
    await node?.stop();
  });

  const queue = async (...over: readonly Parameters<typeof queueFixture>[1][]): Promise<QueueFixture> => {
    const made = await queueFixture(node.url, over[0]);
    open.add(() => made.close());
    return made;
  };
  /** Through the proxy. */
  const sourceOf = (fixture: QueueFixture, options: Partial<RabbitmqSourceOptions> = {}) => {
    return (onEvent: OnEvent): Source =>
      rabbitmqSource({ url: proxy.url(node.url), queues: [fixture.queue], heartbeatSeconds: 5, onEvent, ...options });
  };
  const consume: ConsumerFixture["consume"] = (...args) => {
    const consuming = database.consume(...args);
    open.add(() => consuming.stop());
    return consuming;
  };
  /** A source with a handler of the test's own instead of an inbox. */
  const handleWith = (make: (onEvent: OnEvent) => Source, handle: (delivery: Delivery) => Promise<Settlement>) => {
    const events: WaybillEvent[] = [];
    const stop = new AbortController();
    const ended = make((event) => void events.push(event)).consume((batch) => Promise.all(batch.map(handle)), { signal: stop.signal });
    let hasEnded = false;
    const over = (error: unknown): unknown => {
      hasEnded = true;
      return error;
    };
    const outcome = ended.then(() => over(null), over);
    const end = async (): Promise<unknown> => {
      stop.abort();
      return outcome;
    };
    open.add(end);
    return { events, end, outcome, hasEnded: () => hasEnded };
  };
  const named = <Name extends WaybillEvent["name"]>(events: readonly WaybillEvent[], name: Name) =>
    events.filter((event): event is Extract<WaybillEvent, { readonly name: Name }> => event.name === name);

  /** Numbers of the events that a run may show; a fault that never fired proves nothing. */
  const reasons = (events: readonly WaybillEvent[]): readonly string[] => named(events, "source.rebuilding").map(({ reason }) => reason);

  /** What came again after its effect is settled, too: a consumer that stopped before that would rightly leave it in the queue. */
  const untilSettled = async (fixture: QueueFixture): Promise<void> => {
    const isEmpty = async (): Promise<boolean> => {
      const listed = await node.ctl("list_queues", "name", "messages");
      return listed.split("\n").some((line) => line.trim() === `${fixture.queue.name}\t0`);
    };
    await waitUntil(isEmpty, { what: "all it was given is settled", deadlineMs: 45_000, intervalMs: 250 });
  };
  const expectFaultless = async (fixture: QueueFixture, messages: readonly OutgoingMessage[]): Promise<void> => {
    expect(verdict(await database.effects(), messages)).toEqual(faultless);
    expect(await database.letters()).toEqual([]);
    expect(await fixture.ready()).toBe(0);
  };

  onOne(
    "every effect is committed once, in order, while the broker closes its connections",
    async () => {
      const fixture = await queue();
      const messages = placedOf(400, 12);
      const consuming = consume(sourceOf(fixture));
      const publishing = (async () => {
        for (const message of messages) await fixture.publishAgain(message);
      })();
      publishing.catch(() => undefined);
      for (let round = 1; round <= 3; round++) {
        await database.untilEffects(round * 5);
        await waitUntil(() => consuming.count("source.joined") >= round, { what: "it consumes", deadlineMs: 30_000 });
        await node.ctl("close_all_connections", "test");
        await waitUntil(() => consuming.count("rabbitmq.lost") >= round, { what: "its connection is closed", deadlineMs: 30_000 });
      }
      await publishing;
      await database.untilEffects(messages.length);
      await untilSettled(fixture);
      await consuming.stop();
      await expectFaultless(fixture, messages);
    },
    180_000,
  );

  onOne(
    "every effect is committed once, in order, while the node is killed and comes back",
    async () => {
      const fixture = await queue();
      const messages = placedOf(200, 8);
      await fixture.publish(messages);
      const consuming = consume(sourceOf(fixture), () => new Promise((resolve) => setTimeout(resolve, 5)), { concurrency: 4 });
      await database.untilEffects(20);
      // RabbitMQ writes down within some seconds only that there is a new quorum queue: killed before, it comes back with the queue empty.
      await node.ctl("eval", "[ok = dets:sync(Table) || Table <- dets:all()].");
      await node.kill("SIGKILL");
      await waitUntil(() => consuming.count("rabbitmq.lost") === 1, { what: "the connection is lost", deadlineMs: 30_000 });
      await node.restart();
      await node.ctl("eval", "application:set_env(rabbit, channel_tick_interval, 500).");
      await database.untilEffects(messages.length);
      await untilSettled(fixture);
      await consuming.stop();
      await expectFaultless(fixture, messages);
    },
    180_000,
  );

  // Half a minute of heartbeats: on one version, unless everything is asked for.
  onOne(
    "A9 a broker that is frozen, and a link that swallows everything, are found by the heartbeat, and nothing is done twice",
    async () => {
      const fixture = await queue();
      const messages = placedOf(60, 6);
      const consuming = consume(sourceOf(fixture));
      await fixture.publish(messages.slice(0, 20));
      await database.untilEffects(20);
      proxy.inject({ kind: "blackHole" });
      await fixture.publish(messages.slice(20, 40));
      await waitUntil(() => consuming.count("rabbitmq.lost") === 1, { what: "the black hole is found", deadlineMs: 40_000 });
      proxy.heal();
      await database.untilEffects(40);
      await node.kill("SIGSTOP");
      try {
        await waitUntil(() => consuming.count("rabbitmq.lost") === 2, { what: "the frozen broker is found", deadlineMs: 40_000 });
      } finally {
        await node.kill("SIGCONT");
      }
      await fixture.publishAgain(...messages.slice(40));
      await database.untilEffects(messages.length);
      await untilSettled(fixture);
      await consuming.stop();
      await expectFaultless(fixture, messages);
    },
    120_000,
  );

  onBoth("B1 a delivery that is not settled within the broker's time comes again, is told of, and has one effect", async () => {
    const fixture = await queue();
    const messages = [placed(0), placed(0), placed(1)];
    const [slow] = messages;
    let runs = 0;
    const consuming = consume(sourceOf(fixture), async (id) => {
      if (id !== slow?.id) return;
      runs += 1;
      await waitUntil(() => consuming.count("source.joined") === 2, { what: "the broker has taken it back", deadlineMs: 45_000 });
    });
    await fixture.publish(messages);
    await database.untilEffects(messages.length);
    await waitUntil(async () => (await fixture.ready()) === 0 && consuming.count("inbox.duplicate") > 0, {
      what: "it came again",
      deadlineMs: 30_000,
    });
    await consuming.stop();
    await expectFaultless(fixture, messages);
    const timedOut = named(consuming.events, "source.consumerTimedOut");
    expect(timedOut).toMatchObject([{ group: fixture.queue.name, unsettled: 2 }]);
    expect(timedOut[0]?.heldMs).toBeGreaterThan(consumerTimeoutMs / 2);
    expect([runs, reasons(consuming.events), consuming.count("rabbitmq.lost")]).toEqual([1, [], 0]);
  });

  onBoth("B2 ten messages that are held while the connection drops 25 times are all there", async () => {
    const fixture = await queue();
    const messages = placedOf(10, 10);
    await fixture.publish(messages);
    let isOpen = false;
    const held = new Map<string, number>();
    const settlements = new Set<string>();
    const source = sourceOf(fixture, { prefetch: 10, random: { fraction: () => 0 } });
    const running = handleWith(source, async ({ message, isLastChance }) => {
      held.set(message.id, (held.get(message.id) ?? 0) + 1);
      expect(isLastChance).toBe(false);
      if (!isOpen) return { kind: "again", afterMs: 600_000 };
      settlements.add(message.id);
      return done;
    });
    for (let drop = 1; drop <= 25; drop++) {
      await waitUntil(() => messages.every(({ id }) => held.get(id) === drop), {
        what: `all are held for the ${drop}th time`,
        deadlineMs: 30_000,
      });
      if (drop === 25) isOpen = true;
      expect(proxy.cutAll()).toBe(1);
    }
    await waitUntil(() => settlements.size === 10, { what: "all are settled", deadlineMs: 30_000 });
    expect(await running.end()).toBe(null);
    expect([await fixture.ready(), named(running.events, "rabbitmq.lost").length]).toEqual([0, 25]);
  });

  onBoth("B2 messages that somebody else's queue is about to delete become dead letters of ours and are acked", async () => {
    const fixture = await queue();
    await fixture.declareForeign({ "x-delivery-limit": 20 });
    const messages = placedOf(10, 2);
    await fixture.publish(messages);
    const random = { fraction: () => 0 };
    let handed = 0;
    const dropping = handleWith(sourceOf(fixture, { topology: "check", prefetch: 10, random }), async ({ isLastChance }) => {
      expect(isLastChance).toBe(false);
      handed += 1;
      return { kind: "again", afterMs: 600_000 };
    });
    for (let drop = 1; drop <= 15; drop++) {
      await waitUntil(() => handed === 2 * drop, { what: `the first of each key is held for the ${drop}th time`, deadlineMs: 30_000 });
      if (drop < 15) proxy.cutAll();
    }
    expect(await dropping.end()).toBe(null);
    const warned = named(dropping.events, "source.redeliveredOften");
    expect(warned[0]).toMatchObject({ deliveries: 5, limit: 20 });
    const consuming = consume(sourceOf(fixture, { topology: "check" }));
    await waitUntil(async () => (await database.letters()).length === 10, { what: "all are written down", deadlineMs: 30_000 });
    await consuming.stop();
    const letters = await database.letters();
    expect(letters.filter((letter) => letter.endsWith("dead deliveryLimit"))).toHaveLength(2);
    expect(letters.filter((letter) => letter.endsWith("held null"))).toHaveLength(8);
    expect([await fixture.ready(), await database.effects()]).toEqual([0, []]);
  });

  onBoth("B2 a policy with a lower limit is in force whatever was declared, and the look at the broker finds it", async () => {
    const fixture = await queue();
    const { name } = fixture.queue;
    const model = await connect(node.url);
    open.add(() => model.close());
    const channel = await model.createChannel();
    await channel.assertExchange(name, "topic", { durable: true });
    open.add(() => channel.deleteExchange(name));
    await channel.bindQueue(name, name, "#");
    const found = async () => {
      const { findings } = await inspectRabbitmq({
        url: node.url,
        topics: { orders: { exchange: name } },
        managementUrl: node.managementUrl,
      });
      return findings.filter(({ level }) => level === "refused").map(({ what, rule }) => `${what} ${rule}`);
    };
    expect(await found()).toEqual([]);
    await node.ctl("set_policy", name, `^${name}$`, '{"delivery-limit":3}', "--apply-to", "queues");
    open.add(() => node.ctl("clear_policy", name));
    // The statistics behind the API learn of a policy in their own time.
    await waitUntil(async () => (await found()).includes("queue x-delivery-limit"), { what: "the limit is found", deadlineMs: 30_000 });
    await fixture.publish([placed(1)]);
    let deliveries = 0;
    await channel.consume(name, (delivered) => {
      deliveries += 1;
      if (delivered !== null) channel.reject(delivered, true);
    });
    await waitUntil(async () => deliveries === 4 && (await fixture.ready()) === 0, { what: "the message is gone", deadlineMs: 30_000 });
  });

  onBoth("A12 a settlement that comes after its channel is gone acks nothing and harms no other channel", async () => {
    const fixture = await queue();
    // Without a key a repetition does not wait for the handler that is still at its first delivery.
    await fixture.publish(placedOf(3, 3).map((message) => ({ ...message, key: null })));
    const gates: (() => void)[] = [];
    const times = new Map<string, number>();
    const running = handleWith(sourceOf(fixture), async ({ message }) => {
      times.set(message.id, (times.get(message.id) ?? 0) + 1);
      if (gates.length < 6) await new Promise<void>((resolve) => gates.push(resolve));
      return done;
    });
    const came = (count: number): Promise<unknown> =>
      waitUntil(() => times.size === 3 && [...times.values()].every((each) => each === count), {
        what: `all came ${count} times`,
        deadlineMs: 30_000,
      });
    await came(1);
    proxy.cutAll();
    await came(2);
    for (const leave of gates.slice(0, 3)) leave();
    // Had these settlements counted for the repetitions, the queue would have let go of them, though their handlers have not ended.
    for (let look = 0; look < 10; look += 1) expect(await fixture.ready()).toBe(0);
    proxy.cutAll();
    await came(3);
    for (const leave of gates) leave();
    await waitUntil(async () => (await fixture.ready()) === 0, { what: "all are settled" });
    expect(await running.end()).toBe(null);
    expect([await fixture.ready(), reasons(running.events), named(running.events, "source.joined").length]).toEqual([0, [], 3]);
  });

  onOne("A13 whatever a handler or a listener throws, at once or later, the channel stays and the message comes again", async () => {
    const fixture = await queue();
    const messages = placedOf(4, 4);
    await fixture.publish(messages);
    const times = new Map<string, number>();
    const source = sourceOf(fixture)(() => {
      throw new Error("the listener's own");
    });
    const stop = new AbortController();
    const ended = source.consume(
      (batch) => {
        const id = batch[0]?.message.id ?? "";
        times.set(id, (times.get(id) ?? 0) + 1);
        if (times.get(id) === 1) throw new Error("the handler's own");
        return Promise.resolve([done]);
      },
      { signal: stop.signal },
    );
    await waitUntil(() => times.size === 4 && [...times.values()].every((count) => count === 2), {
      what: "all came twice",
      deadlineMs: 30_000,
    });
    stop.abort();
    await ended;
    expect(await fixture.ready()).toBe(0);
  });

  onBoth("a queue that is deleted is declared again, and what comes then is taken", async () => {
    const fixture = await queue();
    const consuming = consume(sourceOf(fixture));
    const before = placed(0);
    await fixture.publish([before]);
    await database.untilEffects(1);
    await fixture.remove();
    await waitUntil(() => consuming.count("source.joined") === 2, { what: "it consumes again", deadlineMs: 30_000 });
    const after = placed(0);
    await fixture.publish([after]);
    await database.untilEffects(2);
    await consuming.stop();
    expect(await database.effects()).toEqual([before.id, after.id]);
    expect([reasons(consuming.events), consuming.count("source.recovered")]).toEqual([["cancelled"], 1]);
  });

  onOne("a queue that is deleted and not ours to declare is waited for", async () => {
    const fixture = await queue();
    const consuming = consume(sourceOf(fixture, { topology: "check", random: { fraction: () => 0 } }));
    await fixture.publish([placed(0)]);
    await database.untilEffects(1);
    await fixture.remove();
    await waitUntil(() => reasons(consuming.events).includes("channelException.404"), {
      what: "it looks for the queue",
      deadlineMs: 30_000,
    });
    await fixture.declareForeign({});
    await fixture.publish([placed(0)]);
    await database.untilEffects(2);
    await consuming.stop();
    expect(consuming.count("source.recovered")).toBeGreaterThan(0);
  });

  onOne.each([
    ["does not answer", "sys:suspend(element(1, Server))", "sys:resume(element(1, Server))"],
    ["has lost its server", "ra:stop_server(quorum_queues, Server)", "ra:restart_server(quorum_queues, Server)"],
  ])(
    "a queue that %s leaves its neighbours their turn, and is consumed again when it is back",
    async (_, harm, heal) => {
      const [fixture, other] = [await queue(), await queue()];
      const source = sourceOf(fixture, { queues: [fixture.queue, other.queue], nothingDeliveredMs: 1_000 });
      const consuming = consume(source);
      await fixture.publish([placed(0)]);
      await other.publish([placed(1)]);
      await database.untilEffects(2);
      const onServer = (expression: string): Promise<string> =>
        node.ctl("eval", `Server = {list_to_atom("%2F_${other.queue.name}"), node()}, ${expression}.`);
      await onServer(harm);
      proxy.cutAll(); // so that it is consumed again
      const ofOther = () => named(consuming.events, "source.rebuilding").filter(({ group }) => group === other.queue.name);
      await waitUntil(() => ofOther().length >= 1, { what: "the queue is tried in vain", deadlineMs: 60_000 });
      const messages = placedOf(20, 2);
      await fixture.publishAgain(...messages);
      await database.untilEffects(22);
      await onServer(heal);
      await other.publishAgain(placed(1));
      await database.untilEffects(23);
      await consuming.stop();
      expect(new Set(await database.effects()).size).toBe(23);
    },
    180_000,
  );

  onOne("of two consumers one is active; when its link is cut the other takes over, in order, with one effect each", async () => {
    const fixture = await queue();
    const messages = placedOf(120, 4);
    const first = consume(sourceOf(fixture), () => new Promise((resolve) => setTimeout(resolve, 5)));
    await waitUntil(() => first.count("source.joined") === 1, { what: "the first consumes", deadlineMs: 30_000 });
    const second = consume(sourceOf(fixture, { url: node.url }), undefined, { consumer: "c" });
    await waitUntil(() => second.count("source.joined") === 1, { what: "the second stands by", deadlineMs: 30_000 });
    await fixture.publish(messages.slice(0, 60));
    await database.untilEffects(15);
    expect(second.count("inbox.received")).toBe(0);
    proxy.inject({ kind: "refuse" });
    proxy.cutAll();
    await fixture.publish(messages.slice(60));
    await database.untilEffects(messages.length);
    expect(second.count("inbox.committed")).toBeGreaterThan(0);
    proxy.heal();
    await Promise.all([first.stop(), second.stop()]);
    await expectFaultless(fixture, messages);
  });

  onBoth("a consumer that stops while its handlers run keeps the next one out until they have ended", async () => {
    const fixture = await queue();
    const messages = placedOf(12, 3);
    await fixture.publish(messages);
    const order: string[] = [];
    const early: string[] = [];
    const gates: (() => void)[] = [];
    const first = handleWith(sourceOf(fixture, { prefetch: 3 }), async ({ message }) => {
      await new Promise<void>((resolve) => gates.push(resolve));
      order.push(message.id);
      return done;
    });
    await waitUntil(() => gates.length === 3, { what: "the first of each key is with the handler", deadlineMs: 30_000 });
    const second = handleWith(sourceOf(fixture, { url: node.url }), async ({ message }) => {
      (order.length < 3 ? early : order).push(message.id);
      return done;
    });
    await waitUntil(() => named(second.events, "source.joined").length === 1, { what: "the second stands by", deadlineMs: 30_000 });
    const ended = first.end();
    // A delivery would come at once; a look at the queue goes the same way and comes back.
    for (let look = 0; look < 20; look++) expect(await fixture.ready()).toBe(9);
    expect([early, order]).toEqual([[], []]);
    for (const leave of gates) leave();
    expect(await ended).toBe(null);
    await waitUntil(() => order.length === 12, { what: "the second takes the rest", deadlineMs: 30_000 });
    expect([early, verdict(order, messages)]).toEqual([[], faultless]);
    expect(await second.end()).toBe(null);
  });

  onBoth("the reason for that: a cancelled consumer's queue goes on to the next one while it still holds earlier messages", async () => {
    const fixture = await queue();
    const messages = placedOf(6, 1);
    await fixture.publish(messages);
    const got: { readonly by: string; readonly n: number }[] = [];
    const connection = await connect(node.url);
    open.add(() => connection.close());
    const consumer = async (by: string) => {
      const channel = await connection.createChannel();
      await channel.prefetch(3, false);
      await channel.consume(fixture.queue.name, (message) => void got.push({ by, n: message?.fields.deliveryTag ?? 0 }), {
        consumerTag: by,
      });
      return channel;
    };
    const active = await consumer("active");
    await waitUntil(() => got.length === 3, { what: "the active one holds three" });
    await consumer("stand-in");
    await active.cancel("active");
    await waitUntil(() => got.filter(({ by }) => by === "stand-in").length === 3, { what: "the stand-in has the other three" });
  });

  onOne("messages that are large together are taken fewer at a time, and all of them are settled", async () => {
    const fixture = await queue();
    const messages = Array.from({ length: 24 }, () => placed(null, { payload: Buffer.alloc(200_000, "x") }));
    await fixture.publish(messages);
    let bytes = 0;
    let most = 0;
    const settlements = new Set<string>();
    const running = handleWith(sourceOf(fixture, { bytesMax: 1_000_000 }), async ({ message }) => {
      const size = message.payload?.byteLength ?? 0;
      bytes += size;
      most = Math.max(most, bytes);
      await new Promise((resolve) => setTimeout(resolve, 300));
      bytes -= size;
      settlements.add(message.id);
      return done;
    });
    await waitUntil(async () => settlements.size === 24 && (await fixture.ready()) === 0, { what: "all are settled", deadlineMs: 30_000 });
    expect(await running.end()).toBe(null);
    expect(await fixture.ready()).toBe(0);
    expect(named(running.events, "source.prefetchReduced").map(({ prefetch }) => prefetch)).toEqual([2]);
    // What is with the handler stays there, and is waited for.
    expect(most).toBeLessThanOrEqual(1_000_000);
  });

  onOne("a handler that hangs gets a new channel once, and then ends consume with an error that says so", async () => {
    const fixture = await queue();
    await fixture.publish(placedOf(3, 3));
    let calls = 0;
    const running = handleWith(sourceOf(fixture, { handlerDeadlineMs: 300, random: { fraction: () => 0 } }), async () => {
      calls += 1;
      return new Promise<never>(() => undefined);
    });
    await waitUntil(running.hasEnded, { what: "consume has ended", deadlineMs: 30_000 });
    expect(await running.outcome).toMatchObject({ code: "WAYBILL_TRANSPORT", facts: { reason: "handlerStuck" } });
    expect([reasons(running.events), calls]).toEqual([["handlerStuck"], 3]);
    await waitUntil(async () => (await fixture.ready()) === 3, { what: "everything is back in the queue" });
  });

  onOne("a stand-in is left alone for long, though messages are ready and none comes to it", async () => {
    const fixture = await queue();
    await fixture.publish(placedOf(5, 1));
    let isHeld = false;
    const active = handleWith(sourceOf(fixture, { prefetch: 1 }), async () => {
      isHeld = true;
      return { kind: "again", afterMs: 600_000 };
    });
    await waitUntil(() => isHeld, { what: "the active one holds one", deadlineMs: 30_000 });
    const standIn = handleWith(sourceOf(fixture, { nothingDeliveredMs: 300 }), async () => done);
    await waitUntil(() => named(standIn.events, "source.joined").length === 1, { what: "the other stands by", deadlineMs: 30_000 });
    const joinedMs = performance.now();
    await waitUntil(() => named(standIn.events, "source.joined").length === 2, { what: "it begins again to be sure", deadlineMs: 30_000 });
    expect(performance.now() - joinedMs).toBeGreaterThanOrEqual(3_000);
    expect(reasons(standIn.events)).toEqual(["nothingDelivered"]);
    expect(await active.end()).toBe(null);
    await waitUntil(async () => (await fixture.ready()) === 0, { what: "the stand-in has taken over", deadlineMs: 30_000 });
    expect(await standIn.end()).toBe(null);
  });
});
