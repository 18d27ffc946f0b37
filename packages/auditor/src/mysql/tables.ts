/** The toolkit's tables on MySQL and MariaDB, as the auditor reads them. */
import { AuditInputError } from "../audit-input-error.ts";
import { idAt, textAt } from "../fields.ts";
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

export const mysqlTables: Tables = {
  readAll,
  nameOf: (place, table) => tableName("mysql", place.schema ?? null, table),
  rows: (outbox) => ({ sql: readRows(outbox) }),
  subscriptions: (table, stream) => ({ sql: readSubscriptions(table), values: [stream] }),
  deadLetters: (table, origin, readerStart) => ({ sql: readDeadLetters(table), values: [origin, readerStart, readerStart] }),
  handled: (inbox) => ({ sql: readHandled(inbox) }),
  spilled: (spill, stream) => ({ sql: countSpilled(spill), values: [stream] }),
  halfMessages: (halfMessages, log) => ({ sql: readHalfMessages(halfMessages, log) }),
  committedMessages: (halfMessages, bodies, deliveries, destination) => ({
    sql: readCommittedMessages(halfMessages, bodies, deliveries),
    values: [destination, destination],
  }),
  async hasTable(place, table) {
    const sql = findTable(place.schema === undefined ? "database()" : "?");
    const [found = []] = await readAll(place, [{ sql, values: [...(place.schema === undefined ? [] : [place.schema]), table] }]);
    return String(found[0]?.["is_there"]) === "1";
  },
  openRangesOf(row, where) {
    const text = textAt(row, "holes", where);
    // Gap, length, gap, length, … from id 0 on.
    if (!/^\[(?:\d{1,19}(?:,\d{1,19})*)?\]$/.test(text)) throw new AuditInputError(`${where}.holes`, "must be whole numbers in an array");
    const numbers = text === "[]" ? [] : text.slice(1, -1).split(",");
    if (numbers.length % 2 !== 0) throw new AuditInputError(`${where}.holes`, "must be pairs of gap and length");
    const ranges: IdRange[] = [];
    let next = 0n;
    for (let at = 0; at < numbers.length; at += 2) {
      const lo = next + idAt({ gap: numbers[at] }, "gap", where);
      next = lo + idAt({ length: numbers[at + 1] }, "length", where);
      ranges.push({ lo, hi: next - 1n });
    }
    return ranges;
  },
  isLeaseValid: (row) => String(row["is_lease_valid"]) === "1",
};
