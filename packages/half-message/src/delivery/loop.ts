/**
 * Brings what was decided to where it goes.
 *
 *     an acknowledgement, or time ──▶ scan: where is something due? ──▶ wakes that destination's loop   (`lane.ts`; receivers: `notification/receiver.ts`)
 *                                        └── nowhere: until the earliest due time, at most `pollMs`
 *     a decision here says where it goes, and needs no scan; one of another service is found by time
 *
 * Every destination has a loop of its own, so a slow or dead one delays no other. The scan costs what there are destinations, whatever waits. Several
 * services may do this over one database: leases share the work out.
 *
 * What is due to a destination that is not configured waits for `destinationGraceMs`, for one that is being renamed or is configured by the next release;
 * then it is dead, and can be redriven once the destination is back.
 */
import { type Clock, emit, isWaybillError, type OnEvent, type Random } from "@waybill/core";
import type { Database } from "@waybill/sql";
import type { DeadDelivery, DeliveryResult, DeliveryStore, DueDestination, WriteDead } from "../delivery-store.ts";
import { receiversDestination } from "../delivery-store.ts";
import type { NotificationLoop } from "../notification/receiver.ts";
import type { Destination } from "./destination.ts";
import { type DestinationLoop, destinationLoop } from "./lane.ts";
import { wakeUp } from "./wake-up.ts";

export interface DeliveryLoopOptions {
  readonly store: DeliveryStore;
  readonly database: Database;
  readonly destinations: readonly Destination[];
  readonly pollMs: number;
  readonly leaseMs: number;
  readonly destinationGraceMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: OnEvent | undefined;
  /** In the transaction in which deliveries become dead, and after it. */
  readonly writeDead: WriteDead;
  readonly onDead: (dead: readonly DeadDelivery[]) => void;
  /** How much is not done for a destination, from time to time. */
  readonly onBacklog: (destination: string, open: number) => void;
  /** What brings notifications; null: nothing does, and they wait. */
  readonly notifications: NotificationLoop | null;
}

export interface DeliveryLoop {
  /** Something may be due anywhere: look now. */
  wake(): void;
  /** Something was written that is due there: its loops need no scan to be told. */
  wakeFor(due: readonly DueDestination[]): void;
  /** False: something is a minute late although nothing keeps its destination from taking it. */
  isReady(): boolean;
  /** Until the signal aborts and what was under way is recorded. */
  run(signal: AbortSignal): Promise<void>;
}

const lateMsMax = 60_000;
const buryMax = 100;
/** How often backlogs are counted, at most. */
const countEveryMs = 5_000;

export function deliveryLoop(options: DeliveryLoopOptions): DeliveryLoop {
  const { store, database, pollMs, leaseMs, clock, onEvent, notifications } = options;
  const woken = wakeUp(clock);
  const unknownSinceMs = new Map<string, number>();
  /** When the next scan is due at the latest, by our monotonic clock. */
  let scanAtMs = Number.POSITIVE_INFINITY;
  let isAsked = true;
  let isLate = false;
  let countedAtMs = Number.NEGATIVE_INFINITY;

  const onDueIn = (afterMs: number): void => {
    const atMs = clock.monotonicMs() + afterMs;
    if (atMs >= scanAtMs) return;
    scanAtMs = atMs;
    woken.wake();
  };
  const loops = new Map<string, DestinationLoop>(
    options.destinations.map((destination) => [destination.name, destinationLoop({ ...options, destination, units: database, onDueIn })]),
  );

  /** undefined: there is no such destination here; null: nothing brings notifications. */
  const loopOf = (destination: string): { wake(): void } | null | undefined =>
    destination === receiversDestination ? notifications : loops.get(destination);

  /**
   * A destination that nobody configured here. Another service may know it, as while a new release is rolled out: so it is not enough that we have
   * known of it for so long, what is due must have waited as long; and as long as that service tries in vain, its breaker open or not, nothing is given up.
   */
  const meet = async (destination: string, dueForMs: number): Promise<void> => {
    const nowMs = clock.monotonicMs();
    const sinceMs = unknownSinceMs.get(destination);
    if (sinceMs === undefined) {
      unknownSinceMs.set(destination, nowMs);
      emit(onEvent, { name: "delivery.destinationUnknown", destination });
    } else if (
      Math.min(nowMs - sinceMs, dueForMs) >= options.destinationGraceMs &&
      !(await store.wasTried(database, destination, options.destinationGraceMs))
    )
      await bury(destination);
  };

  const bury = async (destination: string): Promise<void> => {
    const claim = await store.claim(database, { destination, limit: buryMax, leaseMs, heldMs: pollMs });
    const results = claim.deliveries.map((delivery): DeliveryResult => {
      const isOld = delivery.lateMs >= options.destinationGraceMs;
      const next = isOld
        ? ({ kind: "dead", reason: "destination_removed" } as const)
        : ({ kind: "again", afterMs: 0, isCharged: false, holdsLane: false } as const);
      return { delivery, next, outcome: "notSent", error: null, status: null, isLogged: false, beganAgoMs: 0, tookMs: 0 };
    });
    const { dead } = await store.record(database, claim, results, options.writeDead);
    for (const { deliveryId, messageId } of dead) {
      emit(onEvent, { name: "delivery.dead", destination, deliveryId, messageId, reason: "destination_removed" });
    }
    if (dead.length > 0) options.onDead(dead);
    if (dead.length > 0 && claim.isFull) onDueIn(0);
  };

  const count = async (): Promise<void> => {
    countedAtMs = clock.monotonicMs();
    for (const destination of [...loops.keys(), ...(notifications === null ? [] : [receiversDestination])])
      options.onBacklog(destination, await store.countOpen(database, destination));
  };

  const scan = async (): Promise<void> => {
    let nextMs = pollMs;
    let late = false;
    for (const { destination, afterMs } of await store.due(database)) {
      if (afterMs > 0) {
        nextMs = Math.min(nextMs, afterMs);
        continue;
      }
      const loop = loopOf(destination);
      loop?.wake();
      if (loop === undefined) await meet(destination, -afterMs);
      else unknownSinceMs.delete(destination);
      if (afterMs < -lateMsMax && loops.get(destination)?.isClosed() === true) late = true;
    }
    isLate = late;
    if (clock.monotonicMs() - countedAtMs >= countEveryMs) await count();
    scanAtMs = Math.min(scanAtMs, clock.monotonicMs() + nextMs);
  };

  const watch = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      if (isAsked || clock.monotonicMs() >= scanAtMs) {
        isAsked = false;
        scanAtMs = Number.POSITIVE_INFINITY;
        try {
          await scan();
        } catch (error) {
          const code = isWaybillError(error) ? error.code : "UNKNOWN";
          emit(onEvent, { name: "delivery.databaseFailed", destination: "", operation: "due", code });
          scanAtMs = clock.monotonicMs() + pollMs;
        }
      }
      await woken.wait(Math.max(1, scanAtMs - clock.monotonicMs()), signal);
    }
  };

  const wake = (): void => {
    isAsked = true;
    woken.wake();
  };

  return {
    wake,
    wakeFor(due) {
      for (const { destination, afterMs } of due) {
        const loop = loopOf(destination);
        if (afterMs > 0) onDueIn(afterMs);
        else if (loop === undefined) wake();
        else loop?.wake();
      }
    },
    isReady: () => !isLate,
    async run(signal) {
      const running = [...loops.values()].map((loop) => loop.run(signal));
      if (notifications !== null) running.push(notifications.run(signal, onDueIn));
      await Promise.all([watch(signal), ...running]);
    },
  };
}
