/**
 * A half-message service in a process of its own that asks its producers over HTTP. Argument: JSON with the database's URL, the number of producers, the checkers'
 * port, the port on which nobody listens – where `producer-0` would be –, the secret of the checks, and how many checks go in a call. On the line `calls` it tells
 * how many calls it has made, and how many of them to the dead producer; on `stop` it ends.
 */
import { createInterface } from "node:readline";
import { type HttpCaller, secret } from "@waybill/core";
import { createHalfMessageService, type ProducerOptions } from "@waybill/half-message";
import { httpCaller } from "@waybill/http";
import { openDatabase } from "@waybill/sql";
import { memoryTransport, tellParent } from "@waybill/testing";

interface Wanted {
  readonly url: string;
  readonly producers: number;
  readonly port: number;
  readonly deadPort: number;
  readonly checkSecret: string;
  readonly checkBatch: number;
}

const wanted = JSON.parse(process.argv[2] as string) as Wanted;
const { port, deadPort } = wanted;
const made = { calls: 0, toDead: 0 };
const caller = httpCaller();
const counting: HttpCaller = {
  call(request, options) {
    made.calls += 1;
    if (new URL(request.url).port === String(deadPort)) made.toDead += 1;
    return caller.call(request, options);
  },
};
const stop = new AbortController();
createInterface({ input: process.stdin }).on("line", (line) => {
  if (line === "calls") tellParent({ name: "calls", ...made });
  else if (line === "stop") stop.abort();
});

const producers = Array.from({ length: wanted.producers }, (_, n): readonly [string, ProducerOptions] => {
  const name = `producer-${n}`;
  const url = `http://127.0.0.1:${n === 0 ? deadPort : port}/${name}`;
  const reach = { allowHttp: true, allowNetworks: ["127.0.0.0/8"], allowPorts: [port, deadPort] };
  const check = { via: "push", url, secret: secret(wanted.checkSecret), ...reach } as const;
  return [name, { check, checkBatch: wanted.checkBatch, pendingDelaysMs: [1_000] }];
});
const database = openDatabase({ url: wanted.url, connections: 12 });
const service = await createHalfMessageService({
  database,
  http: counting,
  listen: "127.0.0.1:0",
  admin: null,
  keys: [{ id: "producer-0", secret: secret("bench-bench-bench-bench-bench-bench-"), producer: "producer-0", scopes: ["read"] }],
  producers: Object.fromEntries(producers),
  destinations: { broker: { transport: memoryTransport() } },
  routes: { payments: ["broker"] },
  durability: "relaxed",
});
await service.run({ signal: stop.signal });
await database.close();
process.exit(0);
