/**
 * A relay in a process of its own, as beside an application, into a transport that confirms at once. Argument: database URL. Tells `ready` when it
 * has the lease; on the line `count` how many messages it has published, and the milliseconds of CPU it has used; on `stop` it ends.
 */
import { createInterface } from "node:readline";
import { createRelay } from "@waybill/relay";
import { openDatabase } from "@waybill/sql";
import { tellParent } from "@waybill/testing";

const [, , url = ""] = process.argv;
const database = openDatabase({ url });
const stop = new AbortController();
let published = 0;
createInterface({ input: process.stdin }).on("line", (line) => {
  const { user, system } = process.cpuUsage();
  if (line === "count") tellParent({ name: "count", published, cpuMs: (user + system) / 1_000 });
  else if (line === "stop") stop.abort();
});
await createRelay({
  database,
  transport: {
    publish: (batch) => {
      published += batch.length;
      return Promise.resolve(batch.map(() => ({ kind: "confirmed" }) as const));
    },
    close: () => Promise.resolve(),
  },
  onEvent: ({ name }) => {
    if (name === "relay.leaseAcquired") tellParent({ name: "ready" });
  },
}).run({ signal: stop.signal });
await database.close();
process.exit(0);
