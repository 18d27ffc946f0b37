/** Outgoing HTTP as a port, for engines that call others: `@waybill/http` implements it and guards where it may dial. */
export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
}

/** An HTTP call has three ends, too: an answer, surely not sent, or unknown. */
export type HttpAnswer =
  | { readonly kind: "answered"; readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: Uint8Array }
  | { readonly kind: "notSent"; readonly reason: string }
  | { readonly kind: "unknown"; readonly reason: string };

/** What one endpoint may reach beyond public addresses over https on the usual ports. What is left out is the caller's own default. */
export interface HttpReach {
  /** Private ranges that may be dialled: `["10.20.0.0/16"]`. Metadata services and link-local never may. */
  readonly allowNetworks?: readonly string[];
  readonly ports?: readonly number[];
  /** True: `http:` is called, too. */
  readonly allowPlain?: boolean;
}

export interface HttpCallOptions {
  /** From resolving the name to the last byte read. */
  readonly deadlineMs: number;
  /** By then the request is under way, or it is `notSent`. Default: the deadline. */
  readonly connectMs?: number;
  readonly responseBytesMax: number;
  /** True: a status whose body was cut – by `responseBytesMax`, the deadline, the network – is answered with what came of it. Default false: unknown. */
  readonly takesPartialBody?: boolean;
  /** Asked right before the request is written; false: it is not, and the call ends `notSent`. */
  readonly mayWrite?: () => boolean;
  readonly reach?: HttpReach;
}

export interface HttpCaller {
  /** Calls within its deadline, on a connection that no other call shares. Follows no redirect. Never rejects. */
  call(request: HttpRequest, options: HttpCallOptions): Promise<HttpAnswer>;
}
