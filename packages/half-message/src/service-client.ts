/** Calls to the half-message service, signed with a key: one for producers and consumers alike. */
import {
  type Clock,
  type ConfigProblem,
  type HttpCaller,
  newMessageId,
  type Secret,
  secret,
  signRequest,
  throwConfigProblems,
} from "@waybill/core";
import { type ServiceTls, serviceConnection } from "./service-connection.ts";

/** Where the service is, and the key that proves who calls. */
export interface ServiceAddress {
  /** `https://half-messages.internal`. `http:` only over loopback, or where something in between encrypts. */
  readonly url: string;
  readonly key: { readonly id: string; readonly secret: string | Secret };
  readonly tls?: ServiceTls;
}

/** A call has three ends, too. Whatever is `unknown` may have been done: call again with the same id. */
export type ServiceAnswer =
  | {
      readonly kind: "answered";
      readonly status: number;
      /** Parsed; null: there was none, or it was no JSON. */
      readonly body: unknown;
      /** `code` of a problem; null: there is none. */
      readonly code: string | null;
      /** What the service asks us to wait; null: it does not say. */
      readonly retryAfterMs: number | null;
    }
  | { readonly kind: "notSent" | "unknown"; readonly reason: string };

export interface ServiceRequest {
  readonly method: "GET" | "POST" | "PUT";
  /** `/v1/…`, with what follows a `?`. */
  readonly target: string;
  /** JSON, as it is sent; null: nothing. */
  readonly body: string | null;
  /** The trace that the call belongs to. */
  readonly traceparent?: string | null;
}

export interface ServiceClient {
  /** Never rejects. */
  call(request: ServiceRequest, deadlineMs: number): Promise<ServiceAnswer>;
  /** Ends what is under way. */
  close(): void;
}

const responseBytesMax = 4_194_304;
const keyIdPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;
const secretBytesMin = 32;

/** What is wrong with an address. */
export function serviceProblems({ url, key }: ServiceAddress): readonly ConfigProblem[] {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const isUsable =
    parsed !== null &&
    /^https?:$/.test(parsed.protocol) &&
    parsed.pathname === "/" &&
    parsed.username === "" &&
    parsed.password === "" &&
    parsed.search === "";
  return [
    ...(isUsable ? [] : [{ option: "service.url", problem: "must be https://host:port or http://host:port, and no more" }]),
    ...(keyIdPattern.test(key.id)
      ? []
      : [{ option: "service.key.id", problem: "must be 1 to 63 of a-z, 0-9 and -, not beginning with -" }]),
    ...(Buffer.byteLength(reveal(key.secret)) >= secretBytesMin
      ? []
      : [{ option: "service.key.secret", problem: `must have at least ${secretBytesMin} bytes` }]),
  ];
}

/**
 * A client of the service.
 *
 * @throws WAYBILL_CONFIG_INVALID with every problem
 */
export function createServiceClient(options: {
  readonly service: ServiceAddress;
  /** Instead of connections of our own. */
  readonly http?: HttpCaller | undefined;
  readonly clock: Clock;
}): ServiceClient {
  const { service, clock } = options;
  throwConfigProblems("The client of the half-message service", serviceProblems(service));
  const base = new URL(service.url);
  const key = { id: service.key.id, secret: typeof service.key.secret === "string" ? secret(service.key.secret) : service.key.secret };
  const own = options.http === undefined ? serviceConnection(base.protocol === "https:", service.tls ?? {}, clock) : null;
  const http = options.http ?? (own as HttpCaller);

  return {
    async call({ method, target, body: text, traceparent = null }, deadlineMs) {
      const body = Buffer.from(text ?? "", "utf8");
      const signature = signRequest(key, { method, target, body }, { createdMs: clock.wallMs(), nonce: newMessageId() });
      const headers = {
        ...signature,
        ...(text === null ? {} : { "content-type": "application/json" }),
        ...(traceparent === null ? {} : { traceparent }),
      };
      const request = { method, url: `${base.origin}${target}`, headers, body: text === null ? null : body };
      const answer = await http.call(request, { deadlineMs, responseBytesMax });
      if (answer.kind !== "answered") return answer;
      const parsed = parseJson(answer.body);
      return { kind: "answered", status: answer.status, body: parsed, code: codeOf(parsed), retryAfterMs: retryAfterOf(answer.headers) };
    },
    close: () => own?.close(),
  };
}

function reveal(value: string | Secret): string {
  return typeof value === "string" ? value : value.reveal();
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8")) as unknown;
  } catch {
    return null; // Its status is all that it says.
  }
}

function codeOf(body: unknown): string | null {
  const code: unknown = typeof body === "object" && body !== null ? (body as { code?: unknown }).code : null;
  return typeof code === "string" && /^[a-z_]{1,64}$/.test(code) ? code : null;
}

function retryAfterOf(headers: Readonly<Record<string, string>>): number | null {
  const seconds = headers["retry-after"];
  return seconds !== undefined && /^[0-9]{1,6}$/.test(seconds) ? Number(seconds) * 1_000 : null;
}
