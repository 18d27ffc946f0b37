/**
 * A connection to a broker that comes back: a state machine of our own, because the driver's recovery forgets unconfirmed messages
 * and leaves dead channels behind (A16).
 *
 *               first use                     logged in                  alarm
 *     idle ────────────────▶ connecting ────────────────────▶ ready ◀────────────▶ blocked
 *                              ▲     │ failed                   │ ended, once        │
 *                   next broker│     ▼                          ▼                    │
 *                              └─── lost ◀───────────────────────────────────────────┘
 *          full jitter, 100 ms doubling to 5 s · one attempt at a time, each with a deadline · for ever, until it is closed
 *
 * Nothing is kept over the end of a link: channels, consumers and what was declared belong to one link, and whoever uses the next
 * one declares and subscribes again, for the broker may have lost it all. Nothing waits here for better times either: while the
 * connection is lost, `connect` answers at once why and when the next attempt begins.
 */
import { type BackoffPolicy, backoffMs, type Clock, emit, type OnEvent, type Random, type Timer, withDeadline } from "@waybill/core";
import type { CheckedConnection } from "./address.ts";
import { type Driver, loadDriver } from "./driver.ts";
import { type Link, type LinkFailure, openLink } from "./link.ts";

/** `afterMs`: when it is worth asking again. */
export type Connected =
  | { readonly kind: "ready"; readonly link: Link }
  | { readonly kind: "failed"; readonly failure: LinkFailure; readonly afterMs: number };

export type ConnectionState = "idle" | "connecting" | "ready" | "blocked" | "lost" | "closed";

export interface BrokerConnection {
  readonly state: ConnectionState;
  /** The link that is open now, or null. */
  readonly link: Link | null;
  /**
   * The link: at once if it is open, after the attempt that is under way if there is one. Never rejects; an attempt that fails, or
   * one that is still under way after `deadlineMs`, is `failed`.
   */
  connect(deadlineMs: number): Promise<Connected>;
  /** Ends an attempt under way, says goodbye to the broker until the deadline, resets the link. Nothing keeps the process alive then. */
  close(options: { readonly deadlineMs: number }): Promise<void>;
}

export interface ConnectionSurroundings {
  /** Whose connection it is: publishing and each source have their own, for an alarm blocks whoever publishes (A5). */
  readonly role: "transport" | "source";
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: OnEvent | undefined;
  /** Told of every link, before anybody uses it. */
  readonly onLink?: (link: Link) => void;
  /** Default: `amqplib`. */
  readonly load?: () => Promise<Driver>;
}

export const reconnectPolicy: BackoffPolicy = { firstMs: 100, maxMs: 5_000 };

/** A link that did not live that long was no success: a broker that accepts and closes again is not asked a hundred times a second. */
const stableMs = reconnectPolicy.maxMs;

type State =
  | { readonly kind: "idle" }
  | { readonly kind: "connecting"; readonly attempt: Promise<void>; readonly giveUp: AbortController }
  | { readonly kind: "ready"; readonly link: Link; readonly sinceMs: number }
  | { readonly kind: "lost"; readonly failure: LinkFailure; readonly nextAtMs: number; readonly timer: Timer }
  | { readonly kind: "closed" };

const closedFailure: LinkFailure = { reason: "closed", brokerCode: null, cause: undefined };

/** Makes a connection. It opens nothing until it is first asked. */
export function brokerConnection(settings: CheckedConnection, surroundings: ConnectionSurroundings): BrokerConnection {
  const { role, clock, random, onEvent, onLink, load = loadDriver } = surroundings;
  let state: State = { kind: "idle" };
  /** In a row. */
  let failures = 0;
  /** How many attempts there were: they take the brokers in turn. */
  let attempts = 0;
  let closing: Promise<void> | null = null;

  const lose = (failure: LinkFailure): number => {
    failures += 1;
    const afterMs = backoffMs(reconnectPolicy, failures, random);
    const timer = clock.setTimer(afterMs, begin);
    state = { kind: "lost", failure, nextAtMs: clock.monotonicMs() + afterMs, timer };
    return afterMs;
  };

  const begin = (): void => {
    if (state.kind === "closed") return;
    const giveUp = new AbortController();
    state = { kind: "connecting", giveUp, attempt: attempt(giveUp.signal) };
  };

  const attempt = async (signal: AbortSignal): Promise<void> => {
    const address = settings.addresses[attempts % settings.addresses.length] ?? settings.addresses[0];
    attempts += 1;
    const opened = await open(address, signal);
    if (closing !== null) {
      if (opened.kind === "opened") opened.link.reset("closed");
      return;
    }
    if (opened.kind === "failed") {
      const afterMs = lose(opened.failure);
      const { reason, brokerCode } = opened.failure;
      emit(onEvent, { name: "rabbitmq.connectFailed", role, broker: address.name, reason, brokerCode, afterMs });
      return;
    }
    ready(opened.link);
  };

  const open = async (address: CheckedConnection["addresses"][number], signal: AbortSignal): ReturnType<typeof openLink> => {
    try {
      return await openLink(await load(), address, settings, clock, signal);
    } catch (error) {
      return { kind: "failed", failure: { reason: "driverMissing", brokerCode: null, cause: error } };
    }
  };

  const ready = (link: Link): void => {
    const sinceMs = clock.monotonicMs();
    state = { kind: "ready", link, sinceMs };
    const { broker } = link;
    emit(onEvent, { name: "rabbitmq.connected", role, broker, version: link.version });
    let blockedSinceMs = 0;
    link.onBlocked((isBlocked) => {
      const nowMs = clock.monotonicMs();
      if (isBlocked) {
        blockedSinceMs = nowMs;
        emit(onEvent, { name: "rabbitmq.blocked", role, broker, reason: link.blocked?.reason ?? "" });
      } else emit(onEvent, { name: "rabbitmq.unblocked", role, broker, durationMs: nowMs - blockedSinceMs });
    });
    link.onEnd((end) => {
      if (closing !== null) return;
      if (clock.monotonicMs() - sinceMs >= stableMs) failures = 0;
      const afterMs = lose(end);
      emit(onEvent, { name: "rabbitmq.lost", role, broker, reason: end.reason, brokerCode: end.brokerCode, afterMs });
    });
    onLink?.(link);
  };

  const failed = (failure: LinkFailure, afterMs: number): Connected => ({ kind: "failed", failure, afterMs });

  const answer = (): Connected => {
    switch (state.kind) {
      case "ready":
        return { kind: "ready", link: state.link };
      case "lost":
        return failed(state.failure, Math.max(1, Math.ceil(state.nextAtMs - clock.monotonicMs())));
      case "closed":
        return failed(closedFailure, 0);
      case "idle":
      case "connecting":
        return failed({ reason: "connectDeadline", brokerCode: null, cause: undefined }, reconnectPolicy.firstMs);
    }
  };

  const shut = async (deadlineMs: number): Promise<void> => {
    const before = state;
    state = { kind: "closed" };
    switch (before.kind) {
      case "connecting":
        before.giveUp.abort();
        await withDeadline(clock, deadlineMs, before.attempt);
        return;
      case "ready":
        await before.link.close(deadlineMs);
        return;
      case "lost":
        before.timer.cancel();
        return;
      case "idle":
      case "closed":
        return;
    }
  };

  return {
    get state() {
      return state.kind === "ready" && state.link.blocked !== null ? "blocked" : state.kind;
    },
    get link() {
      return state.kind === "ready" ? state.link : null;
    },
    async connect(deadlineMs) {
      if (state.kind === "idle") begin();
      // What `begin` made of it.
      const now = state as State;
      if (now.kind === "connecting") await withDeadline(clock, deadlineMs, now.attempt);
      return answer();
    },
    close({ deadlineMs }) {
      closing ??= shut(deadlineMs);
      return closing;
    },
  };
}
