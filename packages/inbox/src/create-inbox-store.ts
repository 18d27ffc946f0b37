import type { DeadLetters } from "@waybill/dead-letter";
import type { Namespace } from "@waybill/sql";
import type { InboxStore } from "./inbox-store.ts";
import { mysqlInboxStore } from "./mysql/inbox-store.ts";
import { postgresInboxStore } from "./postgres/inbox-store.ts";

export interface InboxStoreOptions {
  readonly space: Namespace;
  /** Whose rows they are. */
  readonly consumer: string;
  /** What a claim looks at besides its own rows. */
  readonly deadLetters: DeadLetters;
}

/** The rows of a consumer's inbox. Opens nothing: every call is given the unit or the statements it runs with. */
export function createInboxStore({ space, consumer, deadLetters }: InboxStoreOptions): InboxStore {
  const options = { space, consumer, letters: deadLetters.table };
  return space.dialect === "mysql" ? mysqlInboxStore(options) : postgresInboxStore(options);
}
