/** Where a service calls: its destination and its producers' endpoint, with what came and when. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Arrival {
  /** Of the request's URL: `/web`, `/checks`. */
  readonly path: string;
  /** `ce-id`; "undefined" for what is no delivery. */
  readonly id: string;
  readonly body: string;
  /** By the monotonic clock. */
  readonly atMs: number;
}

export interface Arrivals {
  readonly all: readonly Arrival[];
  /** Ids that arrived at the path, in the order of their arrival. */
  ids(path: string): readonly string[];
  url(path: string): string;
  /** How a request is answered once it has arrived and was noted. Default 200 without a body. */
  reply: (request: IncomingMessage, response: ServerResponse, body: string) => Promise<void> | void;
  close(): Promise<void>;
}

export async function listenForArrivals(): Promise<Arrivals> {
  const all: Arrival[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString("utf8");
      all.push({ path: request.url ?? "", id: String(request.headers["ce-id"]), body, atMs: performance.now() });
      Promise.resolve(arrivals.reply(request, response, body)).catch(() => response.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const arrivals: Arrivals = {
    all,
    ids: (path) => all.flatMap((one) => (one.path === path ? [one.id] : [])),
    url: (path) => `http://127.0.0.1:${port}${path}`,
    reply: (_, response) => void response.end(),
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return arrivals;
}
