/**
 * Listens for hints of writers on a connection of its own, and wakes the reading with each.
 *
 *     connect ─▶ LISTEN ─▶ wake once, for what was told before ─▶ wake with each hint ─▶ lost, or silent ─▶ backoff ─┐
 *        ▲                                                                                                          │
 *        └──────────────────────────────────────────────────────────────────────────────────────────────────────────┘
 *
 * Nothing depends on it: reading polls as if there were no hints, so a connection that is lost, half open, or never to be had delays a message by
 * one poll and ends nothing. A wake-up publishes nothing, it only ends a wait. A connection on which nothing comes looks like one without hints,
 * so the server is asked every few seconds whether it is there: ten seconds, and one that is half open is given up.
 */
import { backoffMs, type Clock, isWaybillError, wait } from "@waybill/core";
import { hintChannel } from "@waybill/outbox";
import type { Connection, Namespace } from "@waybill/sql";
import type { RelaySettings } from "./options.ts";
import type { RelayReport } from "./session.ts";

const probeEveryMs = 5_000;
const probeDeadlineMs = 5_000;

/** What it needs of a session. */
export interface HintParts {
  readonly settings: Pick<RelaySettings, "database" | "stream" | "outageBackoff" | "random">;
  readonly space: Namespace;
  readonly clock: Clock;
  readonly ended: AbortSignal;
  report(event: RelayReport): void;
}

/** Runs until the session ends. Never rejects. */
export async function listenForHints(parts: HintParts, wake: () => void): Promise<void> {
  const { settings, space, clock, ended, report } = parts;
  const channel = hintChannel(space.prefix, settings.stream);
  for (let failures = 1; !ended.aborted; failures += 1) {
    const startedMs = clock.monotonicMs();
    const reason = await listenOnce(parts, channel, wake);
    if (ended.aborted) return;
    report({ name: "relay.hintLost", reason });
    if (reason === "pooled") return;
    if (clock.monotonicMs() - startedMs > 10_000) failures = 1;
    await wait(clock, backoffMs(settings.outageBackoff, failures, settings.random), ended);
  }
}

/** Answers why no hint comes any more. */
async function listenOnce({ settings, clock, ended, report }: HintParts, channel: string, wake: () => void): Promise<string> {
  let connection: Connection | null = null;
  try {
    connection = await settings.database.connect({ purpose: "relay hint" });
    if (!(await connection.listen(channel, wake))) return "pooled";
    report({ name: "relay.hintListening" });
    wake();
    const isOver = AbortSignal.any([connection.lost, ended]);
    while (await wait(clock, probeEveryMs, isOver)) await connection.query("select 1", [], { deadlineMs: probeDeadlineMs });
    return "connectionLost";
  } catch (error) {
    return isWaybillError(error) ? error.code : "unexpected";
  } finally {
    await connection?.close();
  }
}
