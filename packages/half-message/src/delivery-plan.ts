/** Which deliveries a committed message becomes, and which lanes they need. Pure. */
import { newToken } from "@waybill/core";
import type { DestinationRules, RoutedMessage } from "./delivery-store.ts";
import { receiversDestination } from "./delivery-store.ts";
import type { NewDelivery, TouchedLane } from "./delivery-tables.ts";

/** null: not configured any more. It waits under the default rules until it is. */
export type RulesOf = (destination: string) => DestinationRules | null;

export function planDeliveries(messages: readonly RoutedMessage[], rulesOf: RulesOf): readonly NewDelivery[] {
  return messages.flatMap((message) => message.destinations.map((name) => planDelivery(message, name, rulesOf)));
}

function planDelivery(message: RoutedMessage, name: string, rulesOf: RulesOf): NewDelivery {
  const receiver = name.startsWith(`${receiversDestination}/`) ? name.slice(receiversDestination.length + 1) : null;
  const rules = receiver === null ? rulesOf(name) : null;
  return {
    code: newToken(),
    producer: message.producer,
    id: message.id,
    ordinal: message.ordinal,
    messageId: message.messageId,
    destination: receiver === null ? name : receiversDestination,
    receiver,
    businessKey: message.businessKey,
    ackMode: rules?.ack ?? "implicit",
    lane: receiver ?? (rules?.ordering === "none" ? null : message.key),
    delayMs: message.delayMs,
    giveUpMs: rules?.giveUpAfterMs ?? null,
  };
}

/** The lanes of these, each once, due when the first of them may go, in the order in which everybody locks them. */
export function lanesOf(deliveries: readonly NewDelivery[]): readonly TouchedLane[] {
  return lanesInOrder(
    deliveries.flatMap(({ destination, lane, delayMs }) => (lane === null ? [] : [{ destination, lane, afterMs: delayMs }])),
  );
}

/** Each lane once, with the least wait, in the order in which everybody locks them. */
export function lanesInOrder(touched: readonly TouchedLane[]): readonly TouchedLane[] {
  const lanes = new Map<string, TouchedLane>();
  for (const { destination, lane, afterMs } of touched) {
    const name = JSON.stringify([destination, lane]);
    lanes.set(name, { destination, lane, afterMs: Math.min(afterMs, lanes.get(name)?.afterMs ?? afterMs) });
  }
  return [...lanes.values()].sort((a, b) => byBytes(a.destination, b.destination) || byBytes(a.lane, b.lane));
}

/** As the database compares names and text: by their bytes. */
export function byBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** As the database compares the numbers: without leading zeros the shorter is the lesser. */
export function bySeq(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}
