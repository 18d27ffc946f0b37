import type { Identifier } from "@waybill/sql";

/**
 * Inserts the rows of consumer ?1 for messages with token ?2, or leaves those that are there as they are: ?3 a JSON array of objects with id, as
 * hex, and print, in the order of the ids, so that two units that wait for each other's rows are rare. A unit that inserts one of the same
 * rows is waited for. What it came to is told by `read-claims.ts`, in the same transaction.
 *
 * `on duplicate key update` as in `claim.ts`; the count says nothing. Served by the primary key.
 */
export const claimAllMessages = (inbox: Identifier): string => `
  insert into ${inbox} (consumer, message_id, fingerprint, token)
  select ?, unhex(given.id), given.print, ?
  from json_table(?, '$[*]' columns (id varchar(510) path '$.id', print varchar(64) path '$.print')) as given
  on duplicate key update token = ${inbox}.token`;
