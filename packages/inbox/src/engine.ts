import { emit, type InboxEvent, type MessageType } from "@waybill/core";
import { createDeadLetters, type DeadLetters, type Reader } from "@waybill/dead-letter";
import { type Namespace, namespace } from "@waybill/sql";
import { createInboxStore } from "./create-inbox-store.ts";
import type { Handler } from "./inbox.ts";
import type { InboxSettings } from "./inbox-options.ts";
import type { InboxStore } from "./inbox-store.ts";
import { createLanes, type Lanes } from "./lanes.ts";
import { createSlots, type Slots } from "./slots.ts";

/** Handler and type as they were registered; what a handler is given fits it by construction. */
export interface Registration {
  readonly type: MessageType<never, unknown>;
  readonly handler: Handler<unknown>;
}

type InboxStep = InboxEvent extends infer Event ? (Event extends InboxEvent ? Omit<Event, "consumer"> : never) : never;

/** What the parts of an inbox share. */
export interface Engine {
  readonly settings: InboxSettings;
  readonly space: Namespace;
  readonly reader: Reader;
  readonly store: InboxStore;
  readonly deadLetters: DeadLetters;
  readonly registrations: ReadonlyMap<string, Registration>;
  readonly ignored: ReadonlySet<string>;
  readonly slots: Slots;
  readonly lanes: Lanes;
  /** Lanes of one message id each: a message that is delivered again while it is being handled waits for that, without a place. */
  readonly sameId: Lanes;
  readonly memory: AttemptMemory;
  report(step: InboxStep): void;
}

/** What this process remembers about attempts. All of it may be forgotten: it only makes counting cheaper and kinder. */
export interface AttemptMemory {
  /** Messages that failed here: their next attempt is counted when it starts. */
  readonly failed: BoundedSet;
  /** Starts that were counted and ended by no fault of the message, but could not be taken back yet. */
  readonly owed: BoundedSet;
  /** Disturbances in a row, for the backoff. */
  disturbances: number;
}

export interface BoundedSet {
  has(id: string): boolean;
  add(id: string): void;
  delete(id: string): void;
}

/** A set that forgets its oldest member rather than grow without end. */
export function boundedSet(membersMax: number): BoundedSet {
  const members = new Set<string>();
  return {
    has: (id) => members.has(id),
    add(id) {
      members.add(id);
      const [oldest] = members;
      if (members.size > membersMax && oldest !== undefined) members.delete(oldest);
    },
    delete: (id) => void members.delete(id),
  };
}

export function createEngine(
  settings: InboxSettings,
  registrations: ReadonlyMap<string, Registration>,
  ignored: ReadonlySet<string>,
): Engine {
  const { consumer, database, schema, prefix, concurrency, onEvent } = settings;
  const space = namespace(database.dialect, { schema, prefix });
  const deadLetters = createDeadLetters(space);
  return {
    settings,
    space,
    reader: { origin: "inbox", name: consumer },
    store: createInboxStore({ space, consumer, deadLetters }),
    deadLetters,
    registrations,
    ignored,
    slots: createSlots(concurrency),
    lanes: createLanes(),
    sameId: createLanes(),
    memory: { failed: boundedSet(10_000), owed: boundedSet(10_000), disturbances: 0 },
    report: onEvent === undefined ? () => undefined : (step) => emit(onEvent, { consumer, ...step } as InboxEvent),
  };
}
