/**
 * The connections of a client to its half-message service. Its address is the application's own configuration and no stranger's, so there is no
 * guard on it; connections are kept, for every half message makes at least two calls.
 *
 *     connect ─▶ (TLS) ─▶ write ─────────▶ status ─────▶ last byte
 *     └──── notSent ────┘  └── unknown ──┘  └─ unknown ─┘ answered
 *
 * A kept connection may be closed by the service in the very moment we write to it: that is unknown, too. Every call may be repeated under its id.
 */
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import type { Clock, HttpAnswer, HttpCaller, HttpCallOptions, HttpRequest } from "@waybill/core";

/** Trust and identity for `https:`. Certificates are always verified. */
export interface ServiceTls {
  /** Certificates, PEM, of the authorities to trust instead of the well-known ones. */
  readonly ca?: string;
  /** Our own certificate and its private key, PEM. */
  readonly cert?: string;
  readonly key?: string;
}

export interface ServiceConnection extends HttpCaller {
  /** Ends what is under way and closes every socket. */
  close(): void;
}

/** Shorter than servers keep an idle connection, so that a call rarely meets one that is just being closed. */
const idleMsMax = 4_000;
const socketsMax = 100;

export function serviceConnection(isTls: boolean, tls: ServiceTls, clock: Clock): ServiceConnection {
  const shared = { keepAlive: true, maxSockets: socketsMax, maxFreeSockets: socketsMax, timeout: idleMsMax };
  const agent = isTls ? new HttpsAgent({ ...shared, ...tls }) : new HttpAgent(shared);
  const underWay = new Set<() => void>();
  return {
    call: (request, options) => exchange(agent, isTls, request, options, clock, underWay),
    close() {
      for (const end of underWay) end();
      agent.destroy();
    },
  };
}

function exchange(
  agent: HttpAgent,
  isTls: boolean,
  request: HttpRequest,
  { deadlineMs, responseBytesMax, mayWrite }: HttpCallOptions,
  clock: Clock,
  underWay: Set<() => void>,
): Promise<HttpAnswer> {
  return new Promise((resolve) => {
    let isWritten = false;
    let isSettled = false;
    const settle = (answer: HttpAnswer): void => {
      isSettled = true;
      timer.cancel();
      underWay.delete(end);
      resolve(answer);
    };
    const fail = (reason: string): void => {
      if (isSettled) return;
      settle({ kind: isWritten ? "unknown" : "notSent", reason });
      outgoing.destroy();
    };
    const end = (): void => fail("closed");
    const timer = clock.setTimer(deadlineMs, () => fail("deadline"));
    underWay.add(end);

    const { body } = request;
    const headers = { ...request.headers, ...(body === null ? {} : { "content-length": String(body.byteLength) }) };
    const outgoing: ClientRequest = (isTls ? httpsRequest : httpRequest)(request.url, {
      method: request.method,
      headers,
      agent,
      timeout: 0,
    });
    const write = (): void => {
      if (mayWrite?.() === false) return fail("refused");
      isWritten = true;
      if (body === null) outgoing.end();
      else outgoing.end(body);
    };
    outgoing.on("error", () => fail("connectionLost"));
    outgoing.on("close", () => fail("connectionLost"));
    outgoing.on("socket", (socket: Socket) => {
      if (outgoing.reusedSocket) write();
      else socket.once(isTls ? "secureConnect" : "connect", write);
    });
    outgoing.on("response", (response: IncomingMessage) => {
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      response.on("data", (chunk: Uint8Array) => {
        bytes += chunk.byteLength;
        if (bytes > responseBytesMax) fail("responseTooLarge");
        else chunks.push(chunk);
      });
      response.on("error", () => fail("responseIncomplete"));
      response.on("end", () => {
        if (!response.complete) return fail("responseIncomplete");
        settle({ kind: "answered", status: response.statusCode ?? 0, headers: plainHeaders(response), body: Buffer.concat(chunks) });
      });
    });
  });
}

function plainHeaders({ headers }: IncomingMessage): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = typeof value === "string" ? value : value.join(", ");
  }
  return plain;
}
