/** All that brings committed messages to where they go, with its alerts and numbers. */
import { type DeliveryEvent, emit, failureRate, type OnEvent } from "@waybill/core";
import type { Database } from "@waybill/sql";
import type { Alerts } from "./alerts.ts";
import { deadWriter } from "./delivery/dead-notice.ts";
import { deliveryPolicy } from "./delivery/destination-policy.ts";
import { deliveryLoop } from "./delivery/loop.ts";
import type { DeadDelivery, DeliveryStore, DueDestination, WriteDead } from "./delivery-store.ts";
import type { Metrics } from "./metrics.ts";
import { notificationLoop } from "./notification/receiver.ts";
import { receiverRules } from "./notification/receiver-options.ts";
import type { ReceiverSecrets } from "./notification/receiver-secret.ts";
import type { ServiceRules } from "./options.ts";
import type { ReceiverStore } from "./receiver-store.ts";
import type { HalfMessageStore } from "./store.ts";

export interface DeliveriesOptions {
  readonly rules: ServiceRules;
  readonly database: Database;
  readonly store: HalfMessageStore;
  readonly deliveries: DeliveryStore;
  readonly receivers: ReceiverStore;
  readonly secrets: ReceiverSecrets;
  readonly alerts: Alerts;
  readonly metrics: Metrics;
}

export interface Deliveries {
  /** Something was acknowledged or redriven: somewhere. */
  wake(): void;
  /** Something was decided, and goes there. */
  wakeFor(due: readonly DueDestination[]): void;
  isReady(): boolean;
  run(signal: AbortSignal): Promise<void>;
  /** For whoever else lets deliveries die: what is written in the same transaction, and what is told after it. */
  readonly writeDead: WriteDead;
  tellDead(dead: readonly Pick<DeadDelivery, "destination" | "reason">[]): void;
}

export function createDeliveries({
  rules,
  database,
  store,
  deliveries,
  receivers,
  secrets,
  alerts,
  metrics,
}: DeliveriesOptions): Deliveries {
  const writeDead = deadWriter({ store, deliveries, noticeOf: (producer) => rules.producers[producer]?.deadNotice ?? null });
  const rate = failureRate();
  const tellDead: Deliveries["tellDead"] = (dead) => {
    for (const { destination, reason } of dead) {
      metrics.count("waybill_half_deliveries_total", { destination, outcome: "dead" });
      alerts.raise({ kind: "delivery_dead", subject: destination, detail: `A delivery was given up: ${reason}.` });
    }
  };
  const onEvent: OnEvent = (event) => {
    emit(rules.onEvent, event);
    if (event.name === "delivery.published") measure(event);
    if (event.name === "delivery.breakerOpened" || event.name === "delivery.breakerClosed")
      metrics.set("waybill_half_breaker_open", { of: event.destination }, event.name === "delivery.breakerOpened" ? 1 : 0);
  };
  const measure = (event: Extract<DeliveryEvent, { name: "delivery.published" }>): void => {
    const { destination, confirmed, rejected, retry, unknown } = event;
    for (const [outcome, count] of Object.entries({ confirmed, rejected, retry, unknown }))
      if (count > 0) metrics.count("waybill_half_deliveries_total", { destination, outcome }, count);
    for (const delayMs of event.delaysMs) metrics.observe("waybill_half_confirm_delay_seconds", { destination }, delayMs / 1_000);
    const failed = rejected + retry + unknown;
    if (rate.note(destination, failed, confirmed + failed))
      alerts.raise({ kind: "failure_rate", subject: destination, detail: "More than one in a hundred of the last attempts failed." });
  };

  const loop = deliveryLoop({
    ...rules,
    store: deliveries,
    database,
    destinations: Object.entries(rules.destinations).map(([name, options]) => {
      return { name, transport: options.transport, policy: deliveryPolicy(options) };
    }),
    onEvent,
    writeDead,
    onDead: tellDead,
    onBacklog: (destination, open) => metrics.set("waybill_half_backlog", { destination }, open),
    notifications: notificationLoop({
      ...rules,
      rules: receiverRules(rules.receivers),
      store: deliveries,
      receivers,
      secrets,
      allowNetworks: rules.receiverAllowNetworks,
      database,
      alerts,
      onEvent,
      writeDead,
      onDead: tellDead,
    }),
  });
  return { wake: loop.wake, wakeFor: loop.wakeFor, isReady: loop.isReady, run: loop.run, writeDead, tellDead };
}
