/** The toolkit's tables on PostgreSQL, as the auditor reads them. */
import { AuditInputError } from "../audit-input-error.ts";
import { arrayAt, flagAt, idAt, objectAt } from "../fields.ts";
import type { IdRange } from "../history.ts";
import type { Tables } from "../read-tables.ts";
import { tableName } from "../table-name.ts";
import { readAll } from "./read-all.ts";
import { countSpilled } from "./statements/count-spilled.ts";
import { findTable } from "./statements/find-table.ts";
import { readCommittedMessages } from "./statements/read-committed-messages.ts";
import { readDeadLetters } from "./statements/read-dead-letters.ts";
import { readHalfMessages } from "./statements/read-half-messages.ts";
import { readHandled } from "./statements/read-handled.ts";
import { readRows } from "./statements/read-rows.ts";
import { readSubscriptions } from "./statements/read-subscriptions.ts";

export const postgresTables: Tables = {
  readAll,
  nameOf: (place, table) => tableName("postgres", place.schema ?? "public", table),
  rows: (outbox) => ({ sql: readRows(outbox) }),
  subscriptions: (table, stream) => ({ sql: readSubscriptions(table), values: [stream] }),
  deadLetters: (table, origin, readerStart) => ({ sql: readDeadLetters(table), values: [origin, readerStart] }),
  handled: (inbox) => ({ sql: readHandled(inbox) }),
  spilled: (spill, stream) => ({ sql: countSpilled(spill), values: [stream] }),
  halfMessages: (halfMessages, log) => ({ sql: readHalfMessages(halfMessages, log) }),
  committedMessages: (halfMessages, bodies, deliveries, destination) => ({
    sql: readCommittedMessages(halfMessages, bodies, deliveries),
    values: [destination],
  }),
  async hasTable(place, table) {
    const [found = []] = await readAll(place, [{ sql: findTable, values: [postgresTables.nameOf(place, table)] }]);
    return flagAt(objectAt(found[0], table), "is_there", table);
  },
  openRangesOf(row, where) {
    const lo = arrayAt(row["hole_lo"], `${where}.hole_lo`);
    const hi = arrayAt(row["hole_hi"], `${where}.hole_hi`);
    if (lo.length !== hi.length) throw new AuditInputError(where, "hole_lo and hole_hi have different lengths");
    return lo.map((_, at): IdRange => ({ lo: idAt({ lo: lo[at] }, "lo", where), hi: idAt({ hi: hi[at] }, "hi", where) }));
  },
  isLeaseValid: (row, where) => flagAt(row, "is_lease_valid", where),
};
