import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { newMessageId, type OutgoingMessage, type ReceivedMessage } from "@waybill/core";
import { fromRequest } from "../src/binary-mode.ts";

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf8"));

let sequence = 0n;

/** A message; with a topic of its own it has a route, and so connections and a breaker, of its own. */
export function newMessage(given: Partial<OutgoingMessage> = {}): OutgoingMessage {
  sequence += 1n;
  return {
    id: newMessageId(),
    type: "shop.order.placed.v1",
    topic: "orders",
    key: null,
    headers: new Map([
      ["ce-source", "/order-service"],
      ["content-type", "application/json"],
    ]),
    payload: bytes('{"orderId":"7"}'),
    sequence,
    createdAtMs: 1_700_000_000_000,
    ...given,
  };
}

export interface StartedDestination {
  readonly port: number;
  readonly url: string;
  /** How many connections were ever made to it. */
  connectionsMade(): number;
  close(): Promise<void>;
}

export type Answer = (request: IncomingMessage, response: ServerResponse, message: ReceivedMessage) => void;

/** A destination that reads every request whole and answers as told; default 200. It remembers what arrived. */
export async function startDestination(
  answer: Answer = (_request, response) => response.end(),
): Promise<StartedDestination & { readonly received: ReceivedMessage[]; readonly requests: IncomingMessage[] }> {
  const received: ReceivedMessage[] = [];
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    requests.push(request);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => undefined);
    request.on("end", () => {
      const envelope = fromRequest(request.headers, Buffer.concat(chunks));
      if ("problem" in envelope) throw new Error(envelope.problem);
      received.push(envelope.message);
      answer(request, response, envelope.message);
    });
  });
  const started = await listen(server);
  return { ...started, received, requests };
}

/**
 * A destination that speaks bytes: `onRequest` is called once per request whose last byte has arrived (of its head, if it does not
 * read bodies), with its number on this socket.
 */
export async function startRawDestination(
  onRequest: (socket: Socket, request: { readonly text: string; readonly onSocket: number; readonly inAll: number }) => void,
  { readsBody = true }: { readonly readsBody?: boolean } = {},
): Promise<StartedDestination> {
  let inAll = 0;
  const server = createTcpServer({ noDelay: true }, (socket) => {
    let text = "";
    let onSocket = 0;
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      const length = readsBody ? Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0) : 0;
      if (end === -1 || text.length < end + 4 + length) return;
      onSocket += 1;
      inAll += 1;
      if (!readsBody) socket.removeAllListeners("data").pause();
      const whole = text;
      text = "";
      onRequest(socket, { text: whole, onSocket, inAll });
    });
  });
  return listen(server);
}

async function listen(server: Server): Promise<StartedDestination> {
  const sockets = new Set<Socket>();
  let made = 0;
  server.on("connection", (socket: Socket) => {
    made += 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    connectionsMade: () => made,
    url: `http://127.0.0.1:${port}/in/{topic}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
