// The inbox

export { createInbox } from "./create-inbox.ts";
export type { HandledMessage, Handler, HandlerContext, Inbox, Processed } from "./inbox.ts";
export type { InboxOptions } from "./inbox-options.ts";
export { reject } from "./reject.ts";

// Its rows

export { createInboxStore, type InboxStoreOptions } from "./create-inbox-store.ts";
export type { Attempts, Claim, Claimed, InboxStore, MessagePrint } from "./inbox-store.ts";
export { inboxMigrations } from "./migrations.ts";
