/**
 * R74. Producers want the word of a consumer that gives it at once, late, twice, or when it was given up already: what is not confirmed is sent again until it
 * is, each word counts once, and a late one finds its message in the dead letters.
 */
import { catalogue, message, newMessageId } from "@waybill/core";
import { listDeadLetters } from "@waybill/dead-letter";
import { append, confirm } from "@waybill/outbox";
import { waitUntil } from "@waybill/testing";
import { discardAll, openDelivery, spaceOf } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { intentOf } from "../own-transactions.ts";
import { createEffectTable, deliveryOf, effectsOf, openReceiver } from "../receiver.ts";
import { scenario } from "../scenario.ts";

const consumer = "inventory";
const manners = ["prompt", "late", "double", "tooLate"] as const;
const notes = catalogue({ source: "/reliability", noted: message<unknown>({ type: "reliability.noted.v1", topic: "notes" }) });
const row = { topic: "notes", key: null };

export const confirmations = scenario({
  code: "R74",
  title:
    "a message is sent again until its consumer has confirmed it, each confirmation counts once, and one that is too late harms nothing",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { each: 5, withinMs: 100, lateAfter: 3 },
  full: { each: 200, withinMs: 2_000, lateAfter: 4 },
  async play(rig, { each, withinMs, lateAfter }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, {
      transport: endpoint.url,
      received: () => endpoint.received,
      consumers: [effectsOf(consumer)],
      isRepeating: true,
    });
    const { place } = delivery;
    await createEffectTable(place);
    /** What `confirm` answered, for each message. */
    const answers = new Map<string, boolean[]>();
    const receiver = openReceiver(rig, place, {
      consumer,
      confirm: async (tx, { messageId }) => {
        const isWaitedFor = await confirm(tx, { messageId, consumer });
        answers.set(messageId, [...(answers.get(messageId) ?? []), isWaitedFor]);
      },
    });
    const mannerOf = new Map<string, (typeof manners)[number]>();
    await place.ask(async (session) => {
      for (let nth = 0; nth < each * manners.length; nth += 1) {
        const id = newMessageId();
        const made = notes.noted({ nth }, { id });
        await session.run("begin");
        await session.run("insert into note values (?)", [id]);
        await append(session.handle, made, { confirmBy: [consumer], withinMs });
        await session.run("commit");
        delivery.intend(intentOf(row, made, id, "committed"));
        mannerOf.set(id, manners[nth % manners.length] as (typeof manners)[number]);
      }
    });
    const of = (manner: (typeof manners)[number]): readonly string[] => [...mannerOf].flatMap(([id, its]) => (its === manner ? [id] : []));
    const arrivals = (id: string): number => endpoint.arrivals.filter(({ messageId }) => messageId === id).length;
    const until = (what: string, condition: () => boolean): Promise<boolean> =>
      waitUntil(() => rig.signal.aborted || condition(), { what, deadlineMs: 120_000 });
    const payloadOf = (id: string): string => JSON.stringify({ nth: [...mannerOf.keys()].indexOf(id) });
    /** As if it had come from the wire. */
    const handle = (id: string, isAgain: boolean) => {
      const given = deliveryOf(id, { ...row, payload: payloadOf(id) }, isAgain);
      return receiver.deliver({ ...given, message: { ...given.message, headers: new Map([["confirm-by", consumer]]) } });
    };
    await delivery.relay.start();

    const quick = [...of("prompt"), ...of("double")];
    await until("all have arrived", () => [...mannerOf.keys()].every((id) => arrivals(id) > 0));
    for (const id of quick) await handle(id, false);
    for (const id of of("double")) await handle(id, true);
    await until("what is not confirmed is sent again", () => of("late").every((id) => arrivals(id) >= lateAfter));
    rig.fault("a consumer that is silent for a while", true);
    for (const id of of("late")) await handle(id, false);
    const confirmedAt = new Map([...quick, ...of("late")].map((id) => [id, arrivals(id)]));
    const givenUp = () => delivery.told.filter(({ event }) => event["name"] === "relay.unconfirmedGivenUp");
    await until("what nobody confirms is given up", () => givenUp().length >= each);
    rig.fault("a consumer that is silent for too long", true);
    const letters = await listDeadLetters(place.database, spaceOf(place), { origin: "relay", limit: 1_000 });
    const dead = letters.filter(({ reason }) => reason === `unconfirmed:${consumer}`).map(({ messageId }) => messageId);
    rig.demand(`${dead.length} are in the dead letters`, dead.length === each && of("tooLate").every((id) => dead.includes(id)));
    for (const id of of("tooLate")) await handle(id, false);

    for (const [id, manner] of mannerOf) {
      const said = answers.get(id) ?? [];
      const counted = said.filter(Boolean).length;
      rig.demand(`${manner}: ${counted} of ${said.length} confirmations counted`, counted === (manner === "tooLate" ? 0 : 1));
      if (manner === "double") rig.demand("a second confirmation was not asked for", said.length === 2);
      // One may be on its way when the confirmation commits.
      const more = arrivals(id) - (confirmedAt.get(id) ?? arrivals(id));
      rig.demand(`${manner}: it was sent ${more} times more after it was confirmed`, more <= 1);
    }
    const waiting = await place.ask((session) => session.run("select 1 as one from waybill_confirmation"));
    rig.demand(`${waiting.length} confirmations are still waited for`, waiting.length === 0);
    rig.effort("messages sent again", endpoint.arrivals.length - mannerOf.size, 2 * each);
    await discardAll(place, { reason: `unconfirmed:${consumer}` });
    await delivery.isQuiet();
    await delivery.end();
  },
});
