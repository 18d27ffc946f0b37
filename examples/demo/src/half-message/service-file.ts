/** What the half-message service of a run is told, as in the payment example; only ports and times are the demo's. */
import { randomBytes } from "node:crypto";

/** Secrets of a run, by the names of environment variables. */
export interface RunSecrets {
  readonly PAYMENTS_KEY: string;
  readonly ORDER_KEY: string;
  readonly CHECK_SECRET: string;
}

export function createSecrets(): RunSecrets {
  const secret = (): string => randomBytes(32).toString("base64");
  return { PAYMENTS_KEY: secret(), ORDER_KEY: secret(), CHECK_SECRET: `whsec_${secret()}` };
}

export interface ServiceFileOptions {
  readonly port: number;
  readonly adminPort: number;
  /** Where check-backs go: the gate in front of the payment service. */
  readonly checkUrl: string;
  /** Where deliveries go: the recorder in front of the order service. */
  readonly orderUrl: string;
}

/** When a half message is asked for first, from its prepare on. A payment takes some 20 ms. */
export const checkAfterMs = 2_000;

/** The options of `createHalfMessageService`, to be written as JSON. Where the defaults wait for seconds, this waits for a tenth of it. */
export function serviceFile({ port, adminPort, checkUrl, orderUrl }: ServiceFileOptions): object {
  return {
    listen: `127.0.0.1:${port}`,
    admin: `127.0.0.1:${adminPort}`,
    pollMs: 250,
    leaseMs: 3_000,
    keys: [
      { id: "payments-1", secret: { env: "PAYMENTS_KEY" }, producer: "payments", scopes: ["prepare", "decide", "read"] },
      { id: "order-1", secret: { env: "ORDER_KEY" }, consumer: "order", scopes: ["ack"] },
    ],
    producers: {
      payments: {
        check: {
          via: "push",
          url: checkUrl,
          secret: { env: "CHECK_SECRET" },
          allowHttp: true,
          allowNetworks: ["127.0.0.0/8"],
          allowPorts: [Number(new URL(checkUrl).port)],
        },
        pendingDelaysMs: [500, 1_000],
        unansweredBackoff: { firstMs: 250, maxMs: 1_000 },
        breaker: { failuresMax: 5, firstMs: 250, maxMs: 1_000 },
        checkTimeoutMs: 2_000,
      },
    },
    destinations: {
      order: {
        transport: orderUrl,
        ack: "explicit",
        consumer: "order",
        publishTimeoutMs: 2_000,
        ackDeadlineMs: 3_000,
        backoff: { firstMs: 100, maxMs: 1_000 },
        breaker: { failuresMax: 5, firstMs: 100, maxMs: 1_000 },
      },
    },
    routes: { payments: ["order"] },
  };
}
