/** Drains a ledger in a process of its own and tells its largest resident set. Arguments: database URL, number of rows. */
import { createRelay } from "@waybill/relay";
import { openDatabase } from "@waybill/sql";
import { tellParent } from "@waybill/testing";

const [, , url = "", rows = "0"] = process.argv;
const database = openDatabase({ url });
await database.query("delete from waybill_subscription", []);
const stop = new AbortController();
let confirmed = 0;
let rssBytesMax = 0;
await createRelay({
  database,
  transport: {
    publish: (batch) => {
      confirmed += batch.length;
      rssBytesMax = Math.max(rssBytesMax, process.memoryUsage.rss());
      if (confirmed >= Number(rows)) stop.abort();
      return Promise.resolve(batch.map(() => ({ kind: "confirmed" }) as const));
    },
    close: () => Promise.resolve(),
  },
}).run({ signal: stop.signal });
await database.close();
tellParent({ name: "drained", rssBytesMax });
