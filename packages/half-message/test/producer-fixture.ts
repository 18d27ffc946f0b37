/** A service, a producer with a database of its own, and the endpoint where it answers checks. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { catalogue, message, secret, type WaybillEvent } from "@waybill/core";
import { httpCaller } from "@waybill/http";
import { openDatabase } from "@waybill/sql";
import { type TestDatabaseServer, waitUntil } from "@waybill/testing";
import {
  type CheckOptions,
  type CreateProducerOptions,
  createProducer,
  type HalfMessageServiceOptions,
  type Producer,
  type ProducerOptions,
} from "../src/index.ts";
import { type BarrierFixture, barrierFixture } from "./barrier-fixture.ts";
import { type Answer, type HalfMessageFixture, halfMessageFixture, type Replica, secrets } from "./half-message-fixture.ts";

export const shop = catalogue({
  source: "/payments",
  paymentTaken: message<{ readonly orderId: string }>({ type: "shop.payment.taken.v1", topic: "payments", key: ({ orderId }) => orderId }),
});
export const taken = (orderId = "order-17"): ReturnType<typeof shop.paymentTaken> => shop.paymentTaken({ orderId });

export const checkSecret = `whsec_${Buffer.from("checks-checks-checks-checks-checks-").toString("base64")}`;

/** Everything soon, for tests: a check after 150 ms, and again every 150 ms. */
export const soon: ProducerOptions = {
  checkAfterMs: 150,
  suspendAfterMs: 60_000,
  suspendGraceMs: 300,
  pendingDelaysMs: [150],
  unansweredBackoff: { firstMs: 100, maxMs: 200 },
  breaker: { failuresMax: 5, firstMs: 100, maxMs: 200 },
  checkTimeoutMs: 1_000,
  suspendedCheckMs: 200,
};

export interface CheckEndpoint {
  readonly url: string;
  readonly port: number;
  /** Ids, in the order in which they were asked for, each with its number. */
  readonly asked: { readonly id: string; readonly checkNumber: number }[];
  /** How the service is told to reach it. */
  readonly check: CheckOptions;
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;
  close(): Promise<void>;
}

/** An endpoint of a producer. What it hears is noted before it is handled. */
export async function checkEndpoint(): Promise<CheckEndpoint> {
  const asked: { id: string; checkNumber: number }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { checks } = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { checks: { id: string; checkNumber: number }[] };
      asked.push(...checks.map(({ id, checkNumber }) => ({ id, checkNumber })));
    });
    Promise.resolve(endpoint.handle(request, response)).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/checks`;
  const endpoint: CheckEndpoint = {
    url,
    port,
    asked,
    check: {
      via: "push",
      url,
      secret: secret(checkSecret),
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
      allowPorts: [port],
    },
    handle: (_, response) => void response.writeHead(503).end(),
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return endpoint;
}

export interface ProducerFixture {
  readonly service: HalfMessageFixture;
  readonly shop: BarrierFixture;
  readonly endpoint: CheckEndpoint;
  /** Starts a replica that pushes checks to the endpoint, soon, or as `payments` says. */
  replica(payments?: ProducerOptions, options?: Partial<HalfMessageServiceOptions>): Promise<Replica>;
  /**
   * A producer that calls a replica, with what it reports; the endpoint is answered by the last one made. Closed with the fixture. No check of its half
   * messages is due, unless a test says so: on a slow machine one would fence a local transaction.
   */
  producer(
    replica: Pick<Replica, "ports"> | string,
    options?: Partial<CreateProducerOptions>,
  ): { readonly producer: Producer; readonly events: WaybillEvent[] };
  /** Waits until the half message is in this state, and answers what is shown of it. */
  until(replica: Replica, id: string, state: string): Promise<Answer["body"]>;
  clear(): Promise<void>;
  close(): Promise<void>;
}

export async function producerFixture(server: TestDatabaseServer): Promise<ProducerFixture> {
  const [service, own, endpoint] = await Promise.all([halfMessageFixture(server), barrierFixture(server), checkEndpoint()]);
  const closing: (() => Promise<unknown>)[] = [];
  const http = httpCaller({});
  return {
    service,
    shop: own,
    endpoint,
    replica: (payments = {}, options = {}) =>
      service.replica({
        http,
        pollMs: 50,
        leaseMs: 2_000,
        producers: { payments: { ...soon, check: endpoint.check, ...payments }, orders: { ...soon, check: { via: "pull" } } },
        ...options,
      }),
    producer(replica, options = {}) {
      const events: WaybillEvent[] = [];
      const database = openDatabase({ url: own.place.url, connections: 4 });
      const producer = createProducer({
        producer: "payments",
        service: {
          url: typeof replica === "string" ? replica : `http://127.0.0.1:${replica.ports.public}`,
          key: { id: "payments-1", secret: secrets["payments-1"] },
        },
        checks: { secret: checkSecret },
        database,
        checkAfterMs: 3_600_000,
        suspendAfterMs: 7_200_000,
        onEvent: (event) => events.push(event),
        ...options,
      });
      endpoint.handle = (request, response) => producer.handleChecks(request, response);
      closing.push(async () => {
        await producer.close({ deadlineMs: 100 });
        await database.close();
      });
      return { producer, events };
    },
    async until(replica, id, state) {
      const shown = await waitUntil(
        async () => {
          const answer = await replica.show(id);
          return answer.status === 200 && answer.body["state"] === state ? answer : null;
        },
        { what: `half message ${id} is ${state}`, intervalMs: 30 },
      );
      return shown.body;
    },
    async clear() {
      endpoint.asked.length = 0;
      await own.query("delete from waybill_barrier");
      await own.query("delete from payment");
      for (const table of ["half_message", "half_message_body", "delivery", "delivery_lane"]) {
        await service.database.execute(`delete from waybill_${table}`, []);
      }
    },
    async close() {
      for (const end of closing) await end();
      await endpoint.close();
      await service.close();
      await own.close();
    },
  };
}
