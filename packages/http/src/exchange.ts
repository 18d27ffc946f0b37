/**
 * One request and its answer, under one deadline, with evidence about how far it came.
 *
 *     resolve ─▶ connect ─▶ (TLS) ─▶ write ─────────▶ status ─────▶ last byte
 *     └──────── notSent ─────────┘   └── unknown ──┘  └─ answered ──────────┘
 *
 * Nothing is handed to the socket before it is connected, so the step from `notSent` to `unknown` is one call of ours, and the
 * caller's `mayWrite` is asked right before it. A status is the receiver's word: what happens to the rest of the answer – cut,
 * endless, too slow – does not take it back.
 *
 * A kept connection may have been closed by the receiver in the very moment we write to it. Only then (a reset on a *reused*
 * socket, not one byte of an answer) is the request sent once more, on a fresh socket, and once something was written it stays
 * `unknown` whatever the second try says. The receiver dedupes on the id, which is the same.
 */
import { type ClientRequest, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type Socket } from "node:net";
import { type Clock, isWaybillError } from "@waybill/core";
import type { Connections } from "./connections.ts";
import { addressBlocked, withoutBrackets } from "./dial-guard.ts";

export interface ExchangeRequest {
  readonly method: "GET" | "POST" | "PUT";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
}

export interface ExchangeLimits {
  readonly deadlineMs: number;
  /** After this the request is not written any more, however long the deadline: the connection was late. Default: the deadline. */
  readonly writeMs?: number;
  /** By then the request is written, or it ends `notSent` without waiting for the deadline. */
  readonly connectMs?: number;
  readonly responseBytesMax: number;
  readonly mayWrite?: (() => boolean) | undefined;
}

export type Exchange =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: Uint8Array;
      /** False if the body was cut: by its limit, the deadline or the network. */
      readonly isWhole: boolean;
    }
  | { readonly kind: "notSent" | "unknown"; readonly reason: string; readonly brokerCode: string | null; readonly cause: unknown };

/** Sends a request. Never rejects; follows no redirect; settles within `deadlineMs`. */
export async function exchange(
  connections: Connections,
  request: ExchangeRequest,
  limits: ExchangeLimits,
  clock: Clock,
): Promise<Exchange> {
  const host = withoutBrackets(request.url.hostname);
  if (isIP(host) !== 0 && !connections.guard.permits(host)) return notSent("addressBlocked", addressBlocked());
  const startedAtMs = clock.monotonicMs();
  const first = await attempt(connections, request, limits, clock, true);
  if (first.kind !== "resetWhileReused") return first;
  const usedMs = clock.monotonicMs() - startedAtMs;
  const writeMs = (limits.writeMs ?? limits.deadlineMs) - usedMs;
  if (writeMs <= 0) return unknown("deadline", first.cause);
  const second = await attempt(connections, request, { ...limits, deadlineMs: limits.deadlineMs - usedMs, writeMs }, clock, false);
  if (second.kind === "answered") return second;
  return second.kind === "resetWhileReused" ? unknown("connectionLost", second.cause) : { ...second, kind: "unknown" };
}

type Attempt = Exchange | { readonly kind: "resetWhileReused"; readonly cause: unknown };

function attempt(
  connections: Connections,
  request: ExchangeRequest,
  limits: ExchangeLimits,
  clock: Clock,
  isKept: boolean,
): Promise<Attempt> {
  return new Promise((resolve) => {
    let isWritten = false;
    let isReused = false;
    let readBefore = 0;
    let socket: Socket | null = null;
    let answer: { readonly response: IncomingMessage; readonly chunks: Uint8Array[] } | null = null;
    let isSettled = false;

    const settle = (result: Attempt): void => {
      if (isSettled) return;
      isSettled = true;
      timer.cancel();
      connecting?.cancel();
      connections.underWay.delete(end);
      resolve(result);
    };
    const answered = (isWhole: boolean): void => {
      if (answer === null) return;
      const { response, chunks } = answer;
      settle({ kind: "answered", status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks), isWhole });
      // A request still being written, or an answer still coming, must not go on behind the next one's back.
      if (!isWhole || !outgoing.writableFinished) outgoing.destroy();
    };
    const fail = (reason: string, cause: unknown): void => {
      if (answer !== null) return answered(false);
      const hasNoAnswer = socket === null || socket.bytesRead === readBefore;
      if (isWritten && isReused && hasNoAnswer && isReset(cause)) settle({ kind: "resetWhileReused", cause });
      else settle(isWritten ? unknown(reason, cause) : notSent(reason, cause));
      outgoing.destroy();
    };
    const end = (reason: string): void => fail(reason, null);

    const writeUntilMs = clock.monotonicMs() + (limits.writeMs ?? limits.deadlineMs);
    const timer = clock.setTimer(limits.deadlineMs, () => fail("deadline", null));
    const { connectMs } = limits;
    const connecting = connectMs === undefined ? null : clock.setTimer(connectMs, () => !isWritten && fail("connectDeadline", null));
    connections.underWay.add(end);
    let outgoing: ClientRequest;
    try {
      outgoing = open(connections, request, isKept);
    } catch (error) {
      return settle(notSent(unsendable.has(errorCode(error) ?? "") ? "requestInvalid" : "notConnected", error));
    }
    outgoing.on("error", (error) => fail(reasonOf(error, isWritten), error));
    outgoing.on("close", () => fail("connectionLost", null));

    const write = (): void => {
      if (isSettled) return;
      if (clock.monotonicMs() >= writeUntilMs) return fail("deadline", null);
      if (limits.mayWrite?.() === false) return fail("leaseLost", null);
      isWritten = true;
      if (request.body === null) outgoing.end();
      else outgoing.end(request.body);
    };
    outgoing.on("socket", (assigned: Socket) => {
      socket = assigned;
      isReused = connections.isReused(assigned) || outgoing.reusedSocket;
      readBefore = assigned.bytesRead;
      if (isReused) return write();
      const checkAddress = (): void => {
        if (!connections.guard.permits(assigned.remoteAddress ?? "")) fail("addressBlocked", addressBlocked());
      };
      assigned.once("connect", checkAddress);
      assigned.once(request.url.protocol === "https:" ? "secureConnect" : "connect", write);
    });

    outgoing.on("response", (response) => {
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      answer = { response, chunks };
      response.on("data", (chunk: Uint8Array) => {
        bytes += chunk.byteLength;
        if (bytes > limits.responseBytesMax) return answered(false);
        chunks.push(chunk);
      });
      response.on("end", () => answered(response.complete));
      response.on("error", () => answered(false));
      response.on("close", () => answered(false));
    });
  });
}

/**
 * Node's words for a header or path that HTTP cannot carry: the message's own fault, for ever. Whatever else keeps a request from being
 * made – a certificate, a limit of the host – is about the destination or ourselves, and no message may be given up for it.
 */
const unsendable: ReadonlySet<string> = new Set([
  "ERR_HTTP_INVALID_HEADER_VALUE",
  "ERR_INVALID_CHAR",
  "ERR_INVALID_HTTP_TOKEN",
  "ERR_UNESCAPED_CHARACTERS",
]);

function open(connections: Connections, request: ExchangeRequest, isKept: boolean): ClientRequest {
  const { url, method, headers } = request;
  const start = url.protocol === "https:" ? httpsRequest : httpRequest;
  return start({
    protocol: url.protocol,
    hostname: withoutBrackets(url.hostname),
    port: url.port,
    path: `${url.pathname}${url.search}`,
    method,
    headers,
    agent: isKept ? connections.kept : connections.fresh,
    lookup: connections.guard.lookup,
    // The agent's timeout is for idle connections; one that carries a request has the deadline.
    timeout: 0,
  });
}

function notSent(reason: string, cause: unknown): Exchange {
  return { kind: "notSent", reason, brokerCode: errorCode(cause), cause };
}

function unknown(reason: string, cause: unknown): Exchange {
  return { kind: "unknown", reason, brokerCode: errorCode(cause), cause };
}

function reasonOf(error: unknown, isWritten: boolean): string {
  if (isWaybillError(error, "WAYBILL_TRANSPORT")) return error.facts.reason;
  const code = errorCode(error);
  if (code === "HPE_HEADER_OVERFLOW") return "responseTooLarge";
  if (code?.startsWith("HPE_") === true) return "responseMalformed";
  return isWritten ? "connectionLost" : "notConnected";
}

function errorCode(error: unknown): string | null {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return typeof code === "string" && !code.startsWith("WAYBILL_") ? code : null;
}

function isReset(error: unknown): boolean {
  const code = errorCode(error);
  return code === "ECONNRESET" || code === "EPIPE";
}
