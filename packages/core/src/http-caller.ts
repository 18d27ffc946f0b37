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

export interface HttpCaller {
  /** Calls within `deadlineMs` in total, from resolving the name to the last byte read; reads at most `responseBytesMax`. Follows no redirect. */
  call(request: HttpRequest, options: { readonly deadlineMs: number; readonly responseBytesMax: number }): Promise<HttpAnswer>;
}
