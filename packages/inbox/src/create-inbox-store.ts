import { throwConfigProblems } from "@waybill/core";
import type { DeadLetters } from "@waybill/dead-letter";
import type { Namespace } from "@waybill/sql";
import type { InboxStore } from "./inbox-store.ts";
import { postgresInboxStore } from "./postgres/inbox-store.ts";

export interface InboxStoreOptions {
  readonly space: Namespace;
  /** Whose rows they are. */
  readonly consumer: string;
  /** What a claim looks at besides its own rows. */
  readonly deadLetters: DeadLetters;
}

/**
 * The rows of a consumer's inbox. Opens nothing: every call is given the unit or the statements it runs with.
 *
 * @throws WAYBILL_CONFIG_INVALID for a dialect that is not supported
 */
export function createInboxStore({ space, consumer, deadLetters }: InboxStoreOptions): InboxStore {
  if (space.dialect !== "postgres") throwConfigProblems("The inbox", [{ option: "dialect", problem: "postgres" }]);
  return postgresInboxStore({ space, consumer, letters: deadLetters.table });
}
