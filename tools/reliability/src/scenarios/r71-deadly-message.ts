/**
 * R71. A message kills whoever handles it, every time: after as many starts as it may have it is put aside, and all others are handled, also those that
 * were at work beside it when it killed.
 */
import { listDeadLetters } from "@waybill/dead-letter";
import { waitUntil } from "@waybill/testing";
import { openBankConsumer } from "../bank-consumer.ts";
import { discardAll, spaceOf } from "../delivery.ts";
import { scenario } from "../scenario.ts";

const deadlyFiller = "deadly";
/** Handled first: a start is counted only among the first messages after a start of the process. */
const before = 20;

export const deadlyMessage = scenario({
  code: "R71",
  title: "a message that kills its process every time is put aside after its starts, and its neighbours are handled",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { deadly: 1, neighbours: 200, followers: 5, poisonAttempts: 3 },
  full: { deadly: 20, neighbours: 5_000, followers: 50, poisonAttempts: 3 },
  async play(rig, { deadly, neighbours, followers, poisonAttempts }) {
    const bank = await openBankConsumer(rig, { deadlyFiller, inbox: { poisonAttempts } });
    const { delivery, seat, rowOf } = bank;
    const { place } = delivery;
    const list = () => listDeadLetters(place.database, spaceOf(place), { origin: "inbox", state: "dead", limit: 1_000 });
    /** Whoever was killed comes back, until the condition holds. */
    const untilOverDeaths = (what: string, condition: () => Promise<boolean>): Promise<boolean> => {
      const look = async (): Promise<boolean> => {
        await seat.start();
        return rig.signal.aborted || condition();
      };
      return waitUntil(look, { what, deadlineMs: 240_000, intervalMs: 200 });
    };
    const alive = Array.from({ length: neighbours }, (_, index) => rowOf(100 + (index % 50), "x"));
    const heads = Array.from({ length: deadly }, (_, index) => rowOf(index, deadlyFiller));
    const behind = Array.from({ length: followers * deadly }, (_, index) => rowOf(index % deadly, "x"));
    const ids = await delivery.write([...alive.slice(0, before), ...heads, ...behind, ...alive.slice(before)]);
    const deadlyIds = new Set(ids.slice(before, before + deadly));
    await delivery.relay.start();
    await untilOverDeaths("each deadly message is put aside", async () => (await list()).length >= deadly);
    await untilOverDeaths("its neighbours are handled", async () => (await bank.credited()) >= neighbours);
    const letters = await list();
    rig.fault("a message that kills its process", bank.deaths > 0);
    rig.effort("deaths", bank.deaths, deadly * poisonAttempts);
    rig.demand(`${bank.deaths} deaths for ${deadly} messages of ${poisonAttempts} starts each`, bank.deaths <= deadly * poisonAttempts);
    for (const { messageId, reason, attempts } of letters) {
      rig.demand(`a message that kills nobody was put aside for ${reason}`, deadlyIds.has(messageId));
      // The start at which it is put aside, and no handler runs, is one of them.
      rig.demand(`it was put aside for ${reason} after ${attempts} starts`, reason === "poison" && attempts === poisonAttempts + 1);
    }
    await discardAll(place, { origin: "inbox", reason: "poison" });
    await untilOverDeaths("those behind it are handled", async () => (await bank.credited()) >= neighbours + behind.length);
    await bank.end();
  },
});
