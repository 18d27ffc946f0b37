/**
 * A transport without a broker: it keeps what it is given, in order, and answers what a test tells it to.
 *
 * It keeps the contract as a good broker's transport does – an outcome per message, a key stops at its first failure, a deadline,
 * nothing buffered – unless it is told to break it: `hang`, `throw` and `miscount` are for testing who calls a transport.
 */
import {
  behindItsKey,
  type Clock,
  type FailureScope,
  type OutgoingMessage,
  type PublishOutcome,
  systemClock,
  type Transport,
  type WaybillError,
  waybillError,
} from "@waybill/core";
import { type FaultTrigger, type InjectedFault, injectedFault, startTrigger, type TriggerState } from "./fault-trigger.ts";

/** What happens to a message instead of being stored and confirmed. */
export type MemoryFault =
  /** Lost on the way and never answered: `unknown` at the deadline, not stored. */
  | { readonly kind: "drop" }
  /** Stored and confirmed only after `afterMs`; `unknown` and not stored if the deadline comes first. */
  | { readonly kind: "delay"; readonly afterMs: number }
  /** Stored `copies` times (default 2), confirmed once. */
  | { readonly kind: "repeat"; readonly copies?: number }
  | { readonly kind: "reject"; readonly reason?: string }
  | { readonly kind: "retry"; readonly scope?: FailureScope; readonly afterMs?: number; readonly reason?: string }
  | { readonly kind: "unknown"; readonly isStored: boolean; readonly scope?: FailureScope; readonly reason?: string }
  /** Breaks the contract: the whole call never settles. The message is not stored. */
  | { readonly kind: "hang" }
  /** Breaks the contract: the whole call throws. The message is not stored. */
  | { readonly kind: "throw"; readonly error?: Error }
  /** Breaks the contract: the call answers one outcome too few. The message is stored. */
  | { readonly kind: "miscount" };

export type InjectedMemoryFault = MemoryFault &
  FaultTrigger & {
    /** Which messages it fits. Default: every one. */
    readonly when?: (message: OutgoingMessage) => boolean;
  };

export interface MemoryTransportOptions {
  readonly clock?: Clock;
  /** Told of every message at the moment it is stored, repeats included. */
  readonly onReceived?: (message: OutgoingMessage) => void;
}

export interface MemoryTransport extends Transport {
  /** Everything that was stored so far, in order, repeats included. Forgotten only by `forget`. */
  readonly received: readonly OutgoingMessage[];
  /** How many calls there were, and how many are under way. */
  readonly calls: number;
  readonly callsUnderWay: number;
  readonly isClosed: boolean;
  /** Puts a fault in place. If several fit a message, the one that was injected first decides. */
  inject(fault: InjectedMemoryFault): InjectedFault;
  /** Lifts all faults. */
  heal(): void;
  /** Empties `received`. */
  forget(): void;
}

interface ActiveFault {
  readonly fault: InjectedMemoryFault;
  readonly trigger: TriggerState;
  fired: number;
}

/** One call of `publish`. */
interface Call {
  /** Asked before every message that is stored. */
  readonly mayWrite: () => boolean;
  /** Runs when the call is over, by the deadline or by close: whatever is still open is then unknown. */
  readonly onOver: Set<() => void>;
  isOver: boolean;
  readonly over: Promise<void>;
  end(): void;
}

const confirmed: PublishOutcome = { kind: "confirmed" };

/** Makes a transport that keeps everything in memory. */
export function memoryTransport(options: MemoryTransportOptions = {}): MemoryTransport {
  const { clock = systemClock, onReceived } = options;
  const faults = new Set<ActiveFault>();
  const underWay = new Set<Call>();
  let received: OutgoingMessage[] = [];
  let calls = 0;
  let closing: Promise<void> | null = null;

  const store = (message: OutgoingMessage): void => {
    received.push(message);
    onReceived?.(message);
  };
  const faultFor = (message: OutgoingMessage): MemoryFault | null => {
    for (const active of faults) {
      if (active.fault.when?.(message) === false || !active.trigger.take()) continue;
      active.fired += 1;
      return active.fault;
    }
    return null;
  };
  /** Resolves with true after `afterMs`, with false if the call is over first. */
  const waitInCall = (call: Call, afterMs: number | null): Promise<boolean> =>
    new Promise((resolve) => {
      const timer = afterMs === null ? null : clock.setTimer(afterMs, () => resolve(!call.isOver));
      call.onOver.add(() => {
        timer?.cancel();
        resolve(false);
      });
    });

  /** Answers at once wherever it can, so that messages are stored in the order they were given. */
  const attempt = (message: OutgoingMessage, call: Call, broken: Broken): PublishOutcome | Promise<PublishOutcome> => {
    if (!call.mayWrite()) return leaseLost();
    const fault = faultFor(message);
    switch (fault?.kind) {
      case undefined:
        store(message);
        return confirmed;
      case "drop":
        return waitInCall(call, null).then(() => unknown("message", "noAnswer"));
      case "delay":
        return waitInCall(call, fault.afterMs).then((isInTime) => {
          if (!isInTime) return unknown("message", "noAnswer");
          if (!call.mayWrite()) return leaseLost();
          store(message);
          return confirmed;
        });
      case "repeat":
        for (let copy = 0; copy < (fault.copies ?? 2); copy += 1) store(message);
        return confirmed;
      case "reject":
        return { kind: "rejected", error: failure(fault.reason ?? "rejected") };
      case "retry":
        return {
          kind: "retry",
          error: failure(fault.reason ?? "notStored"),
          scope: fault.scope ?? "message",
          ...(fault.afterMs === undefined ? {} : { afterMs: fault.afterMs }),
        };
      case "unknown":
        if (fault.isStored) store(message);
        return unknown(fault.scope ?? "message", fault.reason ?? "noAnswer");
      case "hang":
        broken.hangs = true;
        return unknown("transport", "hangs");
      case "throw":
        broken.error ??= fault.error ?? new Error("The memory transport was told to throw.");
        return unknown("transport", "throws");
      case "miscount":
        broken.miscounts = true;
        store(message);
        return confirmed;
    }
  };

  const publishAll = (batch: readonly OutgoingMessage[], call: Call, broken: Broken): Promise<PublishOutcome[]> => {
    /** How the last message of a lane ended; a message without key waits for none. */
    const lanes = new Map<string, PublishOutcome | Promise<PublishOutcome>>();
    const outcomes = batch.map((message) => {
      if (message.key === null) return attempt(message, call, broken);
      const lane = `${message.topic}\0${message.key}`;
      const before = lanes.get(lane);
      const outcome = before === undefined ? attempt(message, call, broken) : after(before, () => attempt(message, call, broken));
      lanes.set(lane, outcome);
      return outcome;
    });
    return Promise.all(outcomes.map((outcome) => Promise.resolve(outcome)));
  };

  return {
    get received() {
      return received;
    },
    get calls() {
      return calls;
    },
    get callsUnderWay() {
      return underWay.size;
    },
    get isClosed() {
      return closing !== null;
    },
    inject(fault) {
      const active: ActiveFault = { fault, trigger: startTrigger(fault), fired: 0 };
      faults.add(active);
      return injectedFault(fault.kind, active, () => faults.delete(active));
    },
    heal() {
      faults.clear();
    },
    forget() {
      received = [];
    },
    async publish(batch, { deadlineMs, mayWrite = () => true }) {
      if (closing !== null) return batch.map(() => ({ kind: "retry", error: failure("closed"), scope: "transport" }));
      calls += 1;
      const call = openCall(mayWrite);
      underWay.add(call);
      const deadline = clock.setTimer(deadlineMs, () => call.end());
      const broken: Broken = { hangs: false, miscounts: false, error: null };
      try {
        const outcomes = await publishAll(batch, call, broken);
        if (broken.error !== null) throw broken.error;
        if (broken.hangs) return await new Promise<never>(() => undefined);
        return broken.miscounts ? outcomes.slice(1) : outcomes;
      } finally {
        deadline.cancel();
        call.end();
        underWay.delete(call);
      }
    },
    close({ deadlineMs }) {
      closing ??= closeCalls(underWay, clock, deadlineMs);
      return closing;
    },
  };
}

/** How a call breaks the contract. */
interface Broken {
  hangs: boolean;
  miscounts: boolean;
  error: Error | null;
}

function openCall(mayWrite: () => boolean): Call {
  const onOver = new Set<() => void>();
  let resolveOver: () => void = () => undefined;
  const call: Call = {
    mayWrite,
    onOver,
    isOver: false,
    over: new Promise((resolve) => {
      resolveOver = resolve;
    }),
    end() {
      if (call.isOver) return;
      call.isOver = true;
      for (const notify of onOver) notify();
      resolveOver();
    },
  };
  return call;
}

/** Waits for the calls under way until the deadline, then ends them; a call that was told to hang is left behind. */
async function closeCalls(underWay: ReadonlySet<Call>, clock: Clock, deadlineMs: number): Promise<void> {
  const deadline = clock.setTimer(deadlineMs, () => {
    for (const call of underWay) call.end();
  });
  await Promise.all([...underWay].map((call) => call.over));
  deadline.cancel();
}

/** The next message of a key is tried only if the one before it was confirmed. */
function after(
  before: PublishOutcome | Promise<PublishOutcome>,
  next: () => PublishOutcome | Promise<PublishOutcome>,
): PublishOutcome | Promise<PublishOutcome> {
  if (before instanceof Promise) return before.then((outcome) => after(outcome, next));
  return before.kind === "confirmed" ? next() : { kind: "retry", error: failure(behindItsKey), scope: "message" };
}

function leaseLost(): PublishOutcome {
  return { kind: "retry", error: failure("leaseLost"), scope: "transport" };
}

function unknown(scope: FailureScope, reason: string): PublishOutcome {
  return { kind: "unknown", error: failure(reason), scope };
}

function failure(reason: string): WaybillError<"WAYBILL_TRANSPORT"> {
  return waybillError("WAYBILL_TRANSPORT", "The memory transport was told to fail.", { system: "memory", reason, brokerCode: null });
}
