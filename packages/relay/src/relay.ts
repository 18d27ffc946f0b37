/**
 * The relay: reads one subscription of a ledger and publishes it, while it holds the lease.
 *
 *     standby ──lease free──▶ session ──stop──▶ drained, lease handed over
 *        ▲                       │
 *        └── backoff ◀── failed ─┘   everything it knew is dropped; the next session begins with the saved cursor
 *
 * Promised: a message whose transaction committed is published at least once, one that rolled back never; the first publications
 * of one topic and key are in append order, if the writers of a key exclude each other before they append.
 * Edge: a crash between publish and the saved cursor publishes again.
 */

import { AssertionError } from "node:assert";
import { randomUUID } from "node:crypto";
import { backoffMs, isWaybillError, type Timer, wait, waybillError } from "@waybill/core";
import { createDeadLetters, deadLetterMigrations } from "@waybill/dead-letter";
import { createLedger, type LedgerFacts, listStreams, outboxMigrations } from "@waybill/outbox";
import { type Connection, checkSchema, namespace } from "@waybill/sql";
import { createSpill } from "./create-spill.ts";
import { createSubscriptionRow } from "./create-subscription-row.ts";
import { healthOf, type RelayHealth } from "./health.ts";
import { lineageProblem, stopForOperator } from "./lineage.ts";
import { relayMigrations } from "./migrations.ts";
import { type RelayOptions, relaySettings } from "./options.ts";
import { type RunningSession, runSession, type SessionEnd } from "./run-session.ts";
import { type RelayParts, reporter, type SessionConnections } from "./session.ts";
import { type SoloStart, soloStart } from "./solo.ts";
import type { Acquisition, Fence } from "./subscriptions.ts";

export interface Relay {
  /**
   * Runs until the signal aborts, then lets what is on the wire settle, saves the cursor, hands the lease over and resolves.
   * Outages of the database or the transport do not end it, nor does a subscription that is paused or stopped: it stands by. Rejects
   * with WAYBILL_SCHEMA_MISMATCH or WAYBILL_LEDGER_UNSAFE, which somebody must look at, and with an AssertionError, which is a bug of ours.
   */
  run(options: { readonly signal: AbortSignal }): Promise<void>;
  /**
   * Reads at once instead of waiting for the poll, and moves what was delayed and is due: for writers in the same process. Only wakes; publishes
   * nothing by itself.
   */
  wake(): void;
  /** How it is doing, by progress. */
  health(): RelayHealth;
}

/** The longest wait between two looks of a standby: after an orderly stop of the holder, another is to publish within a second. */
const standbyMs = 500;
const releaseDeadlineMs = 1_000;
/** After a stop the database has so long, beside what draining takes, to save the cursor and take the lease back; a longer hang is left to itself. */
const stopMs = 4_000;

/** @throws WAYBILL_CONFIG_INVALID, WAYBILL_IDENTIFIER_INVALID */
export function createRelay(options: RelayOptions): Relay {
  const settings = relaySettings(options);
  const { database, clock, random, stream, subscription } = settings;
  const space = namespace(database.dialect, options);
  const report = reporter(settings.onEvent, stream, subscription);
  const parts: RelayParts = {
    settings,
    space,
    ledger: createLedger({ space, stream }),
    row: createSubscriptionRow(space, stream, subscription),
    deadLetters: createDeadLetters(space),
    spill: createSpill(space, stream, subscription),
    reader: { origin: "relay", name: `${stream}/${subscription}` },
  };
  const owner = randomUUID();
  let running: RunningSession | null = null;
  let standing: RelayHealth["state"] = "starting";
  let lastError: string | null = null;
  let stateReason: string | null = null;
  /** The row was there once: somebody who deletes it does not want it made again by us. */
  let isKnown = false;
  let ran: Promise<void> | null = null;
  /** Held by a session that failed, for the one that follows. */
  let held: Fence | null = null;
  /** What an acquire concluded about deaths, until it is written down. */
  let unsettled: SoloStart | null = null;

  const checkSchemas = async (): Promise<void> => {
    for (const set of [outboxMigrations, deadLetterMigrations, relayMigrations]) await checkSchema(database, space, set);
    if (!(await listStreams(database, space)).includes(stream)) throw unsafe("the stream is there", `no stream ${stream}: create it first`);
  };

  /** It changes nothing: a stop need not wait for it. */
  const checkSchemasUntil = async (signal: AbortSignal): Promise<void> => {
    const checked = new AbortController();
    const stopped = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true, signal: checked.signal });
    });
    await Promise.race([checkSchemas(), stopped]).finally(() => checked.abort());
  };

  /** What must hold before a cursor is trusted. */
  const checkedFacts = async (connection: Connection): Promise<LedgerFacts> => {
    const facts = await parts.ledger.facts(connection, { deadlineMs: settings.statementDeadlineMs });
    if (facts.isReadOnly)
      throw waybillError("WAYBILL_READ_ONLY", "The server takes no writes: connect to the primary, or wait for it.", {
        found: "read-only",
      });
    if (facts.unsafe !== null) throw unsafe("ids step by one, uncached, and text is UTF-8", facts.unsafe);
    return facts;
  };

  /** False: the subscription was stopped, and waits for an operator. */
  const checkLineage = async (connection: Connection, acquisition: Acquisition, before: LedgerFacts): Promise<boolean> => {
    // The facts are older than the lease: another relay may have come further in between.
    const facts = acquisition.cursor.lastId > before.highestId ? await checkedFacts(connection) : before;
    const problem = lineageProblem(acquisition, facts, report);
    if (problem === null) return true;
    await stopForOperator(parts, connection, { epoch: acquisition.epoch, owner }, problem, report);
    return false;
  };

  /** Waits for the lease; null: a stop was asked for. */
  const acquire = async (connection: Connection, signal: AbortSignal): Promise<Acquired | null> => {
    let reported: string | null = null;
    let differedFrom: string | null = null;
    while (!signal.aborted) {
      const view = await parts.row.view(connection, owner);
      const isDeleted = view === null && isKnown;
      isKnown ||= view !== null;
      if (!isDeleted && (view === null || (view.state === "active" && view.isFree))) {
        const facts = await checkedFacts(connection);
        if (view === null) await parts.row.ensure(connection, settings.from);
        isKnown = true;
        report({ name: "relay.leaseAcquiring" });
        const acquiredFromMs = clock.monotonicMs();
        const acquisition = await parts.row.acquire(connection, owner, settings.leaseMs, settings.configHash);
        if (acquisition !== null) return { acquisition, acquiredFromMs, facts };
      }
      const state = isDeleted ? "deleted" : view === null || view.state === "active" ? "held" : view.state;
      stateReason = isDeleted ? "deleted" : (view?.stateReason ?? null);
      standing = state === "held" ? "standby" : state === "deleted" ? "stopped" : state;
      if (reported !== state) report({ name: "relay.standby", state });
      reported = state;
      const theirs = view?.configHash ?? settings.configHash;
      if (theirs !== settings.configHash && theirs !== differedFrom && view?.isFree === false)
        report({ name: "relay.configDiffers", ours: settings.configHash, theirs });
      differedFrom = theirs;
      await wait(clock, standbyMs * (0.5 + random.fraction() / 2), signal);
    }
    return null;
  };

  /** Hands over what a failed session left to a successor that will not come. */
  const releaseHeld = async (): Promise<void> => {
    // What was concluded and not written down would be forgotten with our name in the row.
    if (held === null || unsettled !== null) return;
    const { epoch } = held;
    report({ name: "relay.leaseReleasing", epoch });
    try {
      const connection = await database.connect({ purpose: "relay release", deadlineMs: releaseDeadlineMs });
      try {
        if (await parts.row.release(connection, held)) report({ name: "relay.leaseReleased", epoch });
      } finally {
        await connection.close();
      }
    } catch {
      // The lease runs out by itself; a standby waits for that instead.
    }
    held = null;
  };

  const onSettled = (): void => {
    unsettled = null;
  };

  const runOnce = async (signal: AbortSignal, wasSolo: boolean): Promise<SessionEnd> => {
    const opened: Connection[] = [];
    const open = async (purpose: string): Promise<Connection> => {
      const connection = await database.connect({ purpose });
      opened.push(connection);
      return connection;
    };
    let giveUp: Timer | null = null;
    const onStop = (): void => {
      giveUp = clock.setTimer(2 * settings.drainMs + stopMs, () => {
        for (const connection of opened) connection.close().catch(() => undefined);
      });
    };
    signal.addEventListener("abort", onStop, { once: true });
    try {
      const save = await open("relay save");
      const acquired = await acquire(save, signal);
      if (acquired === null) return { kind: "drained", isHeld: false };
      const { acquisition, facts } = acquired;
      held = { epoch: acquisition.epoch, owner };
      if (!(await checkLineage(save, acquisition, facts))) {
        held = null;
        return { kind: "stopped", isHeld: false };
      }
      if (facts.warnings.length > 0) report({ name: "relay.settingsDoubtful", warnings: facts.warnings });
      const solo = soloStart(acquisition, owner, wasSolo, unsettled);
      unsettled = solo;
      // Side by side: the lease is running.
      const [read, lookUp, upkeep] = await allOpened([open("relay read"), open("relay look up"), open("relay upkeep")]);
      const connections: SessionConnections = { save, read, lookUp, upkeep };
      report({
        name: "relay.leaseAcquired",
        epoch: acquisition.epoch,
        wasReleased: acquisition.ownerBefore === null,
        lastId: acquisition.cursor.lastId,
        isSolo: solo.isSolo,
      });
      const end = await runSession({ parts, connections, ...acquired, owner, solo, onSettled, report }, signal, (started) => {
        running = started;
        standing = "active";
        stateReason = null;
        lastError = null;
      });
      if (!end.isHeld) held = null;
      return end;
    } catch (error) {
      return { kind: "failed", cause: error, wasSolo, isHeld: true };
    } finally {
      running = null;
      signal.removeEventListener("abort", onStop);
      (giveUp as Timer | null)?.cancel();
      await Promise.all(opened.map((connection) => connection.close()));
    }
  };

  const runUntil = async (signal: AbortSignal): Promise<void> => {
    report({ name: "relay.started" });
    let failures = 0;
    let wasSolo = false;
    let isSchemaChecked = false;
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs();
      let end: SessionEnd;
      try {
        if (!isSchemaChecked) await checkSchemasUntil(signal);
        if (signal.aborted) break;
        isSchemaChecked = true;
        end = await runOnce(signal, wasSolo);
      } catch (error) {
        end = { kind: "failed", cause: error, wasSolo, isHeld: true };
      }
      if (end.kind === "drained" || signal.aborted) break;
      // Stands by from here on, until somebody has decided.
      if (end.kind === "stopped") continue;
      if (isFatal(end.cause)) {
        standing = "stopped";
        lastError = codeOf(end.cause);
        await releaseHeld();
        throw end.cause;
      }
      wasSolo = end.wasSolo;
      standing = "failing";
      lastError = codeOf(end.cause);
      // What ran for a while failed anew; what fails again and again is waited for longer.
      failures = clock.monotonicMs() - startedMs > 10_000 ? 1 : failures + 1;
      const afterMs = end.cause === "transportOutage" ? settings.outageBackoff.maxMs : backoffMs(settings.outageBackoff, failures, random);
      report({ name: "relay.restarting", code: lastError, afterMs });
      await wait(clock, afterMs, signal);
    }
    await releaseHeld();
    standing = "stopped";
    report({ name: "relay.stopped" });
  };

  return {
    run({ signal }) {
      ran ??= runUntil(signal);
      return ran;
    },
    wake: () => running?.wake(),
    health: () => healthOf(standing, running, lastError, stateReason),
  };
}

/** Waits for all of them, so that a failure leaves none that opens later and that nobody closes. */
async function allOpened<Opened extends readonly Promise<Connection>[]>(
  opening: readonly [...Opened],
): Promise<{ [Index in keyof Opened]: Connection }> {
  await Promise.allSettled(opening);
  return (await Promise.all(opening)) as { [Index in keyof Opened]: Connection };
}

interface Acquired {
  readonly acquisition: Acquisition;
  readonly acquiredFromMs: number;
  readonly facts: LedgerFacts;
}

function unsafe(rule: string, found: string): Error {
  return waybillError(
    "WAYBILL_LEDGER_UNSAFE",
    `The ledger cannot be read safely: expected that ${rule}, found ${found}. An operator must decide.`,
    { rule, found },
  );
}

function isFatal(error: unknown): boolean {
  return (
    error instanceof AssertionError ||
    isWaybillError(error, "WAYBILL_LEDGER_UNSAFE") ||
    isWaybillError(error, "WAYBILL_SCHEMA_MISMATCH") ||
    isWaybillError(error, "WAYBILL_MIGRATION_CHANGED")
  );
}

/** A word for logs and health: never a message, which may quote anything. */
function codeOf(error: unknown): string {
  if (typeof error === "string") return error;
  if (isWaybillError(error, "WAYBILL_DATABASE")) return `${error.code}:${error.facts.errno ?? error.facts.sqlState ?? "connection"}`;
  return isWaybillError(error) ? error.code : "unexpected";
}
