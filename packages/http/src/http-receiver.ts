/**
 * The receiving end: verifies a request, makes a message of it, and answers when the handler has settled it.
 *
 *     request ─▶ consumer there? method, size, headers ─▶ body ─▶ signature ─▶ envelope ─▶ handle ─▶ COMMIT ─▶ 200
 *                    │ 503     405  413    401, 415      408 413     401          400          └ again: 503, Retry-After
 *
 * 200 is sent only after `handle` resolved with `done`, that is after the inbox has committed. Whatever happens before – a crash at
 * any arrow, a handler that throws, a lost connection – the sender does not see a 2xx and sends the message again.
 *
 * What costs memory or time is bounded before it is spent: a body's announced length before its first byte is read, requests under
 * way and the bytes of their bodies by number, a slow body by a deadline.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type Clock,
  type ConfigProblem,
  emit,
  type HandleDeliveries,
  isWaybillError,
  type OnEvent,
  type Secret,
  type Source,
  systemClock,
  throwConfigProblems,
  verifySignature,
  waybillError,
  withDeadline,
} from "@waybill/core";
import { fromRequest } from "./binary-mode.ts";
import { isLoopbackHost, withoutBrackets } from "./dial-guard.ts";
import { readBody } from "./read-body.ts";
import { lastOne, type Refusal, respond } from "./respond.ts";
import { areSigningSecrets } from "./signing-secrets.ts";

export interface HttpReceiverOptions {
  /** The senders' signing secrets, made with `signingSecret`; a request signed with any of them is accepted. */
  readonly secrets?: readonly Secret[];
  /** True: unsigned requests are accepted from this host itself, over loopback, and from nowhere else. For development. Default false. */
  readonly insecureUnsigned?: boolean;
  /** Default 1 100 000: a message of the largest size that `append` takes, with some room. */
  readonly bodyBytesMax?: number;
  /** Milliseconds for a request's body to arrive. Default 15 000. */
  readonly bodyDeadlineMs?: number;
  /** Requests under way at once; beyond, 503. Default 256. */
  readonly requestsMax?: number;
  /** Bytes of bodies held at once; beyond, 503. Default 64 MiB. */
  readonly bytesMax?: number;
  readonly clock?: Clock;
  /** Told of `http.refused`, for each request that was answered without being handled. */
  readonly onEvent?: OnEvent;
}

export interface ListenOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0: any free one. */
  readonly port: number;
  /** Connections at once; more are closed. Default 1 000. */
  readonly connectionsMax?: number;
}

/** A `Source`; besides, a listener for a server of yours, or a server of its own. */
export interface HttpReceiver extends Source {
  /** For a server of yours: `server.on("request", receiver.listener)`, or call it for the path you choose. */
  readonly listener: (request: IncomingMessage, response: ServerResponse) => void;
  /** Opens a server of our own, plain HTTP: put TLS in front of it. While nobody consumes, it answers 503. */
  listen(options: ListenOptions): Promise<{ readonly host: string; readonly port: number; readonly url: string }>;
  /** Closes our own server: no new connection, what is under way until the deadline (default 10 000 ms), then by force. Never rejects. */
  close(options?: { readonly deadlineMs?: number }): Promise<void>;
}

/** A sender asks again after this many seconds when we cannot say better. */
const retryAfterS = 1;

interface Consumer {
  readonly handle: HandleDeliveries;
  isStopping: boolean;
}

type HandledRequest =
  | { readonly kind: "done" }
  | { readonly kind: "again"; readonly afterMs: number }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "gone" };

const done: Refusal = { status: 200, reason: "done" };

const refusals = {
  noConsumer: { status: 503, reason: "noConsumer", headers: { "retry-after": String(retryAfterS) } },
  stopping: { status: 503, reason: "stopping", headers: { "retry-after": String(retryAfterS), connection: "close" } },
  overloaded: { status: 503, reason: "overloaded", headers: { "retry-after": String(retryAfterS) } },
  method: { status: 405, reason: "method", headers: { allow: "POST" } },
  tooLarge: { status: 413, reason: "bodyTooLarge" },
  tooSlow: { status: 408, reason: "bodyTooSlow", headers: { connection: "close" } },
  unsigned: { status: 401, reason: "signatureMissing" },
  notBinary: { status: 415, reason: "notBinaryMode" },
} as const satisfies Readonly<Record<string, Refusal>>;

/**
 * Makes a receiver.
 *
 * @throws WAYBILL_CONFIG_INVALID: no secret and not `insecureUnsigned`, or a limit out of range
 */
export function httpReceiver(options: HttpReceiverOptions): HttpReceiver {
  const { secrets = [], insecureUnsigned = false, clock = systemClock, onEvent } = options;
  const { bodyBytesMax = 1_100_000, bodyDeadlineMs = 15_000, requestsMax = 256, bytesMax = 67_108_864 } = options;
  throwConfigProblems(
    "The HTTP receiver",
    optionProblems({ secrets, insecureUnsigned, bodyBytesMax, bodyDeadlineMs, requestsMax, bytesMax }),
  );

  let consumer: Consumer | null = null;
  let underWay = 0;
  let bytesHeld = 0;
  let server: Server | null = null;
  let closing: Promise<void> | null = null;
  const onQuiet = new Set<() => void>();

  const refuse = (request: IncomingMessage, response: ServerResponse, refusal: Refusal): void => {
    emit(onEvent, { name: "http.refused", status: refusal.status, reason: refusal.reason });
    respond(request, response, refusal, clock);
  };

  const mayBeUnsigned = (request: IncomingMessage): boolean => insecureUnsigned && isOverLoopback(request);

  /** What can be said before the body is read. */
  const earlyRefusal = (request: IncomingMessage): Refusal | null => {
    if (request.method !== "POST") return refusals.method;
    if (Number(request.headers["content-length"] ?? 0) > bodyBytesMax) return refusals.tooLarge;
    if (/^application\/cloudevents/i.test(request.headers["content-type"] ?? "")) return refusals.notBinary;
    if (!mayBeUnsigned(request) && request.headers["webhook-signature"] === undefined) return refusals.unsigned;
    if (consumer === null) return refusals.noConsumer;
    if (consumer.isStopping) return refusals.stopping;
    const bytes = Number(request.headers["content-length"] ?? bodyBytesMax);
    return underWay >= requestsMax || bytesHeld + bytes > bytesMax ? refusals.overloaded : null;
  };

  /** Reads, verifies and hands over; answers what to answer, or null if nobody is there any more to be told. */
  const handleRequest = async (request: IncomingMessage, handle: HandleDeliveries): Promise<HandledRequest> => {
    const body = await readBody(request, { bytesMax: bodyBytesMax, deadlineMs: bodyDeadlineMs, clock });
    if (body.kind === "gone") return { kind: "gone" };
    if (body.kind !== "read") return { kind: "refused", refusal: refusals[body.kind] };
    const forged = verify(request, body.bytes);
    if (forged !== null) return { kind: "refused", refusal: forged };
    const repeated = repeatedHeader(request);
    if (repeated !== null) return malformed(`repeated.${repeated}`);
    const envelope = fromRequest(request.headers, body.bytes);
    if ("problem" in envelope) return malformed(envelope.problem);
    const { id } = envelope.message;
    // The signature covers `webhook-id`, and the message is known by `ce-id`: they are one thing, or somebody put them together.
    if (request.headers["webhook-id"] !== undefined && request.headers["webhook-id"] !== id) return malformed("id");
    try {
      const [settlement] = await handle([{ message: envelope.message, redelivered: null }]);
      return settlement?.kind === "done" ? { kind: "done" } : { kind: "again", afterMs: settlement?.afterMs ?? 0 };
    } catch {
      // The consumer reports its own errors. Here it only means that nothing was settled.
      return { kind: "again", afterMs: 0 };
    }
  };

  const verify = (request: IncomingMessage, body: Uint8Array): Refusal | null => {
    const one = (name: string): string | undefined => {
      const value = request.headers[name];
      return typeof value === "string" ? value : undefined;
    };
    const signature = one("webhook-signature");
    if (mayBeUnsigned(request) && (signature === undefined || secrets.length === 0)) return null;
    const signed = { "webhook-id": one("webhook-id"), "webhook-timestamp": one("webhook-timestamp"), "webhook-signature": signature };
    try {
      verifySignature(secrets, signed, body, clock.wallMs());
      return null;
    } catch (error) {
      if (!isWaybillError(error, "WAYBILL_SIGNATURE_INVALID")) throw error;
      return { status: 401, reason: `signature.${error.facts.reason}` };
    }
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const early = earlyRefusal(request);
    if (early !== null || consumer === null) return refuse(request, response, early ?? refusals.noConsumer);
    const reserved = Number(request.headers["content-length"] ?? bodyBytesMax);
    underWay += 1;
    bytesHeld += reserved;
    try {
      const result = await handleRequest(request, consumer.handle);
      const isLast = consumer?.isStopping !== false;
      if (result.kind === "refused") refuse(request, response, result.refusal);
      else if (result.kind === "done") respond(request, response, isLast ? { ...done, headers: lastOne } : done, clock);
      else if (result.kind === "again") respond(request, response, again(result.afterMs, isLast), clock);
    } finally {
      underWay -= 1;
      bytesHeld -= reserved;
      if (underWay === 0) for (const quiet of onQuiet) quiet();
    }
  };

  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    response.on("error", () => undefined); // the sender went away; it will send again
    answer(request, response).catch(() => response.destroy());
  };

  const quiet = (): Promise<void> =>
    new Promise((resolve) => {
      if (underWay === 0) return resolve();
      const done = (): void => {
        onQuiet.delete(done);
        resolve();
      };
      onQuiet.add(done);
    });

  return {
    listener,

    async consume(handle, { signal }) {
      if (consumer !== null) throw configError("consume", "is under way: a receiver has one consumer");
      if (signal.aborted) return;
      const mine: Consumer = { handle, isStopping: false };
      consumer = mine;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      mine.isStopping = true;
      await quiet();
      consumer = null;
      server?.closeIdleConnections();
    },

    async listen({ host = "127.0.0.1", port, connectionsMax = 1_000 }) {
      if (server !== null) throw configError("listen", "was called before: a receiver has one server");
      if (insecureUnsigned && !isLoopbackHost(host)) throw configError("host", "must be a loopback address while insecureUnsigned is true");
      const made = createServer({
        headersTimeout: 5_000,
        requestTimeout: 15_000,
        connectionsCheckingInterval: 1_000,
        maxHeaderSize: 16_384,
        keepAliveTimeout: 5_000,
      });
      made.maxConnections = connectionsMax;
      made.on("request", listener);
      server = made;
      try {
        await listening(made, withoutBrackets(host), port);
      } catch (error) {
        server = null;
        throw configError("listen", `cannot listen on ${host}:${port}`, error);
      }
      const address = made.address() as AddressInfo;
      const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
      return { host: address.address, port: address.port, url: `http://${shown}:${address.port}` };
    },

    close({ deadlineMs = 10_000 } = {}) {
      closing ??= server === null ? Promise.resolve() : closeServer(server, deadlineMs, clock);
      return closing;
    },
  };
}

function again(afterMs: number, isLast: boolean): Refusal {
  const retryAfter = Math.max(retryAfterS, Math.ceil(afterMs / 1_000));
  return { status: 503, reason: "again", headers: { "retry-after": String(retryAfter), ...(isLast ? lastOne : {}) } };
}

function malformed(problem: string): HandledRequest {
  return { kind: "refused", refusal: { status: 400, reason: `malformed.${problem}` } };
}

/**
 * A header that says who or what a message is and came twice; null: none did. Node would put both into one value, or take the first: a message under an id that nobody
 * gave it, for whom no other delivery is a duplicate.
 */
function repeatedHeader({ rawHeaders }: IncomingMessage): string | null {
  const names = rawHeaders.filter((_, place) => place % 2 === 0).map((name) => name.toLowerCase());
  const isOne = (name: string): boolean => name.startsWith("ce-") || name.startsWith("webhook-") || name === "content-type";
  const repeated = names.find((name, place) => isOne(name) && names.indexOf(name) < place);
  return repeated === undefined ? null : /^[a-z-]{1,40}$/.test(repeated) ? repeated : "header";
}

/** Both ends: a server that listens everywhere still sees from where it was reached. */
function isOverLoopback(request: IncomingMessage): boolean {
  const { localAddress, remoteAddress } = request.socket;
  return [localAddress, remoteAddress].every((address) => address !== undefined && isLoopbackHost(address));
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function closeServer(server: Server, deadlineMs: number, clock: Clock): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  await withDeadline(clock, deadlineMs, closed);
  server.closeAllConnections();
}

function configError(option: string, problem: string, cause?: unknown): Error {
  return waybillError("WAYBILL_CONFIG_INVALID", `The HTTP receiver: ${option} ${problem}.`, { problems: [{ option, problem }] }, cause);
}

function optionProblems(
  options: Required<Pick<HttpReceiverOptions, "secrets" | "insecureUnsigned" | keyof typeof limitsMin>>,
): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  if (options.secrets.length === 0 && !options.insecureUnsigned)
    problems.push({ option: "secrets", problem: "give at least one signing secret" });
  if (!areSigningSecrets(options.secrets)) problems.push({ option: "secrets", problem: "each must be made with signingSecret" });
  for (const [option, min] of Object.entries(limitsMin) as [keyof typeof limitsMin, number][]) {
    const value = options[option];
    if (!Number.isInteger(value) || value < min) problems.push({ option, problem: `must be a whole number, at least ${min}` });
  }
  if (options.bytesMax < options.bodyBytesMax) problems.push({ option: "bytesMax", problem: "must be at least bodyBytesMax" });
  return problems;
}

const limitsMin = { bodyBytesMax: 1, bodyDeadlineMs: 50, requestsMax: 1, bytesMax: 1 } as const;
