/**
 * Appends again what was not confirmed in time: see `confirmations.ts` of the outbox for how.
 *
 *     ask when the next is due ──▶ wait, a second at most ──▶ ask …                        every ten seconds: what was redriven ──▶ append once more; then, bounded: what waits ──▶ count
 *        ▲     └── it is ──▶ steps, until nothing is due ──▶ wake the reading
 *        │                     └── repeated often enough ──▶ a dead letter of the reader `<stream>/@confirmations`, an alarm
 *        └─────────────────────┘
 *
 * Every relay that holds a lease of the stream does so, on its upkeep connection. Nothing needs a fence: the transaction that repeats is right whoever
 * sends it, and a row is locked by one of them. The dead letters have a reader of their own, so that they hold up no key of a subscription, and nobody
 * but this reads it.
 */
import type { Reader } from "@waybill/dead-letter";
import { createConfirmations, type UnconfirmedMessage } from "@waybill/outbox";
import { committedValue, type OwnedTx } from "@waybill/sql";
import { hindranceOf } from "./retention.ts";
import type { Session } from "./session.ts";
import { tellOnce } from "./upkeep.ts";

const askMs = 1_000;
/** After a refusal: a table or a right that is missing is there tomorrow, not in a second, and each question is a line in the server's log. */
const refusedMs = 10_000;
/** Between two steps: others want the connection, and the server. */
const stepPauseMs = 10;
const lookEveryMs = 10_000;
const rowsMax = 100;
const removedAtOnceMax = 1_000;
/** After a count that the server refused, or gave up: others need it more, and it is as slow again. */
const countRefusedMs = 300_000;
/** A reason names who is missing, within what is easily read. */
const reasonLengthMax = 200;

/** Runs until the session ends or drains. */
export async function repeatUnconfirmed(session: Session, wakeReading: () => void): Promise<void> {
  const { settings, space, connections, clock, deadLetters } = session;
  const confirmations = createConfirmations({ space, stream: settings.stream });
  const reader: Reader = { origin: "relay", name: `${settings.stream}/@confirmations` };
  const tell = tellOnce((reason) => session.report({ name: "relay.unconfirmedNotRepeated", reason }));
  const tellCount = tellOnce((reason) => session.report({ name: "relay.unconfirmedNotMeasured", reason }));
  let lookAtMs = 0;
  // Not at once: were the count what ended the last session, each would end so.
  let measureAtMs = clock.monotonicMs() + lookEveryMs;

  const giveUp = async (tx: OwnedTx, messages: readonly UnconfirmedMessage[]): Promise<void> => {
    await deadLetters.insert(
      tx,
      reader,
      messages.map(({ messageId, type, topic, key, headers, payload, consumers, repeats }) => ({
        sequence: 0n,
        messageId,
        type,
        topic,
        key,
        headers,
        payload,
        createdAtMs: null,
        mayBeStored: true,
        attempts: repeats + 1,
        reason: `unconfirmed:${consumers.join(",")}`.slice(0, reasonLengthMax),
      })),
    );
  };

  const repeatAll = async (): Promise<void> => {
    for (;;) {
      const step = await confirmations.repeatDue(connections.upkeep, {
        giveUp,
        onStep: (kind, messages) =>
          session.report({ name: kind === "repeating" ? "relay.unconfirmedRepeating" : "relay.unconfirmedCommitting", messages }),
      });
      if (step.repeated > 0) {
        session.report({ name: "relay.unconfirmedRepeated", messages: step.repeated, lateMs: Math.max(0, step.lateMs) });
        wakeReading();
      }
      for (const { messageId, type, topic, consumers } of step.givenUp)
        session.report({ name: "relay.unconfirmedGivenUp", messageId, type, topic, consumers });
      if (!step.isMore || session.isDraining || !(await session.pause(stepPauseMs))) return;
    }
  };

  /**
   * What an operator has released goes into the ledger once more, and nobody waits for it then. In whatever order: a repeat is a repetition, and one that
   * nobody has decided about keeps no other of its key.
   */
  const redrive = async (): Promise<void> => {
    const operation = "redriving messages that were not confirmed";
    const unit = async (tx: OwnedTx): Promise<number> => {
      const letters = await deadLetters.takeReleasedAnyhow(tx, reader, rowsMax);
      await confirmations.appendAgain(tx, letters);
      for (const letter of letters) await deadLetters.finish(tx, reader, letter);
      return letters.length;
    };
    while ((await deadLetters.counts(connections.upkeep, reader, 1)).released > 0) {
      const messages = committedValue(operation, await connections.upkeep.unitOfWork(unit, { operation }));
      // Another relay of the stream is at what is left.
      if (messages === 0) break;
      session.report({ name: "relay.unconfirmedRedriven", messages });
      wakeReading();
      if (session.isDraining || !(await session.pause(stepPauseMs))) return;
    }
    await deadLetters.removeDecided(connections.upkeep, reader, settings.decidedRetentionMs, removedAtOnceMax);
  };

  /** For the metrics alone: it comes after the work, is bounded by the server, and hinders nothing. */
  const measure = async (isAnyWaiting: boolean): Promise<void> => {
    const none = { waiting: 0, repeated: 0, oldestMs: null };
    const hindrance = await hindranceOf(async () => {
      const measured = isAnyWaiting ? await confirmations.measure(connections.upkeep, { deadlineMs: settings.statementDeadlineMs }) : none;
      session.report({ name: "relay.unconfirmedMeasured", ...measured });
      return null;
    });
    measureAtMs = clock.monotonicMs() + (hindrance === null ? lookEveryMs : countRefusedMs);
    tellCount(hindrance);
  };

  const turn = async (): Promise<number> => {
    if (clock.monotonicMs() >= lookAtMs) {
      lookAtMs = clock.monotonicMs() + lookEveryMs;
      await redrive();
    }
    const limits = { deadlineMs: settings.statementDeadlineMs };
    const dueInMs = await confirmations.untilDueMs(connections.upkeep, limits);
    if (dueInMs !== null && dueInMs <= 0) await repeatAll();
    if (clock.monotonicMs() >= measureAtMs && !session.isDraining) await measure(dueInMs !== null);
    return dueInMs === null || dueInMs <= 0 ? askMs : Math.min(askMs, Math.ceil(dueInMs));
  };

  let afterMs = 0;
  do {
    if (session.isDraining) return;
    afterMs = askMs;
    const hindrance = await hindranceOf(async () => {
      afterMs = await turn();
      return null;
    });
    if (hindrance !== null) afterMs = refusedMs;
    tell(hindrance);
  } while (await session.pause(afterMs));
}
