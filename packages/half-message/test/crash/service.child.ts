/**
 * A service that a crash test kills. Argument: its options as JSON. Tells its events; ends itself with SIGKILL at an event, if it is told one, and in order at
 * SIGTERM. With `destination`, a URL, it delivers there over HTTP, soon; without, into its memory. With `checks`, a URL, it asks there, soon.
 */
import { secret, type WaybillEvent } from "@waybill/core";
import { createHalfMessageService, type HalfMessageServiceOptions, type ProducerOptions } from "@waybill/half-message";
import { httpCaller, httpTransport } from "@waybill/http";
import { openDatabase } from "@waybill/sql";
import { killOnEvent, memoryTransport, tellParent } from "@waybill/testing";

interface Wanted {
  readonly url: string;
  readonly key: string;
  readonly destination?: string;
  readonly checks?: string;
  readonly killAt?: WaybillEvent["name"] | null;
}

const wanted = JSON.parse(process.argv[2] as string) as Wanted;
const { killAt = null, checks } = wanted;
const kill = killAt === null ? null : killOnEvent({ name: killAt });
const delivering: Pick<HalfMessageServiceOptions, "destinations" | "routes" | "leaseMs" | "pollMs"> =
  wanted.destination === undefined
    ? { destinations: { kafka: { transport: memoryTransport() } }, routes: { payments: ["kafka"] } }
    : {
        destinations: {
          web: { transport: httpTransport({ url: wanted.destination }), breaker: { failuresMax: 5, firstMs: 100, maxMs: 200 } },
        },
        routes: { payments: ["web"] },
        leaseMs: 1_000,
        pollMs: 50,
      };
const checking: ProducerOptions =
  checks === undefined
    ? { check: { via: "pull" } }
    : {
        check: {
          via: "push",
          url: checks,
          secret: secret(`whsec_${Buffer.from(wanted.key).toString("base64")}`),
          allowHttp: true,
          allowNetworks: ["127.0.0.0/8"],
          allowPorts: [Number(new URL(checks).port)],
        },
        checkAfterMs: 100,
        checkTimeoutMs: 500,
        unansweredBackoff: { firstMs: 100, maxMs: 200 },
        breaker: { failuresMax: 5, firstMs: 100, maxMs: 200 },
      };
const service = await createHalfMessageService({
  database: openDatabase({ url: wanted.url, connections: 10 }),
  http: httpCaller(),
  listen: "127.0.0.1:0",
  admin: null,
  keys: [{ id: "payments-1", secret: secret(wanted.key), producer: "payments", scopes: ["prepare", "decide", "check", "read"] }],
  producers: { payments: checking },
  durability: "relaxed",
  ...delivering,
  onEvent: (event) => {
    tellParent(event);
    kill?.(event);
  },
});
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
await service.run({ signal: stop.signal });
process.exit(0);
