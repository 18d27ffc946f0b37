/**
 * A port of the service: from a request to its route, and back.
 *
 *     request ─▶ route ─▶ who? may he? ─▶ room? ─▶ body ─▶ its digest, its JSON ─▶ handler ─▶ reply
 *                404 405    401 403      503 429   413      401, 415, 400            whatever it says
 *
 * What costs memory or time is bounded before it is spent. Whatever a handler throws becomes a problem; nothing of it but codes, names and ids goes out.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { type Clock, isDigestOf, waybillError } from "@waybill/core";
import type { OwnedTx } from "@waybill/sql";
import type { Nonce } from "../store.ts";
import type { Authenticate, Authenticated } from "./authenticate.ts";
import { type Load, refuseTooMuch } from "./load.ts";
import { problem, problemOf, problemReply } from "./problem.ts";
import type { Caller, Reply, Route } from "./route.ts";
import { type Match, router } from "./router.ts";

export interface ApiServerOptions {
  readonly routes: readonly Route[];
  readonly address: { readonly host: string; readonly port: number };
  readonly tls: { readonly cert: string; readonly key: string; readonly ca?: string } | undefined;
  readonly clock: Clock;
  readonly load: Load;
  readonly bodyBytesMax: number;
  readonly authenticate: Authenticate;
  /** False: used before. */
  readonly useNonce: (tx: OwnedTx, nonce: Nonce) => Promise<boolean>;
  /** Aborts when the service stops: who waits for something is answered. */
  readonly stopping: AbortSignal;
  readonly onAnswered?: (route: string, status: number) => void;
  /** Told what nobody expected. */
  readonly onFailure?: (route: string, error: Error) => void;
}

export interface ApiServer {
  readonly address: { readonly host: string; readonly port: number };
  /** Takes no new connection; resolves when all that was under way is answered, or by force after `deadlineMs`. */
  close(deadlineMs: number): Promise<void>;
}

const headersTimeoutMs = 5_000;
const requestTimeoutMs = 15_000;
const checkEveryMs = 1_000;
const headerBytesMax = 16_384;
const connectionsMax = 2_000;
/** A refused body is swallowed so far, so that its sender reads our answer instead of a reset. */
const swallowedBytesMax = 262_144;

/** @throws WAYBILL_CONFIG_INVALID if it cannot listen there */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const match = router(options.routes);
  const server = serverOf(options);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("request", (request, response) => {
    answer(request, response, match, options).catch(() => response.destroy());
  });
  server.on("clientError", (error: Error & { readonly code?: string }, socket) => refuseUnread(error, socket as Socket));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      const why = `cannot listen there (${"code" in error ? String(error.code) : "unknown"}); choose another port, or port 0 for any free one`;
      reject(waybillError("WAYBILL_CONFIG_INVALID", `The service ${why}.`, { problems: [{ option: "listen", problem: why }] }, error));
    });
    server.listen(options.address, resolve);
  });
  const { address: host, port } = server.address() as AddressInfo;
  return {
    address: { host, port },
    close: (deadlineMs) =>
      new Promise((resolve) => {
        const timer = options.clock.setTimer(deadlineMs, () => {
          for (const socket of sockets) socket.destroy();
        });
        server.close(() => {
          timer.cancel();
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

function serverOf({ tls }: ApiServerOptions): Server {
  const limits = {
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: checkEveryMs,
    maxHeaderSize: headerBytesMax,
    keepAliveTimeout: 60_000,
  };
  const server =
    tls === undefined
      ? createServer(limits)
      : createTlsServer({ ...limits, ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: false, minVersion: "TLSv1.2" });
  server.maxConnections = connectionsMax;
  return server as Server;
}

/** What Node could not read as a request. */
function refuseUnread(error: Error & { readonly code?: string }, socket: Socket): void {
  if (!socket.writable) return;
  const code = error.code === "HPE_HEADER_OVERFLOW" ? "header_too_large" : "malformed_request";
  const { status, body } = problemReply(problem(code));
  const text = JSON.stringify(body);
  const type = "application/problem+json";
  const head = `HTTP/1.1 ${status} Refused\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n`;
  socket.end(head + text);
}

async function answer(request: IncomingMessage, response: ServerResponse, match: Match, options: ApiServerOptions): Promise<void> {
  const { load, onAnswered } = options;
  let name = "none";
  let reply: Reply;
  try {
    const target = request.url ?? "";
    const mark = target.indexOf("?");
    const matched = match(request.method ?? "", mark < 0 ? target : target.slice(0, mark));
    if (matched.kind === "none") throw problem("unknown_route");
    if (matched.kind === "method") throw problem("method_not_allowed", { allow: matched.allow });
    const { route, params } = matched;
    name = `${route.method} ${route.path}`;
    reply = await inItsTurn(route, load, () => handle(request, response, route, params, options));
  } catch (error) {
    const told = problemOf(error);
    if (told.code === "internal") options.onFailure?.(name, error instanceof Error ? error : told);
    reply = problemReply(told);
  }
  onAnswered?.(name, reply.status);
  send(request, response, reply, load.isDraining);
}

/** Counts what is under way. */
async function inItsTurn<T>({ isPrepare, isPoll }: Route, load: Load, work: () => Promise<T>): Promise<T> {
  if (isPoll === true) return work();
  refuseTooMuch(load, isPrepare === true);
  load.inFlight += 1;
  try {
    return await work();
  } finally {
    load.inFlight -= 1;
  }
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  route: Route,
  params: Readonly<Record<string, string>>,
  options: ApiServerOptions,
): Promise<Reply> {
  const proved: Authenticated | null = route.isOpen === true ? null : options.authenticate(request);
  if (proved !== null) authorize(route, params, proved.caller);
  const bytes = await readBody(request, options.bodyBytesMax);
  if (proved !== null && proved.claimed !== null && !isDigestOf(proved.claimed, bytes)) throw problem("unauthenticated");
  const target = request.url ?? "";
  return route.handle({
    params,
    query: new URLSearchParams(target.includes("?") ? target.slice(target.indexOf("?") + 1) : ""),
    body: readJson(request, bytes),
    headers: request.headers,
    caller: proved?.caller ?? nobody,
    // Only who waits for something asks for it, and it costs more than most calls.
    get signal() {
      return untilGone(response, options.stopping);
    },
    async useNonce(tx) {
      const nonce = proved?.nonce ?? null;
      if (nonce !== null && !(await options.useNonce(tx, nonce))) throw problem("request_replayed");
    },
  });
}

function untilGone(response: ServerResponse, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  response.once("close", () => gone.abort());
  return AbortSignal.any([gone.signal, stopping]);
}

const nobody: Caller = { keyId: "nobody", scopes: new Set(), name: null, isAnybody: false };

/** A name that is not the key's is refused whether or not there is such a producer: nobody learns who else is here. */
function authorize({ scope, of }: Route, params: Readonly<Record<string, string>>, { scopes, name, isAnybody }: Caller): void {
  if (isAnybody) return;
  if (scope !== null && !scopes.has(scope)) throw problem("forbidden");
  if (of !== null && (name === null || name.kind !== of || name.name !== params[of])) throw problem("forbidden");
}

/** Refuses what is announced as too large before its first byte is read. */
function readBody(request: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) throw problem("body_too_large");
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    request.on("data", (chunk: Uint8Array) => {
      bytes += chunk.byteLength;
      if (bytes <= bytesMax) chunks.push(chunk);
      else reject(problem("body_too_large"));
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("close", () => {
      if (!request.complete) reject(problem("malformed_request"));
    });
    request.on("error", () => undefined);
  });
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function readJson(request: IncomingMessage, bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) return null;
  const type = request.headers["content-type"] ?? "";
  if (!/^application\/json *(; *charset=utf-8)?$/i.test(type)) throw problem("unsupported_media_type");
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    throw problem("malformed_request", { detail: "The body is no JSON in UTF-8." });
  }
}

function send(request: IncomingMessage, response: ServerResponse, { status, body, headers = {} }: Reply, isLast: boolean): void {
  if (response.destroyed) return;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const length = String(Buffer.byteLength(text));
  // Half a body in the way would be read as the next request.
  const isUnread = !request.complete;
  const close = isLast || isUnread ? { connection: "close" } : {};
  response.writeHead(status, { "content-type": "application/json", ...headers, "content-length": length, ...close }).end(text);
  if (isUnread) swallow(request);
}

function swallow(request: IncomingMessage): void {
  let bytes = 0;
  request.on("data", (chunk: Uint8Array) => {
    bytes += chunk.byteLength;
    if (bytes > swallowedBytesMax) request.destroy();
  });
  request.on("error", () => undefined);
  request.resume();
}
