/**
 * What operators may do to a subscription: make it, move it, pause it, let it go on, delete it. Nothing else, and never beside the audit.
 *
 *     lock the ledger's row ─▶ lock the subscription's row ─▶ change it: epoch + 1, no owner ─▶ a line of audit ─▶ COMMIT
 *                                                                 └── whoever runs it: its next write finds no row; it begins anew
 *
 * A crash before the COMMIT leaves nothing, neither change nor audit; after it both are there. A relay that runs may publish what it had read until it
 * notices, at its next save or renewal; nobody else begins before that or before its lease has run out, so a key is never in two relays' hands. What it
 * publishes meanwhile is at most repeated: each of its writes finds another epoch and changes nothing.
 *
 * No line of audit, no change: what is already as asked is left alone. A COMMIT whose answer is lost is WAYBILL_OUTCOME_UNKNOWN: look, or do it again.
 */
import { waybillError } from "@waybill/core";
import { createDeadLetters, type Reader } from "@waybill/dead-letter";
import { checkName, committedValue, type Database, type Namespace, type OwnedTx, writeAudit } from "@waybill/sql";
import { createOperatorRow } from "./create-operator-row.ts";
import { createSpill } from "./create-spill.ts";
import type { LedgerEnds, OperatorRow, Standing, SubscriptionState } from "./operator-row.ts";
import { lastIdAt, type Position } from "./position.ts";
import type { Spill } from "./spill.ts";
import { parseStopReason } from "./stop-reason.ts";

/** Which subscription. Both default to `default`. */
export interface SubscriptionName {
  readonly stream?: string;
  readonly subscription?: string;
}

/** Who changes it and why: kept in the audit with the change. */
export interface ChangeOptions {
  readonly who: string;
  readonly why: string | null;
}

/** What a change made of a subscription. */
export interface SubscriptionChange {
  /** False: it was as asked already, and nothing was written. */
  readonly isChanged: boolean;
  /** null: there was none. */
  readonly before: Standing | null;
  /** null: there is none any more. */
  readonly after: { readonly state: SubscriptionState; readonly lastId: bigint } | null;
}

/**
 * Makes a subscription before its relay runs, and so decides where it begins.
 *
 * @throws WAYBILL_SUBSCRIPTION_REFUSED (`exists`, `streamMissing`), WAYBILL_POSITION_REFUSED, WAYBILL_IDENTIFIER_INVALID, WAYBILL_DATABASE,
 * WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN
 */
export function createSubscription(
  database: Database,
  space: Namespace,
  name: SubscriptionName,
  at: Position,
  options: ChangeOptions,
): Promise<SubscriptionChange> {
  return change(database, space, name, options, "create", async ({ tx, row, ends, before, refuse }) => {
    if (before !== null) throw refuse("exists", "there is one of this name already: move it, or choose another name");
    const lastId = await lastIdAt(tx, space, name.stream ?? "default", ends, at);
    await row.insert(tx, lastId);
    return { state: "active", lastId };
  });
}

/**
 * Lets a subscription go on from another place. Backwards it publishes again what comes after that place, but for messages whose dead letters are not
 * decided or were discarded; forwards it passes over what lies in between, for good. What was spilled from before that place is still published, first
 * of its key; what was spilled from there on is read again in its place, unless the ledger does not have it any more: then it is published from its
 * copy. Its state stays, but one that was stopped for an operator is paused now, for this was the decision: resume it.
 *
 * @throws WAYBILL_SUBSCRIPTION_REFUSED (`missing`, `streamMissing`) and as `createSubscription`
 */
export function moveSubscription(
  database: Database,
  space: Namespace,
  name: SubscriptionName,
  to: Position,
  options: ChangeOptions,
): Promise<SubscriptionChange> {
  return change(database, space, name, options, "move", async (unit) => {
    const { before, refuse } = unit;
    if (before === null) throw refuse("missing", "there is none of this name");
    const state = before.state === "stopped" ? "paused" : before.state;
    return moveTo(unit, before, to, state);
  });
}

/**
 * Keeps every relay from running a subscription until it is resumed.
 *
 * @throws WAYBILL_SUBSCRIPTION_REFUSED (`missing`, `stopped`) and as `createSubscription`
 */
export function pauseSubscription(
  database: Database,
  space: Namespace,
  name: SubscriptionName,
  options: ChangeOptions,
): Promise<SubscriptionChange> {
  return change(database, space, name, options, "pause", async ({ tx, row, before, refuse }) => {
    if (before === null) throw refuse("missing", "there is none of this name");
    if (before.state === "stopped") throw refuse("stopped", "it is stopped already, and waits for a decision");
    if (before.state === "paused") return "asItWas";
    await row.changeState(tx, "paused");
    return { state: "paused", lastId: before.lastId };
  });
}

export interface ResumeOptions extends ChangeOptions {
  /**
   * For a subscription that was stopped because its ledger went back or was made anew: everything that is still there is published again, from the
   * beginning. Nothing is lost by it. Whoever knows better where to go on moves it instead.
   */
  readonly acceptRepeats?: boolean;
}

/**
 * Lets a paused or stopped subscription go on where it stands; one that was stopped for its ledger needs `acceptRepeats`, or to be moved first.
 *
 * @throws WAYBILL_SUBSCRIPTION_REFUSED (`missing`, `decisionNeeded`) and as `createSubscription`
 */
export function resumeSubscription(
  database: Database,
  space: Namespace,
  name: SubscriptionName,
  options: ResumeOptions,
): Promise<SubscriptionChange> {
  return change(database, space, name, options, "resume", async (unit) => {
    const { tx, row, before, refuse } = unit;
    if (before === null) throw refuse("missing", "there is none of this name");
    if (before.state === "active") return "asItWas";
    const reason = before.state === "stopped" ? parseStopReason(before.stateReason) : null;
    if (reason !== null && options.acceptRepeats === true) return moveTo(unit, before, "beginning", "active");
    if (reason !== null) {
      throw refuse(
        "decisionNeeded",
        "its ledger is not the one it has read: accept that all of it is published again, or move it to where it is to go on",
      );
    }
    await row.changeState(tx, "active");
    return { state: "active", lastId: before.lastId };
  });
}

export interface DeleteOptions extends ChangeOptions {
  /** Messages that were spilled and are not published yet are deleted with it, though their history may be gone: nobody has them then. */
  readonly acceptLoss?: boolean;
}

/**
 * Deletes a subscription, its cursor and the dead letters of it that are decided; spilled messages only with `acceptLoss`. A relay that runs it stands
 * by from then on and does not make it again; one that is started later does. History is not kept for it any longer.
 *
 * @throws WAYBILL_SUBSCRIPTION_REFUSED (`missing`, `deadLetters`: decide about them first, `spilled`) and as `createSubscription`
 */
export function deleteSubscription(
  database: Database,
  space: Namespace,
  name: SubscriptionName,
  options: DeleteOptions,
): Promise<SubscriptionChange> {
  return change(database, space, name, options, "delete", async ({ tx, row, before, reader, spill, refuse }) => {
    if (before === null) throw refuse("missing", "there is none of this name");
    const deadLetters = createDeadLetters(space);
    await deadLetters.removeFrom(tx, reader, 0n, ["done", "discarded"]);
    if (await deadLetters.hasAny(tx, reader))
      throw refuse("deadLetters", "it has dead letters that are not decided: redrive or discard them first");
    if (options.acceptLoss === true) await spill.clear(tx);
    if ((await spill.highestSequence(tx)) !== null)
      throw refuse("spilled", "messages wait in its spill: let them be published, or accept that they are lost");
    await row.remove(tx);
    return null;
  });
}

type Refusal = "missing" | "exists" | "streamMissing" | "stopped" | "decisionNeeded" | "deadLetters" | "spilled";
type Refuse = (reason: Refusal, problem: string) => Error;

interface ChangeUnit {
  readonly tx: OwnedTx;
  readonly space: Namespace;
  readonly stream: string;
  readonly row: OperatorRow;
  readonly reader: Reader;
  readonly spill: Spill;
  readonly ends: LedgerEnds;
  readonly before: Standing | null;
  readonly refuse: Refuse;
}

async function moveTo(
  { tx, space, stream, row, reader, spill, ends }: ChangeUnit,
  before: Standing,
  to: Position,
  state: SubscriptionState,
): Promise<{ state: SubscriptionState; lastId: bigint }> {
  const isAnotherLedger = parseStopReason(before.stateReason) !== null;
  const lastId = await lastIdAt(tx, space, stream, ends, to);
  if (ends.removedTo > ends.highestId) await row.forgetRemoved(tx);
  // What was a dead letter once and is done would be taken for published.
  await createDeadLetters(space).removeFrom(tx, reader, lastId + 1n, ["done"]);
  // What was spilled would come before what it is behind, and be missing in its place.
  await spill.deleteInLedger(tx, lastId + 1n);
  await row.move(tx, { lastId, state, isAnotherLedger });
  return { state, lastId };
}

async function change(
  database: Database,
  space: Namespace,
  name: SubscriptionName,
  { who, why }: ChangeOptions,
  verb: "create" | "move" | "pause" | "resume" | "delete",
  work: (unit: ChangeUnit) => Promise<SubscriptionChange["after"] | "asItWas">,
): Promise<SubscriptionChange> {
  const stream = checkName("stream", name.stream ?? "default");
  const subscription = checkName("subscription", name.subscription ?? "default");
  const row = createOperatorRow(space, stream, subscription);
  const spill = createSpill(space, stream, subscription);
  const operation = `subscription.${verb}`;
  const refuse: Refuse = (reason, problem) =>
    waybillError("WAYBILL_SUBSCRIPTION_REFUSED", `Cannot ${verb} subscription ${stream}/${subscription}: ${problem}.`, {
      stream,
      subscription,
      reason,
    });
  const unit = async (tx: OwnedTx): Promise<SubscriptionChange> => {
    const ends = await row.lockLedger(tx);
    if (ends === null) throw refuse("streamMissing", "there is no such stream");
    const before = await row.lock(tx);
    const reader = { origin: "relay", name: `${stream}/${subscription}` } as const;
    const after = await work({ tx, space, stream, row, reader, spill, ends, before, refuse });
    if (after === "asItWas") return { isChanged: false, before, after: before };
    const detail = JSON.stringify({ before: told(before), after: told(after) });
    await writeAudit(tx, space, { who, what: operation, subject: `subscription ${stream}/${subscription}`, why, detail });
    return { isChanged: true, before, after };
  };
  return committedValue(operation, await database.unitOfWork(unit, { operation, deadlineMs: 60_000 }));
}

function told(standing: Partial<Standing> | null): Readonly<Record<string, string | null>> | null {
  if (standing === null) return null;
  const { state = null, stateReason = null, lastId } = standing;
  return { state, ...(stateReason === null ? {} : { stateReason }), lastId: lastId === undefined ? null : String(lastId) };
}
