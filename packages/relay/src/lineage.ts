/**
 * Whether the database is still the one in which the cursor was saved, and what is done if not.
 *
 *     another server, same ledger, ids not behind ─▶ told (a failover, or a restore of everything): goes on
 *     ids behind the cursor │ another ledger      ─▶ told, and stopped in the row until an operator decides
 *
 * A cursor beyond the ids would pass over the messages that get those ids next: each of them lost without a word. So the first relay that
 * notices says so in the row, with a line of audit in the same transaction, and every relay stands by, whatever ids are handed out meanwhile.
 *
 * It is looked at before anything is published under a lease, and every few seconds while one is held, for nothing ends a session when a
 * table is emptied under it. The edge: a ledger whose ids were set back and have passed the cursor again before anybody looked cannot be told
 * from one in which nothing happened.
 */
import type { Ledger, LedgerFacts } from "@waybill/outbox";
import { type Connection, committedValue, writeAudit } from "@waybill/sql";
import type { RelayParts, RelayReport, Session } from "./session.ts";
import { type StopReason, stopReasonText } from "./stop-reason.ts";
import type { Acquisition, Fence } from "./subscriptions.ts";

/** How long the ids may have been set back before a relay that runs notices. */
const lookMs = 5_000;

/** What a session was when it ended for it, and who is told by it. */
export const subscriptionStopped = "subscriptionStopped";

/** Tells of a change, and answers why the subscription must stop; null: it may go on. `facts` were read after the lease was taken. */
export function lineageProblem(acquisition: Acquisition, facts: LedgerFacts, report: (event: RelayReport) => void): StopReason | null {
  const { serverIdentity, ledgerIdentity, cursor } = acquisition;
  const problem = problemOf(cursor.lastId, ledgerIdentity, facts);
  const isSameServer = serverIdentity === null || serverIdentity === facts.serverIdentity;
  if (problem !== null || !isSameServer) report({ name: "relay.lineageChanged", wentBack: problem?.code === "idsWentBack" });
  return problem;
}

function problemOf(lastId: bigint, ledgerIdentity: string | null, { highestId, ledgerIdentity: found }: LedgerFacts): StopReason | null {
  if (ledgerIdentity !== null && ledgerIdentity !== found) return { code: "ledgerReplaced", lastId, highestId };
  return lastId > highestId ? { code: "idsWentBack", lastId, highestId } : null;
}

/**
 * Stops the subscription in its row. False: the lease was lost, and nothing was changed.
 *
 * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN: the next acquire finds out
 */
export async function stopForOperator(
  { row, space, settings }: Pick<RelayParts, "row" | "space" | "settings">,
  connection: Connection,
  fence: Fence,
  reason: StopReason,
  report: (event: RelayReport) => void,
): Promise<boolean> {
  const { code, lastId, highestId } = reason;
  const operation = "stop the subscription";
  report({ name: "relay.subscriptionStopping", reason: code, lastId, highestId });
  const outcome = await connection.unitOfWork(
    async (tx) => {
      if (!(await row.stop(tx, fence, stopReasonText(reason)))) return false;
      await writeAudit(tx, space, {
        who: "waybill relay",
        what: "subscription.stop",
        subject: `subscription ${settings.stream}/${settings.subscription}`,
        why: stopReasonText(reason),
      });
      return true;
    },
    { operation, deadlineMs: settings.statementDeadlineMs },
  );
  const isStopped = committedValue(operation, outcome);
  if (isStopped) report({ name: "relay.subscriptionStopped", reason: code, lastId, highestId });
  return isStopped;
}

/** Looks again and again while a session runs, and ends it if the ids went back. */
export async function watchLineage(session: Session, ledger: Ledger, atStart: LedgerFacts): Promise<void> {
  const { connections, cursor, settings, fence } = session;
  while (await session.pause(lookMs)) {
    if (session.isDraining) return;
    // Before the question: ids that are handed out and read meanwhile are in its answer.
    const { lastId } = cursor;
    const facts = await ledger.facts(connections.upkeep, { deadlineMs: settings.statementDeadlineMs });
    if (session.ended.aborted) return;
    const problem = problemOf(lastId, atStart.ledgerIdentity, facts);
    if (problem === null) continue;
    session.report({ name: "relay.lineageChanged", wentBack: problem.code === "idsWentBack" });
    if (await stopForOperator(session, connections.upkeep, fence, problem, session.report)) session.fail(subscriptionStopped);
    else session.lease.lose();
    return;
  }
}
