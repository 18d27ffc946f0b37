/**
 * R69. Two consumer names share a database and get the same messages: each of them handles each once. A second message under an id that is taken, with
 * another payload, is flagged and run by nobody.
 */
import { listDeadLetters } from "@waybill/dead-letter";
import { waitUntil } from "@waybill/testing";
import { type NewRow, openDelivery, spaceOf } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { createEffectTable, deliveryOf, effectsOf, openReceiver } from "../receiver.ts";
import { scenario } from "../scenario.ts";

export const twoNames = scenario({
  code: "R69",
  title: "two consumers of one database both handle a message once, and another payload under its id is flagged and not run",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { messages: 100, forgedEvery: 4, repeats: 2 },
  full: { messages: 5_000, forgedEvery: 4, repeats: 5 },
  async play(rig, { messages, forgedEvery, repeats }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const names = ["stock", "billing"];
    const delivery = await openDelivery(rig, {
      transport: endpoint.url,
      received: () => endpoint.received,
      consumers: names.map(effectsOf),
    });
    const { place } = delivery;
    await createEffectTable(place);
    const run: string[] = [];
    const receivers = names.map((consumer) =>
      openReceiver(rig, place, {
        consumer,
        handle: async ({ payload }) => {
          run.push(JSON.stringify(payload));
        },
      }),
    );
    await delivery.relay.start();
    const rows: readonly NewRow[] = Array.from({ length: messages }, (_, index) => ({
      topic: "notes",
      key: `key-${index % 10}`,
      payload: JSON.stringify({ place: index }),
    }));
    const ids = await delivery.write(rows);
    await waitUntil(() => rig.signal.aborted || ids.every((id) => endpoint.arrivedMs(id) !== undefined), {
      what: "all have arrived",
      deadlineMs: 60_000,
    });
    const ends = new Map<string, number>();
    const count = (as: string): number => ends.get(as) ?? 0;
    let forged = 0;
    for (const [index, id] of ids.entries()) {
      if (rig.signal.aborted) break;
      const row = rows[index] as NewRow;
      const genuine = deliveryOf(id, row);
      const all = receivers.flatMap(({ inbox }) => Array.from({ length: repeats }, () => inbox.process(genuine)));
      for (const { as } of await Promise.all(all)) ends.set(as, count(as) + 1);
      if (index % forgedEvery !== 0) continue;
      // Under a key of its own, for a key waits behind a message that is flagged.
      const other = deliveryOf(id, { ...row, key: `forged-${index}`, payload: JSON.stringify({ place: index, isForged: true }) });
      for (const { inbox } of receivers) {
        forged += 1;
        const { as } = await inbox.process(other);
        rig.demand(`another payload under a known id ended as ${as}`, as === "deadLettered");
      }
    }
    rig.fault("another payload under an id that is known", forged > 0);
    rig.effort("messages with another payload", forged, 2);
    rig.demand(`${count("handled")} were handled and not ${2 * messages}`, count("handled") === 2 * messages);
    rig.demand(
      `${count("duplicate")} were known and not ${2 * messages * (repeats - 1)}`,
      count("duplicate") === 2 * messages * (repeats - 1),
    );
    rig.demand(
      "another payload under a known id was run",
      run.every((payload) => !payload.includes("isForged")),
    );
    const letters = await listDeadLetters(place.database, spaceOf(place), { origin: "inbox", limit: 1_000 });
    const reasons = new Set(letters.map(({ reason }) => reason));
    rig.demand(`${letters.length} are flagged and not ${Math.min(forged, 1_000)}`, letters.length === Math.min(forged, 1_000));
    rig.demand(`the reasons are ${[...reasons].join(", ")}`, reasons.size === 1 && reasons.has("sameIdOtherContent"));
    // They are nobody's messages: the auditor would take what is flagged for ghosts, and rightly so.
    await place.ask((session) => session.run("delete from waybill_dead_letter where reason = 'sameIdOtherContent'"));
    await delivery.isQuiet();
    await delivery.end();
  },
});
