import { isWaybillError } from "@waybill/core";
import type { OwnedTx } from "@waybill/sql";
import { type Arrival, letterOf } from "./arrival.ts";
import { codeOf, decide } from "./decision.ts";
import type { Engine } from "./engine.ts";
import type { Way } from "./way.ts";

/** The way of a message that a source delivered. */
export function deliveredWay(engine: Engine, arrival: Arrival, isLastChance: boolean): Way {
  const { store, deadLetters, reader, settings } = engine;
  const { id, fingerprint, message, lane, hasUsableId } = arrival;

  /** Nothing keeps a dead letter from being written for ever: whoever is told and fails is not told again. */
  const notify = async (tx: OwnedTx, reason: string, attempts: number): Promise<void> => {
    const { onDeadLetter } = settings;
    if (onDeadLetter === undefined || engine.memory.unnotified.has(id)) return;
    try {
      await onDeadLetter(tx, { message, reason, attempts });
    } catch (error) {
      // A database that only asks for another try says nothing about who is told.
      if (!isWaybillError(error, "WAYBILL_DATABASE") || !error.facts.isTransient) {
        engine.memory.unnotified.add(id);
        engine.report({ name: "inbox.notifyingFailed", messageId: id, code: codeOf(error) });
      }
      throw error;
    }
  };

  return {
    isRedriven: false,

    isInOtherHands: () => store.isBeingClaimed(settings.database, { messageId: id, fingerprint }),

    async begin(tx, isPoison) {
      const claimed = await store.claim(tx, {
        messageId: id,
        fingerprint,
        lane,
        waitsBehindDead: settings.keyPolicy === "hold",
        createdAtMs: message.createdAtMs,
        retentionMs: settings.retentionMs,
      });
      return decide(claimed, { isTypeKnown: engine.registrations.has(message.type), isPoison, hasUsableId, isLastChance });
    },

    finish: () => Promise.resolve(),

    async reopen(tx) {
      const claimed = await store.claimAnyway(tx, { messageId: id, fingerprint });
      return claimed.kind === "handled" ? "duplicate" : "claimed";
    },

    async putAside(tx, reason, attempts, isClaimed) {
      if (isClaimed) await store.unclaim(tx, id);
      await notify(tx, reason, attempts);
      await deadLetters.insert(tx, reader, [letterOf(arrival, reason, attempts)]);
      await store.clearAttempts(tx, id);
    },

    hold: (tx) => deadLetters.insert(tx, reader, [letterOf(arrival, null, 0)]),
  };
}
