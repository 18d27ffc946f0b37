/**
 * R18. The transaction with the lowest id stays open for long, and the relay is replaced twice meanwhile: other messages come as fast as before, its own are
 * published when it commits, and history is kept from them on.
 */
import { readRetention } from "@waybill/relay";
import { waitUntil } from "@waybill/testing";
import { measureArrivals } from "../arrival-times.ts";
import { openDelivery, spaceOf } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { beginNotes, openSession } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

export const openTransaction = scenario({
  code: "R18",
  title: "a transaction that stays open delays only its own messages, over a change of relays, too",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { rounds: 80, everyMs: 60, slowerMaxMs: 250, publishedMaxMs: 2_000 },
  full: { rounds: 6_000, everyMs: 50, slowerMaxMs: 250, publishedMaxMs: 2_000 },
  why: "On MySQL and MariaDB a relay closes an id that is older than its fence; this one is given longer.",
  async play(rig, { rounds, everyMs, slowerMaxMs, publishedMaxMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const relayArgs = ["--hole-fence-after-ms", "600000"];
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received, relays: 2, relayArgs });
    const { place } = delivery;
    const rows = (round: number) => [{ topic: "notes", key: `key-${round % 9}` }];
    const measure = () => measureArrivals(rig, delivery, { rounds, everyMs, rows, arrivedMs: endpoint.arrivedMs });
    for (const { seat } of delivery.relays) await delivery.comesBack(seat);
    await delivery.write([{ topic: "notes", key: null }]);
    await delivery.isQuiet();
    const before = await measure();

    const session = await openSession(rig, delivery);
    const open = await beginNotes(delivery, session, [{ key: "open" }]);
    const during = await measure();
    rig.within("p99 of the others' arrival", during, before + slowerMaxMs);
    let replaced = 0;
    for (const { seat } of [...delivery.relays, ...delivery.relays]) {
      if (replaced === 2) break;
      const holder = delivery.told.findLast(({ event }) => event["name"] === "relay.leaseAcquired")?.who;
      if (seat.name !== holder) continue;
      const from = delivery.told.length;
      const hasEnded = (await seat.end(20_000)) === 0;
      await delivery.waitFor(({ name }) => name === "relay.leaseAcquired", { what: "the other relay goes on", from });
      rig.fault("replace the relay", hasEnded);
      replaced += 1;
      await delivery.comesBack(seat);
    }
    // Everything measured since lies behind it, so history up to there must not go.
    const { lowWaterMark } = await readRetention(place.database, { space: spaceOf(place) });
    const [row] = await place.ask((one) => one.run("select max(id) as id from waybill_outbox"));
    const keptFrom = lowWaterMark?.id ?? null;
    rig.demand(`history is kept from id ${keptFrom} on`, keptFrom !== null && keptFrom <= BigInt(String(row?.["id"])) - BigInt(rounds));
    rig.demand("a message of an open transaction was published", endpoint.arrivedMs(open.ids[0] as string) === undefined);
    const committedMs = performance.now();
    await open.commit();
    await waitUntil(() => endpoint.arrivedMs(open.ids[0] as string) !== undefined || rig.signal.aborted, {
      what: "its message is published",
      deadlineMs: 60_000,
    });
    rig.within("the message of the open transaction was published", performance.now() - committedMs, publishedMaxMs);
    rig.effort("changes of relays", replaced, 2);
    await delivery.isQuiet();
    await delivery.end();
  },
});
