import type * as core from "@waybill/core";

/** What the half-message service tells a human of. */
export type AlertKind =
  | "decision_conflict"
  | "suspended"
  | "producer_unreachable"
  | "barrier_mismatch"
  | "delivery_dead"
  | "receiver_disabled"
  | "undecided_quota"
  | "failure_rate";

export type Alert = core.Alert<AlertKind>;
export type OnAlert = core.OnAlert<AlertKind>;
export type Alerts = core.Alerts<AlertKind>;
