/**
 * What the engines report: one union, one listener, no logging.
 *
 * Events carry ids, names, numbers, codes and durations – never a payload, a header's value, a parameter or a key (a key can be a
 * customer's number). They are emitted synchronously *between* steps, so the list of events is also the list of points at which
 * the crash tests kill a process. Names are the operators' interface: adding one is a minor change, renaming one a major.
 */
import type { BarrierEvent, DeliveryEvent, HalfMessageEvent, ProducerEvent } from "./events/half-message-events.ts";
import type { InboxEvent } from "./events/inbox-events.ts";
import type { RelayEvent, RelaysEvent } from "./events/relay-events.ts";
import type { HttpEvent, KafkaEvent, RabbitmqEvent, SourceEvent } from "./events/transport-events.ts";
import { tell } from "./listener.ts";

/** A hint to relays did not get through: they find what was committed by their poll. */
export type OutboxEvent = { readonly name: "outbox.hintLost"; readonly stream: string };

export type SqlEvent =
  /** A connection of ours was destroyed: its deadline passed, or the server or network ended it. */
  | { readonly name: "sql.connectionLost"; readonly code: string }
  /** A whole unit of work is run again after a serialization failure or deadlock; `errno` is MySQL's number, null on PostgreSQL. */
  | { readonly name: "sql.unitRepeated"; readonly sqlState: string; readonly errno: number | null; readonly attempt: number };

export type WaybillEvent =
  | RelayEvent
  | RelaysEvent
  | OutboxEvent
  | InboxEvent
  | SqlEvent
  | BarrierEvent
  | ProducerEvent
  | HttpEvent
  | RabbitmqEvent
  | KafkaEvent
  | SourceEvent
  | HalfMessageEvent
  | DeliveryEvent;

/** A listener. It cannot disturb what it listens to; whatever it does takes the engine's time. */
export type OnEvent = (event: WaybillEvent) => void;

/** Reports an event. */
export function emit(onEvent: OnEvent | undefined, event: WaybillEvent): void {
  tell(onEvent, event);
}
