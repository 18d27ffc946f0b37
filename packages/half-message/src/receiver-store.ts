/** Endpoints of notifications, as they were registered. */
import type { OwnedTx, Statements } from "@waybill/sql";
import type { Delays, SuccessRule } from "./notification/schedule.ts";

/** Where the secret comes from; never what it is. `previous` still signs until its time. */
export type ReceiverSecret =
  | { readonly derived: number; readonly previous?: { readonly derived: number; readonly untilMs: number } }
  | { readonly file: string };

export interface Receiver {
  readonly receiver: string;
  readonly url: string;
  readonly secret: ReceiverSecret;
  /** A preset's name, or delays. */
  readonly schedule: string | Delays;
  readonly success: SuccessRule | null;
  readonly state: "active" | "disabled";
  readonly disabledReason: string | null;
  readonly failingSince: string | null;
  /** Milliseconds; null: it does not fail. */
  readonly failingForMs: number | null;
  readonly version: number;
  readonly updatedAt: string;
  readonly updatedBy: string;
  /** The database's clock when it was read. */
  readonly nowMs: number;
}

export type ReceiverValues = Pick<Receiver, "url" | "secret" | "schedule" | "success">;

export interface ReceiverStore {
  find(statements: Pick<Statements, "query">, names: readonly string[]): Promise<readonly Receiver[]>;
  list(statements: Statements, after: string, limit: number): Promise<readonly Receiver[]>;
  /** Registers it, active, or changes what is registered. */
  put(tx: OwnedTx, name: string, values: ReceiverValues, actor: string): Promise<void>;
  /** False: there is none. What is due for it is given up. */
  remove(tx: OwnedTx, name: string): Promise<boolean>;
  /** False: there is none in another state. Enabling forgets failures. `version`: only while it has this one. */
  setState(
    tx: OwnedTx,
    name: string,
    state: Receiver["state"],
    reason: string | null,
    actor: string,
    version: number | null,
  ): Promise<boolean>;
  /** A failure begins the time for which it fails, a success ends it; only while it has this version. */
  setFailing(tx: OwnedTx, name: string, isFailing: boolean, version: number): Promise<void>;
  /** In the log of decisions: what became of a receiver, or that its secret was shown. */
  log(tx: OwnedTx, name: string, event: "receiver_changed" | "revealed", actor: string, reason: string | null): Promise<void>;
}
