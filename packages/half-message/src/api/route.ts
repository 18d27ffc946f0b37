/** A route of the API, as data: what the server checks before its handler runs stands here. */
import type { OwnedTx } from "@waybill/sql";

export type Scope = "prepare" | "decide" | "check" | "read" | "ack" | "receive" | "operate" | "register" | "reveal" | "metrics";

/** Who calls: a key that has proved itself. */
export interface Caller {
  readonly keyId: string;
  readonly scopes: ReadonlySet<Scope>;
  /** The one name that the key is for: a producer, consumer or receiver; null: none. */
  readonly name: { readonly kind: "producer" | "consumer" | "receiver"; readonly name: string } | null;
  /** There are no keys here: everybody may do everything. For development, over loopback. */
  readonly isAnybody: boolean;
}

export interface Call {
  /** By name of the path's parameter. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Parsed JSON; null: no body came. */
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly caller: Caller;
  /** Aborts when the caller is gone, or the service stops. */
  readonly signal: AbortSignal;
  /**
   * Writes this request's nonce in the transaction of its effect, so that a replay does nothing: for routes that say `once`.
   *
   * @throws a problem, request_replayed
   */
  useNonce(tx: OwnedTx): Promise<void>;
}

export interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  readonly port: "public" | "admin";
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Segments; `{name}` is a parameter: `/v1/producers/{producer}/half-messages/{id}`. */
  readonly path: string;
  /** null: the handler checks the scopes itself. */
  readonly scope: Scope | null;
  /** Which parameter must be the name of the caller's key. */
  readonly of: "producer" | "consumer" | "receiver" | null;
  /** A replay of this request would do something again: its nonce is stored. */
  readonly once: boolean;
  /** Refused first when there is too much: prepares, before anything that decides. */
  readonly isPrepare?: boolean;
  /** It waits for something to happen, and counts as no load while it does. */
  readonly isPoll?: boolean;
  /** Anybody may call it. */
  readonly isOpen?: boolean;
  handle(call: Call): Promise<Reply>;
}
