/**
 * R31. Delayed messages, also some whose time is past and very many of one moment, while the relay that moves them is killed between its two writes and two
 * of them move at once: each is in the ledger once, none before its time, in batches of a bounded size.
 */
import { newMessageId } from "@waybill/core";
import { append } from "@waybill/outbox";
import { waitUntil } from "@waybill/testing";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { intentOf, noted, openSession } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

const points = ["relay.delayedMoving", "relay.delayedCommitting"] as const;
const yesterdayMs = 86_400_000;

export const delayed = scenario({
  code: "R31",
  title: "a delayed message enters the ledger once and not before its time, whoever is killed while moving it",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { kills: 4, each: 60, atOnce: 1_500, soonMs: 1_200, batchMax: 250 },
  full: { kills: 100, each: 500, atOnce: 1_000_000, soonMs: 60_000, batchMax: 250 },
  async play(rig, { kills, each, atOnce, soonMs, batchMax }) {
    const [endpoint, second] = [await startEndpoint(), await startEndpoint()];
    rig.defer(() => Promise.all([endpoint.stop(), second.stop()]));
    const received = () => [...endpoint.received, ...second.received.map((one) => ({ ...one, subscription: "second" }))];
    const delivery = await openDelivery(rig, { transport: endpoint.url, received, relays: 2, leaseMs: 3_000, tellsAll: true });
    const [mover, other] = delivery.relays.map(({ seat }) => seat) as [typeof delivery.relay, typeof delivery.relay];
    const session = await openSession(rig, delivery);
    const dueMs = new Map<string, number>();
    const write = async (count: number, dueAtMs: number): Promise<void> => {
      const notes = Array.from({ length: count }, (_, index) => {
        const note = { key: `key-${index % 20}` };
        const id = newMessageId();
        return { note, id, made: noted(note, id) };
      });
      await session.run("begin");
      for (const { id } of notes) await session.run("insert into note values (?)", [id]);
      await append(
        session.handle,
        notes.map(({ made }) => made),
        { deliverAt: new Date(dueAtMs) },
      );
      await session.run("commit");
      for (const { note, made, id } of notes) {
        dueMs.set(id, dueAtMs);
        delivery.intend(intentOf(note, made, id, "committed"));
      }
    };
    const allArrive = () =>
      waitUntil(() => rig.signal.aborted || [...dueMs.keys()].every((id) => endpoint.arrivedMs(id) !== undefined), {
        what: "all delayed messages have arrived",
        deadlineMs: 120_000,
        intervalMs: 50,
      });
    await mover.start();
    await delivery.waitFor(({ name }) => name === "relay.leaseAcquired", { what: "the relay is at work", deadlineMs: 60_000, from: 0 });
    let killed = 0;
    for (let round = 0; round < kills; round += 1) {
      const point = points[round % points.length] as (typeof points)[number];
      delivery.dieAt(point, 1, mover);
      await write(each, round % 4 === 3 ? Date.now() - yesterdayMs : Date.now() + 300);
      const hasDied = await mover.gone(30_000);
      rig.fault(`kill the relay at ${point}`, hasDied);
      if (hasDied) killed += 1;
      await mover.start();
      await allArrive();
    }

    delivery.relayArgs = ["--subscription", "second", "--transport", second.url];
    const from = delivery.told.length;
    await other.start();
    await delivery.waitFor(({ name }, who) => who === other.name && name === "relay.leaseAcquired", {
      what: "a second relay is at work",
      deadlineMs: 60_000,
      from,
    });
    await write(atOnce, Date.now() + soonMs);
    await allArrive();
    await waitUntil(() => rig.signal.aborted || [...dueMs.keys()].every((id) => second.arrivedMs(id) !== undefined), {
      what: "the second subscription has them, too",
      deadlineMs: 120_000,
      intervalMs: 50,
    });
    await delivery.isQuiet();
    const entered = await session.run({
      postgres: "select message_id, (extract(epoch from created_at) * 1000)::bigint as entered_ms from waybill_outbox",
      mysql:
        "select message_id, cast(unix_timestamp(convert_tz(created_at, '+00:00', @@session.time_zone)) * 1000 as signed) as entered_ms from waybill_outbox",
    });
    const early = entered.filter((row) => Number(row["entered_ms"]) < (dueMs.get(String(row["message_id"])) ?? 0));
    rig.demand(`${early.length} messages entered the ledger before their time`, early.length === 0);
    rig.demand(`${entered.length} rows in the ledger for ${dueMs.size} messages`, entered.length === dueMs.size);
    const moved = delivery.told.filter(({ event }) => event["name"] === "relay.delayedMoved");
    const most = Math.max(0, ...moved.map(({ event }) => Number(event["messages"])));
    rig.demand(`${most} messages were moved at once, of at most ${batchMax}`, most <= batchMax);
    rig.effort("relays that moved messages", new Set(moved.slice(-20).map(({ who }) => who)).size, 1);
    rig.effort("kills of a mover", killed, Math.ceil(kills * 0.75));
    await delivery.end();
  },
});
