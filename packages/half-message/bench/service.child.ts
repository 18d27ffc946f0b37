/**
 * A half-message service in a process of its own. Arguments: database URL, key's secret, number of producers. Tells its events; on the line `cpu` the
 * milliseconds of CPU that it has used; on `stop` it ends.
 */
import { createInterface } from "node:readline";
import { secret } from "@waybill/core";
import { createHalfMessageService } from "@waybill/half-message";
import { openDatabase } from "@waybill/sql";
import { tellParent } from "@waybill/testing";
import { keysOfPayments } from "./service-calls.ts";

const [, , url = "", key = "", producers = "1"] = process.argv;
const stop = new AbortController();
createInterface({ input: process.stdin }).on("line", (line) => {
  const { user, system } = process.cpuUsage();
  if (line === "cpu") tellParent({ name: "cpu", cpuMs: (user + system) / 1_000 });
  else if (line === "stop") stop.abort();
});
const database = openDatabase({ url, connections: 12 });
const others = Array.from({ length: Number(producers) - 1 }, (_, n) => [`other-${n}`, { check: { via: "pull" } }] as const);
const service = await createHalfMessageService({
  database,
  http: { call: () => Promise.resolve({ kind: "notSent", reason: "none" }) },
  listen: "127.0.0.1:0",
  admin: null,
  // Several, for prepares are limited per second and key.
  keys: Array.from({ length: keysOfPayments }, (_, n) => {
    return { id: `payments-${n}`, secret: secret(key), producer: "payments", scopes: ["prepare", "decide", "read"] as const };
  }),
  producers: { payments: { check: { via: "pull" }, undecidedQuota: 1_000_000 }, ...Object.fromEntries(others) },
  destinations: {
    broker: {
      transport: {
        publish: (batch) => Promise.resolve(batch.map(() => ({ kind: "confirmed" }) as const)),
        close: () => Promise.resolve(),
      },
    },
  },
  routes: { payments: ["broker"] },
  durability: "relaxed",
  onEvent: (event) => {
    if (event.name === "halfMessage.listening") tellParent(event);
  },
});
await service.run({ signal: stop.signal });
await database.close();
process.exit(0);
