/**
 * Moves delayed messages into the ledger when they are due: see `delayed-messages.ts` of the outbox for how, and why once.
 *
 *     ask when the next is due ──▶ wait, 500 ms at most: another may be appended that is due sooner ──▶ ask …
 *        ▲     └── it is ──▶ a pass, in bounded steps, until nothing is due but what somebody holds ──▶ wake the reading
 *        └── woken, by whoever appended: ten times a second at most
 *
 * Every relay that holds a lease of the stream does so, on its upkeep connection. Nothing needs a fence: the transaction that moves is right
 * whoever sends it. Which of them moves decides the row of `waybill_stream`. Nobody holding a lease, nothing moves.
 */
import { createDelayedMessages, nothingPassedOver } from "@waybill/outbox";
import { hindranceOf } from "./retention.ts";
import type { Session } from "./session.ts";
import { tellOnce } from "./upkeep.ts";

/** The promise is a second. */
const askMs = 500;
/** After a pass that left something behind – for a key that is held, or for another mover – the next one is tried soon. */
const againMs = 200;
/** Woken by every writer of a busy application, it asks so much later than it last did. */
const wokenMs = 100;
/** Between two steps, and between two passes: others want the row of the stream, and applications the locks of keys. */
const stepPauseMs = 10;
const passPauseMs = 50;

export interface DelayedMoving {
  /** Runs until the session ends or drains. */
  run(): Promise<void>;
  /** Asks soon instead of in half a second: what was appended may be due. */
  wake(): void;
  /** For how long the oldest message that was due and still waited had been due, when it was last asked for; 0: none was. */
  readonly dueForMs: number;
}

export function createDelayedMoving(session: Session, wakeReading: () => void): DelayedMoving {
  const { settings, space, connections, clock } = session;
  const delayed = createDelayedMessages({ space, stream: settings.stream });
  const tell = tellOnce((reason) => session.report({ name: "relay.delayedNotMoved", reason }));
  let dueForMs = 0;
  let isWoken = false;
  let endPause = (): void => undefined;

  /** False: the session has ended. */
  const pause = async (afterMs: number): Promise<boolean> => {
    const fromMs = clock.monotonicMs();
    const woken = new Promise<boolean>((resolve) => {
      endPause = () => resolve(true);
    });
    if (!isWoken && !(await Promise.race([session.pause(afterMs), woken]))) return false;
    isWoken = false;
    const leftMs = Math.min(afterMs, wokenMs) - (clock.monotonicMs() - fromMs);
    return leftMs <= 0 || (await session.pause(leftMs));
  };

  /** Moves what is due. False: another moves, and something may be left. */
  const pass = async (): Promise<boolean> => {
    let passedOver = nothingPassedOver;
    for (;;) {
      const step = await delayed.moveDue(connections.upkeep, {
        passedOver,
        onStep: (kind, messages) =>
          session.report({ name: kind === "moving" ? "relay.delayedMoving" : "relay.delayedCommitting", messages }),
      });
      if (step.kind === "busy") return false;
      if (step.messages > 0) {
        session.report({ name: "relay.delayedMoved", messages: step.messages, lateMs: Math.max(0, step.lateMs) });
        wakeReading();
      }
      passedOver = step.passedOver;
      if (!step.isMore || session.isDraining || session.ended.aborted) {
        return passedOver.locks.length + passedOver.ids.length === 0;
      }
      await session.pause(stepPauseMs);
    }
  };

  /** Asks, moves what is due, and answers how long to wait. */
  const turn = async (): Promise<number> => {
    const dueInMs = await delayed.untilDueMs(connections.upkeep, { deadlineMs: settings.statementDeadlineMs });
    dueForMs = dueInMs === null ? 0 : Math.max(0, -dueInMs);
    if (dueInMs === null) return askMs;
    if (dueInMs > 0) return Math.min(askMs, Math.ceil(dueInMs));
    return (await pass()) ? passPauseMs : againMs;
  };

  return {
    wake() {
      isWoken = true;
      endPause();
    },
    get dueForMs() {
      return dueForMs;
    },
    run: async () => {
      let afterMs = 0;
      do {
        if (session.isDraining) return;
        let hasTurned = false;
        const hindrance = await hindranceOf(async () => {
          afterMs = await turn();
          hasTurned = true;
          return null;
        });
        // A server that refuses will do so again: it is asked as often as one that has nothing.
        if (!hasTurned) afterMs = askMs;
        tell(hindrance);
      } while (await pause(afterMs));
    },
  };
}
