// Operating subscriptions

export type { ChangeOptions, DeleteOptions, ResumeOptions, SubscriptionChange, SubscriptionName } from "./change-subscription.ts";
export {
  createSubscription,
  deleteSubscription,
  moveSubscription,
  pauseSubscription,
  resumeSubscription,
} from "./change-subscription.ts";
export type { Standing, SubscriptionState } from "./operator-row.ts";
export type { Position } from "./position.ts";
export type { ReplayOptions, ReplayReport } from "./replay.ts";
export { replay } from "./replay.ts";
export type { StopReason } from "./stop-reason.ts";
export { parseStopReason } from "./stop-reason.ts";

// The relay

export type { RelayHealth } from "./health.ts";
export type { KeyPolicy } from "./key-policy.ts";
export type { ListedSubscription } from "./list-subscriptions.ts";
export { listSubscriptions } from "./list-subscriptions.ts";
export type { MessageFilter } from "./message-filter.ts";
export { messageFilter } from "./message-filter.ts";
// Retention of its ledger

export type { LowWaterMark } from "./low-water-mark.ts";
// Its table
export { relayMigrations } from "./migrations.ts";
export type { RelayOptions } from "./options.ts";
export type { Relay } from "./relay.ts";
export { createRelay } from "./relay.ts";
export type { OneOfRelays, RelayEnd, RelayStanding, Relays, RelaysOptions } from "./relays.ts";
export { createRelays } from "./relays.ts";
export type { RetentionAlert, RetentionOptions, RetentionRun, RetentionStatus, RunRetentionOptions } from "./retention.ts";
export { readRetention, retentionAlerts, runRetention } from "./retention.ts";
