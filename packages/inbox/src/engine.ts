import { emit, type InboxEvent, type MessageType } from "@waybill/core";
import { createDeadLetters, type DeadLetters, type Reader } from "@waybill/dead-letter";
import { type Namespace, namespace } from "@waybill/sql";
import { type BoundedSet, boundedSet } from "./bounded-set.ts";
import { createInboxStore } from "./create-inbox-store.ts";
import { createResultStore } from "./create-result-store.ts";
import { createFailureAlert, type FailureAlert } from "./failure-alert.ts";
import type { BatchHandler, Handler } from "./inbox.ts";
import { type InboxSettings, usualRetry } from "./inbox-options.ts";
import type { InboxStore } from "./inbox-store.ts";
import type { ResultStore } from "./result-store.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import { createSlots, type Slots } from "./slots.ts";
import { createUnhandled, type Unhandled } from "./unhandled.ts";

/** Handler and type as they were registered; what a handler is given fits it by construction. */
export interface Registration {
  readonly type: MessageType<never, unknown>;
  readonly handler: Handler<unknown, unknown>;
  readonly handleMany: BatchHandler<unknown>;
  readonly retry: RetryPolicy;
  /** What the handler returns is kept, and told to whoever delivers the message again. */
  readonly keepsResult: boolean;
  /** null: no guard. */
  readonly staleness: "skip" | "reject" | null;
  /** True: `handleMany` is what was registered, and `handler` gives it one message. */
  readonly takesMany: boolean;
}

/** An event of this inbox, without its name. */
export type InboxStep = InboxEvent extends infer Event ? (Event extends InboxEvent ? Omit<Event, "consumer"> : never) : never;

/** What the parts of an inbox share. */
export interface Engine {
  readonly settings: InboxSettings;
  readonly space: Namespace;
  readonly reader: Reader;
  readonly store: InboxStore;
  readonly results: ResultStore;
  readonly deadLetters: DeadLetters;
  readonly registrations: ReadonlyMap<string, Registration>;
  readonly ignored: ReadonlySet<string>;
  /** Of types that name no other. */
  readonly usualRetry: RetryPolicy;
  readonly slots: Slots;
  /** Requests that this process is answering, or waits for: by id, until it has ended, well or badly. */
  readonly requests: Map<string, Promise<void>>;
  readonly memory: AttemptMemory;
  readonly unhandled: Unhandled;
  readonly failureAlert: FailureAlert;
  readonly failures: FailuresSeen;
  report(step: InboxStep): void;
}

/** What went wrong last, for health; null: nothing since something was done. */
export interface FailuresSeen {
  code: string | null;
  /** Since when it has been consumed again; null: it waits for that. */
  source: { readonly code: string; againSinceMs: number | null } | null;
}

/** What this process remembers about attempts. All of it may be forgotten: it only makes counting cheaper and kinder. */
export interface AttemptMemory {
  /** Messages that failed here: their next attempt is counted when it starts. */
  readonly failed: BoundedSet;
  /** Starts that were counted and ended by no fault of the message, but could not be taken back yet. */
  readonly owed: BoundedSet;
  /** Dead letters whose notification failed: they are written without it. */
  readonly unnotified: BoundedSet;
  /** Disturbances in a row, for the backoff. */
  disturbances: number;
  /** Types whose last handler was slow: their messages share no transaction, so that no other waits for them. */
  readonly slowTypes: Set<string>;
  /** Types whose handlers send what no batch may send: it would be sent back each time. */
  readonly loneTypes: Set<string>;
}

/** A handler that takes longer is slow; and how long handlers of one batch are started. */
export const turnMs = 250;

/** Notes how long a handler of a registered type took. */
export function noteDuration({ memory }: Pick<Engine, "memory">, type: string, durationMs: number): void {
  if (durationMs > turnMs) memory.slowTypes.add(type);
  else memory.slowTypes.delete(type);
}

export function createEngine(
  settings: InboxSettings,
  registrations: ReadonlyMap<string, Registration>,
  ignored: ReadonlySet<string>,
): Engine {
  const { consumer, database, schema, prefix, concurrency, clock, onEvent, onAlert } = settings;
  const tell = onEvent === undefined ? () => undefined : (step: InboxStep) => emit(onEvent, { consumer, ...step } as InboxEvent);
  const failureAlert = createFailureAlert({ consumer, clock, onAlert, tell });
  const failures: FailuresSeen = { code: null, source: null };
  const space = namespace(database.dialect, { schema, prefix });
  const deadLetters = createDeadLetters(space);
  return {
    settings,
    space,
    reader: { origin: "inbox", name: consumer },
    store: createInboxStore({ space, consumer, deadLetters }),
    results: createResultStore(space, consumer),
    deadLetters,
    registrations,
    ignored,
    usualRetry: usualRetry(settings),
    slots: createSlots(concurrency),
    requests: new Map(),
    memory: {
      failed: boundedSet(10_000),
      owed: boundedSet(10_000),
      unnotified: boundedSet(10_000),
      disturbances: 0,
      slowTypes: new Set(),
      loneTypes: new Set(),
    },
    unhandled: createUnhandled(clock),
    failureAlert,
    failures,
    report(step) {
      if ("code" in step) failures.code = step.code;
      tell(step);
      failureAlert.watch(step);
    },
  };
}
