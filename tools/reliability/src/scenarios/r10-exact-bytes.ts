/**
 * R10. JSON that a parser would write otherwise, text, and bytes of every kind, under ids that no double can hold: broker and handler get the very bytes that
 * were written, and no id is rounded on its way through the drivers.
 */
import { randomBytes } from "node:crypto";
import { digest } from "@waybill/auditor";
import { catalogue, message, newMessageId } from "@waybill/core";
import { createInbox } from "@waybill/inbox";
import { append } from "@waybill/outbox";
import { testName, waitUntil } from "@waybill/testing";
import { openBrokerSource } from "../broker-source.ts";
import { openDelivery } from "../delivery.ts";
import { openSession } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";
import { openTappedTopic } from "../tapped-topic.ts";

/** One more than the last whole number that every double holds. */
const firstId = 2n ** 53n;
const type = "reliability.noted.v1";
const consumer = "reader";
const partitions = 2;

const texts = [
  '{"b":1,"a":2,"10":3,"9":4}',
  '{"a":1,"a":2}',
  '{"n":1.0,"m":1,"e":1e2,"z":-0.0}',
  '{"big":12345678901234567890123456789}',
  ' { "spaces" : [ ] }\n',
  '{"\\u0061":"\\u00e9é","slash":"\\/"}',
  "",
  "no JSON at all",
  '{"__proto__":{"a":1}}',
];

export const exactBytes = scenario({
  code: "R10",
  title: "broker and handler get the very bytes that were written, under ids beyond 2^53, too",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { rounds: 5 },
  full: { rounds: 500 },
  async play(rig, { rounds }) {
    const { broker } = rig.servers;
    const topic = testName("reliability-notes");
    const group = testName("reliability-readers");
    const tap = await openTappedTopic(rig, topic, { partitions, groups: [group] });
    const delivery = await openDelivery(rig, {
      transport: broker.url,
      received: () => tap.received,
      relayArgs: ["--from", "now", ...(broker.kind === "rabbitmq" ? ["--rabbitmq-partitions", String(partitions)] : [])],
      consumers: [{ consumer, sql: "select message_id from effect" }],
    });
    const { place } = delivery;
    await place.ask((one) => one.run("create table effect (message_id char(36) primary key, digest char(64) not null)"));
    const session = await openSession(rig, delivery);
    // An id is taken and given back: from now on they are large, and the relay begins behind it.
    await session.run({
      postgres: `alter table waybill_outbox alter column id restart with ${firstId}`,
      mysql: `alter table waybill_outbox auto_increment = ${firstId}`,
    });
    await session.run("begin");
    await session.run(`insert into waybill_outbox (type, topic) values ('${type}', '${topic}')`);
    await session.run("rollback");

    const messages = catalogue({
      source: "/reliability",
      noted: message<string | Uint8Array>({ type, topic, contentType: "application/octet-stream" }),
    });
    const inbox = createInbox({ consumer, database: place.database });
    const insert = place.dialect === "postgres" ? "insert into effect values ($1, $2)" : "insert into effect values (?, ?)";
    inbox.on(messages.noted, async ({ id, payload }, tx) => {
      await tx.query(insert, [id, digest(payload as Uint8Array | null)]);
    });
    let hasJoined = false;
    const onEvent = ({ name }: { readonly name: string }): void => {
      if (name === "source.joined") hasJoined = true;
    };
    const source = openBrokerSource({ brokerUrl: broker.url, topic, group, partitions, sessionTimeoutMs: 10_000, onEvent });
    const stop = new AbortController();
    const running = inbox.run(source, { signal: stop.signal });
    rig.defer(async () => {
      stop.abort();
      await running;
    });
    await waitUntil(() => hasJoined || rig.signal.aborted, { what: "the consumer takes messages", deadlineMs: 60_000 });
    await delivery.comesBack(delivery.relay);

    const written = new Map<string, string>();
    for (let round = 0; round < rounds; round += 1) {
      const ids = await delivery.write(texts.map((payload) => ({ topic, key: "text", payload })));
      for (const [index, id] of ids.entries()) written.set(id, digest(texts[index] ?? ""));
      for (const payload of [randomBytes(256), Uint8Array.from({ length: 256 }, (_, byte) => byte), new Uint8Array(0), "a\u0000b"]) {
        const id = newMessageId();
        await session.run("begin");
        await session.run("insert into note values (?)", [id]);
        await append(session.handle, messages.noted(payload, { id, key: "bytes" }));
        await session.run("commit");
        written.set(id, digest(payload));
        delivery.intend({ messageId: id, topic, key: "bytes", outcome: "committed", payloadDigest: digest(payload) });
      }
    }
    await delivery.isQuiet();
    const handled = async (): Promise<readonly Readonly<Record<string, unknown>>[]> =>
      place.ask((one) => one.run("select message_id, digest from effect"));
    await waitUntil(async () => (await handled()).length >= written.size || rig.signal.aborted, {
      what: "all messages are handled",
      deadlineMs: 60_000,
      intervalMs: 200,
    });
    for (const row of await handled())
      rig.demand("a handler got other bytes than were written", written.get(String(row["message_id"])) === row["digest"]);
    await tap.readToEnd();
    const { ledger, subscriptions } = await delivery.end();
    const ids = ledger.map(({ sequence }) => sequence).toSorted((left, right) => (left < right ? -1 : 1));
    rig.demand(`the first id is ${ids[0]}`, (ids[0] ?? 0n) === firstId + 1n);
    rig.demand("ids are rounded", new Set(ids).size === written.size && ids.at(-1) === firstId + BigInt(written.size));
    rig.demand(`the cursor stands at ${subscriptions[0]?.lastId}`, (subscriptions[0]?.lastId ?? 0n) >= (ids.at(-1) ?? 0n));
    rig.effort("messages handled", (await handled()).length, written.size);
  },
});
