// The relay

export type { RelayHealth } from "./health.ts";
export type { ListedSubscription } from "./list-subscriptions.ts";
export { listSubscriptions } from "./list-subscriptions.ts";
// Retention of its ledger

export type { LowWaterMark } from "./low-water-mark.ts";
export type { RetentionAlert, RetentionOptions, RetentionRun, RetentionStatus, RunRetentionOptions } from "./retention.ts";
export { readRetention, retentionAlerts, runRetention } from "./retention.ts";

// Its table
export { relayMigrations } from "./migrations.ts";
export type { KeyPolicy, RelayOptions } from "./options.ts";
export type { Relay } from "./relay.ts";
export { createRelay } from "./relay.ts";
