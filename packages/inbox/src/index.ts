// Its rows
export { createInboxStore, type InboxStoreOptions } from "./create-inbox-store.ts";
export type { Attempts, Claim, Claimed, InboxStore, MessagePrint } from "./inbox-store.ts";
export { inboxMigrations } from "./migrations.ts";
