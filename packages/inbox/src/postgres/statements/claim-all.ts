import type { Identifier } from "@waybill/sql";

/**
 * Inserts the rows of consumer $1 for messages, unless they are there: $2 a JSON array of objects with message_id and fingerprint. A unit that
 * inserts one of the same rows is waited for. All insert in the order of the ids, so that two units that wait for each other's rows are rare.
 *
 * Answers the ids that were inserted; the others are handled. Served by the primary key.
 */
export const claimAllMessages = (inbox: Identifier): string => `
  insert into ${inbox} (consumer, message_id, fingerprint)
  select $1, given.message_id, given.fingerprint
  from json_to_recordset($2::json) as given (message_id text, fingerprint text)
  order by given.message_id collate "C"
  on conflict (consumer, message_id) do nothing
  returning message_id`;
