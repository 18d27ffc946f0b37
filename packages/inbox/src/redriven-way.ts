import type { DeadLetter } from "@waybill/dead-letter";
import { committedValue } from "@waybill/sql";
import type { Arrival } from "./arrival.ts";
import { decide } from "./decision.ts";
import type { Engine } from "./engine.ts";
import type { Way } from "./way.ts";

/**
 * The way of a released dead letter. Its row is locked first and finished in the unit of its effects, so several processes of one consumer
 * may redrive at once: one is at a row, the others leave its lane. Neither age nor its lane's state keep it back: an operator decided.
 */
export function redrivenWay(engine: Engine, arrival: Arrival, letter: DeadLetter): Way {
  const { store, deadLetters, reader } = engine;
  const { database } = engine.settings;
  const { id, fingerprint, message, hasUsableId } = arrival;
  return {
    isRedriven: true,

    async isInOtherHands() {
      const looked = await database.unitOfWork((tx) => deadLetters.claim(tx, reader, letter), { operation: "look at a dead letter" });
      return !committedValue("look at a dead letter", looked);
    },

    async begin(tx, isPoison) {
      if (!(await deadLetters.claim(tx, reader, letter))) return { kind: "gone" };
      if (engine.ignored.has(message.type)) return { kind: "settle", as: "ignored" };
      const claimed = await store.claimAnyway(tx, { messageId: id, fingerprint });
      return decide(claimed, { isTypeKnown: engine.registrations.has(message.type), isPoison, hasUsableId, isLastChance: false });
    },

    async finish(tx) {
      await deadLetters.finish(tx, reader, letter);
    },

    async reopen(tx) {
      return (await deadLetters.claim(tx, reader, letter)) ? "open" : "gone";
    },

    async putAside(tx, reason, attempts, isClaimed) {
      if (isClaimed) await store.unclaim(tx, id);
      await deadLetters.refuse(tx, reader, letter, { reason, attempts, mayBeStored: false });
      await store.clearAttempts(tx, id);
    },

    hold: () => Promise.reject(new Error("A redriven message waits for nobody.")),
  };
}
