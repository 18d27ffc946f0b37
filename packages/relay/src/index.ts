// The relay

export type { RelayHealth } from "./health.ts";
export type { ListedSubscription } from "./list-subscriptions.ts";
export { listSubscriptions } from "./list-subscriptions.ts";
// Its table
export { relayMigrations } from "./migrations.ts";
export type { KeyPolicy, RelayOptions } from "./options.ts";
export type { Relay } from "./relay.ts";
export { createRelay } from "./relay.ts";
