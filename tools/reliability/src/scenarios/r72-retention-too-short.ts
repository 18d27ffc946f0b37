/**
 * R72. An inbox is to forget what it handled before its broker has stopped repeating it: it refuses to start. Told that nothing is repeated so late it starts;
 * then a repetition that says when it was made is refused and listed, and one that does not runs again – which the auditor reports.
 */
import { audit, readEffects, readInbox } from "@waybill/auditor";
import { isWaybillError } from "@waybill/core";
import { listDeadLetters } from "@waybill/dead-letter";
import { createInbox } from "@waybill/inbox";
import { waitUntil } from "@waybill/testing";
import { openDelivery, spaceOf } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { createEffectTable, deliveryOf, effectsOf, openReceiver } from "../receiver.ts";
import { scenario } from "../scenario.ts";

const hourMs = 3_600_000;
const row = { topic: "notes", key: null };
const sound = effectsOf("sound");
const short = effectsOf("short");

export const retentionTooShort = scenario({
  code: "R72",
  title: "an inbox that would forget before its broker stops repeating refuses to start, and overridden it is caught doubling",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { messages: 20 },
  full: { messages: 1_000 },
  async play(rig, { messages }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received, consumers: [sound] });
    const { place } = delivery;
    await createEffectTable(place);
    let refused: unknown = null;
    try {
      createInbox({ consumer: short.consumer, database: place.database, retentionMs: hourMs });
    } catch (error) {
      refused = error;
    }
    const isRefused =
      isWaybillError(refused, "WAYBILL_CONFIG_INVALID") && JSON.stringify(refused.facts).toLowerCase().includes("redeliveryhorizonms");
    rig.demand("an inbox that forgets before its broker stops repeating was started", isRefused);

    const careful = openReceiver(rig, place, { consumer: sound.consumer });
    const hasty = openReceiver(rig, place, { consumer: short.consumer, retentionMs: hourMs, redeliveryHorizonMs: hourMs });
    const receivers = [careful, hasty];
    await delivery.relay.start();
    const ids = await delivery.write(Array.from({ length: messages }, () => row));
    await waitUntil(() => rig.signal.aborted || ids.every((id) => endpoint.arrivedMs(id) !== undefined), { what: "all have arrived" });
    for (const id of ids) for (const { deliver } of receivers) await deliver(deliveryOf(id, row));
    // Three hours pass, for all that the database knows of when these were handled.
    const ago = { postgres: "clock_timestamp() - interval '3 hours'", mysql: "utc_timestamp(6) - interval 3 hour" }[place.dialect];
    await place.ask((session) => session.run(`update waybill_inbox set handled_at = ${ago}`));
    for (const { inbox } of receivers) await inbox.removeHandled();

    const createdAtMs = Date.now() - 3 * hourMs;
    const ends: Record<string, number> = {};
    for (const [index, id] of ids.entries()) {
      const repeated = deliveryOf(id, row, true);
      // Half of them say when they were made.
      const late = index % 2 === 0 ? repeated : { ...repeated, message: { ...repeated.message, createdAtMs } };
      for (const [name, { deliver }] of [
        ["sound", careful],
        ["short", hasty],
      ] as const) {
        const end = `${name}, ${index % 2 === 0 ? "without" : "with"} its time: ${(await deliver(late)).as}`;
        ends[end] = (ends[end] ?? 0) + 1;
      }
    }
    const half = messages / 2;
    rig.say(`repeated after three hours: ${JSON.stringify(ends)}`);
    rig.demand("an inbox that remembers handled a message again", ends["sound, without its time: duplicate"] === half);
    rig.demand("an inbox that remembers did not know a message", ends["sound, with its time: duplicate"] === half);
    rig.fault("repetitions of messages that were forgotten", ends["short, without its time: handled"] === half);
    rig.demand("a message older than what is remembered was not refused", ends["short, with its time: deadLettered"] === half);
    const letters = await listDeadLetters(place.database, spaceOf(place), { origin: "inbox", limit: 1_000 });
    rig.demand(
      `${letters.length} of ${half} are listed as older than what is remembered`,
      letters.length === half && letters.every(({ reason }) => reason === "olderThanRetention"),
    );
    rig.effort("messages that ran again", ends["short, without its time: handled"] ?? 0, half);

    await delivery.isQuiet();
    const history = await delivery.end();
    // The same audit, of the inbox that was overridden: were it silent, nobody would know of the double effects.
    const inbox = await readInbox({ url: place.url });
    const { verdict, counts } = audit({
      ...history,
      consumers: [{ consumer: short.consumer }],
      effects: await readEffects({ url: place.url }, short.consumer, { sql: short.sql }),
      handled: inbox.handled.filter(({ consumer }) => consumer === short.consumer),
      deadLetters: inbox.deadLetters,
    });
    rig.demand(`the auditor reports ${counts.doubled} of ${half} double effects`, verdict === "failed" && counts.doubled === half);
  },
});
