// The inbox

export { createInbox } from "./create-inbox.ts";
export { hold } from "./hold.ts";
export type {
  Answered,
  BatchHandler,
  HandledMessage,
  Handler,
  HandlerContext,
  HandlerOptions,
  Inbox,
  Processed,
  RequestOptions,
  RequestWork,
} from "./inbox.ts";
export type { InboxHealth } from "./inbox-health.ts";
export type { ConfirmedMessage, GivenUp, InboxOptions } from "./inbox-options.ts";
export { reject } from "./reject.ts";
export { retryAfter } from "./retry-after.ts";
export type { RetryPolicy } from "./retry-policy.ts";

// How it stands

export type { InboxMetrics, InboxMetricsOptions, InboxReadiness } from "./inbox-metrics.ts";
export { createInboxMetrics } from "./inbox-metrics.ts";

// Its rows

export { createInboxStore, type InboxStoreOptions } from "./create-inbox-store.ts";
export type { Attempts, Claim, Claimed, InboxStore, MessagePrint } from "./inbox-store.ts";
export { inboxMigrations } from "./migrations.ts";
