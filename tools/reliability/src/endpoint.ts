/**
 * A destination over HTTP, in the scenario's own process: it decides what becomes of each request and notes what it took. It parses what it gets by
 * itself, for it is on the auditor's side.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { digest, type Received } from "@waybill/auditor";

/** A request that was read whole. */
export interface Arrival {
  readonly topic: string;
  readonly key: string | null;
  readonly messageId: string;
  /** As they came, percent-encoded. */
  readonly headers: IncomingMessage["headers"];
  /** How often this message came here, this time included. */
  readonly nth: number;
  readonly atMs: number;
}

/** Status: what is 2xx is taken. `reset` cuts the connection; `silence` never answers; a function answers itself, and calls `take` if it takes it. */
export type Answer =
  | { readonly status: number; readonly afterMs?: number; readonly headers?: Readonly<Record<string, string>> }
  | "reset"
  | "silence"
  | ((response: ServerResponse, take: () => void) => void);

export interface Endpoint {
  /** Of the relay's transport: `http://127.0.0.1:1234/{topic}`. */
  readonly url: string;
  /** Whatever it may be from now on. */
  answer: (arrival: Arrival) => Answer;
  readonly arrivals: readonly Arrival[];
  /** When a message came here first. */
  arrivedMs(messageId: string): number | undefined;
  /** What was answered with 2xx, in this order. */
  readonly received: readonly Received[];
  stop(): Promise<void>;
}

const host = "127.0.0.1";

/** Listens. It takes everything until `answer` is another. */
export async function startEndpoint(): Promise<Endpoint> {
  const arrivals: Arrival[] = [];
  const received: Received[] = [];
  const seen = new Map<string, number>();
  const firstMs = new Map<string, number>();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("error", () => undefined); // cut by us, or by the other side
    response.on("error", () => undefined);
    request.on("end", () => take(request, Buffer.concat(parts), response));
  });
  const take = (request: IncomingMessage, body: Buffer, response: ServerResponse): void => {
    const messageId = attribute(request, "id") ?? "none";
    const nth = (seen.get(messageId) ?? 0) + 1;
    seen.set(messageId, nth);
    const key = attribute(request, "partitionkey");
    const topic = decodeURIComponent((request.url ?? "/").slice(1));
    const arrival: Arrival = { topic, key, messageId, headers: request.headers, nth, atMs: performance.now() };
    arrivals.push(arrival);
    if (nth === 1) firstMs.set(messageId, arrival.atMs);
    const answer = endpoint.answer(arrival);
    if (answer === "silence") return;
    if (answer === "reset") return void request.socket.resetAndDestroy();
    const note = (): void => {
      received.push({ subscription: "default", messageId, payloadDigest: digest(body), topic, key });
    };
    if (typeof answer === "function") return answer(response, note);
    const { status, afterMs = 0, headers = {} } = answer;
    const end = (): void => {
      if (status >= 200 && status < 300) note();
      response.writeHead(status, { ...headers, "content-length": "0" }).end();
    };
    if (afterMs === 0) end();
    else setTimeout(end, afterMs);
  };
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, resolve);
  });
  const endpoint: Endpoint = {
    url: `http://${host}:${(server.address() as AddressInfo).port}/{topic}`,
    answer: () => ({ status: 200 }),
    arrivals,
    received,
    arrivedMs: (messageId) => firstMs.get(messageId),
    async stop() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
  return endpoint;
}

/** A CloudEvents attribute: percent-encoded, by the HTTP binding. */
function attribute(request: IncomingMessage, name: string): string | null {
  const value = request.headers[`ce-${name}`];
  return typeof value === "string" ? decodeURIComponent(value) : null;
}
