/**
 * Half messages in their tables.
 *
 *     prepare  insert what is not there, with its bodies ─▶ read what was there; a row with the token of this call is new
 *     judge    lock the rows, in their order ─▶ judge each wish by its row ─▶ insert what is missing ─▶ write decisions and log, deliveries
 *
 * Whoever inserts a row that another transaction is just inserting waits for it, and then finds it. Between looking for rows and
 * inserting the missing ones somebody else may have inserted one: then nothing is written for its wish, and its caller asks again.
 *
 * A crash at any arrow leaves what COMMIT left: all of a batch or nothing.
 */
import { newToken, type Random } from "@waybill/core";
import type { Namespace, OwnedTx } from "@waybill/sql";
import { decidedStanding, judge, type Standing, type Verdict } from "./decision.ts";
import type { DeliveryStore, DueDestination, RoutedMessage } from "./delivery-store.ts";
import { mysqlHalfMessageTable } from "./mysql/table.ts";
import { postgresHalfMessageTable } from "./postgres/table.ts";
import type { HalfMessageStore, Judged, Request } from "./store.ts";
import type { DecidedRow, HalfMessageKey, HalfMessageTable, NewDecidedRow, NewLogEntry } from "./table.ts";

export interface HalfMessageStoreOptions {
  readonly space: Namespace;
  readonly deliveries: DeliveryStore;
  readonly random: Random;
  /** How long bodies stay after the decision. */
  readonly retentionMs: number;
}

export function createHalfMessageStore({ space, deliveries, random, retentionMs }: HalfMessageStoreOptions): HalfMessageStore {
  const table: HalfMessageTable = space.dialect === "mysql" ? mysqlHalfMessageTable(space) : postgresHalfMessageTable(space);

  /** A wish with its row and what becomes of it. */
  interface Case {
    readonly request: Request;
    readonly before: Standing | null;
    readonly verdict: Verdict;
  }

  const prepare: HalfMessageStore["prepare"] = async (tx, halfMessages) => {
    const prepareToken = newToken();
    const rows = inOrder(halfMessages).map((halfMessage) => ({ halfMessage, prepareToken }));
    const standings = new Map(byKey(await table.insertNew(tx, rows)));
    const others = halfMessages.filter((halfMessage) => !standings.has(keyOf(halfMessage)));
    if (others.length > 0) for (const standing of await table.read(tx, others)) standings.set(keyOf(standing), standing);
    return halfMessages.map((halfMessage) => {
      const standing = found(standings, halfMessage);
      return { isNew: standing.prepareToken === prepareToken, standing };
    });
  };

  const judgeAll: HalfMessageStore["judge"] = async (tx, requests) => {
    const locked = byKey(await table.lock(tx, inOrder(requests)));
    const cases = requests.map((request): Case => {
      const before = locked.get(keyOf(request)) ?? null;
      return { request, before, verdict: judge(request.wish, before, random) };
    });
    const created = await insertMissing(tx, cases);
    const written = cases.filter(({ request, verdict }) => verdict.kind !== "create" || created.has(keyOf(request)));
    const decided = await writeDecisions(tx, written);
    for (const each of written) await writeRest(tx, each);
    const due = await insertDeliveries(tx, written, decided.messages);
    const entries = written.flatMap(entriesOf);
    if (entries.length > 0) await table.insertLog(tx, entries);
    const after = new Map(byKey(decided.standings));
    const changed = written.filter(({ verdict }) => verdict.kind !== "stands" && verdict.kind !== "refused" && verdict.kind !== "decide");
    if (changed.length > 0) {
      const requests = changed.map(({ request }) => request);
      for (const standing of await table.read(tx, requests)) after.set(keyOf(standing), standing);
    }
    const isWritten = new Set(written);
    const judged = cases.map((each): Judged | null => {
      if (!isWritten.has(each)) return null;
      return { verdict: each.verdict, before: each.before, after: after.get(keyOf(each.request)) ?? each.before };
    });
    return { judged, due };
  };

  /** Answers the keys of the rows that are ours. */
  const insertMissing = async (tx: OwnedTx, cases: readonly Case[]): Promise<ReadonlySet<string>> => {
    const prepareToken = newToken();
    const rows = cases.flatMap(({ request, verdict }): readonly NewDecidedRow[] => {
      if (verdict.kind !== "create") return [];
      const { producer, id, actor, body } = request;
      return [{ producer, id, actor, body, to: verdict.to, keyId: actor.slice(actor.indexOf(":") + 1), prepareToken }];
    });
    if (rows.length === 0) return new Set();
    await table.insertDecided(tx, inOrder(rows), retentionMs);
    const ours = (await table.read(tx, rows)).filter((standing) => standing.prepareToken === prepareToken);
    const keys = new Set(ours.map(keyOf));
    const bodies = rows.flatMap((row) => (row.body !== null && keys.has(keyOf(row)) ? [row.body] : []));
    if (bodies.length > 0) await table.insertBodies(tx, bodies);
    return keys;
  };

  const writeDecisions = async (
    tx: OwnedTx,
    cases: readonly Case[],
  ): Promise<{ readonly standings: readonly Standing[]; readonly messages: readonly RoutedMessage[] }> => {
    const before = new Map<string, Standing>();
    const rows = new Map<string, DecidedRow>();
    for (const { request, before: standing, verdict } of cases) {
      if (verdict.kind !== "decide" || standing === null) continue;
      const { producer, id, actor, wish, reason, checkNumber } = request;
      const lastCheck = wish.kind === "check" ? wish.answer.decision : null;
      const { version, state: from } = standing;
      before.set(keyOf(request), standing);
      rows.set(keyOf(request), { producer, id, version, from, to: verdict.to, actor, lastCheck, reason, checkNumber });
    }
    if (rows.size === 0) return { standings: [], messages: [] };
    const { decided, messages } = await table.decide(tx, inOrder([...rows.values()]), retentionMs);
    fenced(decided.length, rows.size);
    const standings = decided.map((row) => {
      const { to, actor, lastCheck } = found(rows, row);
      return decidedStanding(found(before, row), to, actor, lastCheck, row.decidedAtMs);
    });
    return { standings, messages };
  };

  /** What concerns one row and no delivery. */
  const writeRest = async (tx: OwnedTx, { request, before, verdict }: Case): Promise<void> => {
    switch (verdict.kind) {
      case "checked": {
        const { isAnswered, lastCheck, checkAfterMs, notFound } = verdict;
        const { producer, id } = request;
        const row = { producer, id, version: before?.version ?? 0, isAnswered, lastCheck, checkAfterMs, notFound };
        return fenced(await table.checked(tx, { ...row, isSuspended: verdict.suspend !== null }), 1);
      }
      case "extend":
        return fenced(await table.extend(tx, request, Math.round(verdict.notBeforeMs - (before?.nowMs ?? 0))), 1);
      case "suspend":
        return fenced(await table.suspend(tx, request, verdict.checkAfterMs), 1);
      case "resume":
        return fenced(await table.resume(tx, request, verdict.suspendAfterMs), 1);
      case "checkNow":
        return fenced(await table.checkNow(tx, request), 1);
      case "create":
      case "decide":
      case "stands":
      case "refused":
    }
  };

  /** Of what is committed; and who waits behind one that is decided now, for the order of prepares, waits no longer. */
  const insertDeliveries = async (
    tx: OwnedTx,
    cases: readonly Case[],
    decided: readonly RoutedMessage[],
  ): Promise<readonly DueDestination[]> => {
    const created = cases.filter(({ verdict }) => verdict.kind === "create" && verdict.to === "committed").map(({ request }) => request);
    const ordered = cases.filter(({ before, verdict }) => verdict.kind === "decide" && before !== null && before.orderKey !== null);
    if (created.length === 0 && decided.length === 0 && ordered.length === 0) return [];
    const messages = [...decided, ...(created.length === 0 ? [] : await table.readRouted(tx, created))];
    return deliveries.insert(
      tx,
      messages,
      ordered.map(({ request }) => request),
    );
  };

  return {
    prepare,
    judge: judgeAll,
    async read(statements, producer, id) {
      return (await table.read(statements, [{ producer, id }]))[0] ?? null;
    },
    readLog: (statements, producer, id) => table.readLog(statements, { producer, id }),
    list(statements, { producer, state, after, limit }) {
      if (producer !== null) return table.list(statements, producer, state, after ?? "", limit);
      const [afterProducer = "", afterId = ""] = (after ?? "").split("/");
      return table.listAll(statements, state, { producer: afterProducer, id: afterId }, limit);
    },
    async revealPayload(tx, { producer, id, ordinal, actor }) {
      const payload = await table.readPayload(tx, { producer, id }, ordinal);
      if (payload === null) return null;
      const reason = `message ${ordinal}`;
      await table.insertLog(tx, [{ producer, id, event: "revealed", from: null, to: null, actor, reason, checkNumber: null }]);
      return payload;
    },
    findBlocker: (statements, producer, id) => table.findBlocker(statements, { producer, id }),
    countUndecided: table.countUndecided,
    nextDeadline: table.nextDeadline,
    dueProducers: table.dueProducers,
    claimChecks: (units, producer, max, leaseMs) => table.claimChecks(units, producer, max, leaseMs, newToken()),
    async releaseChecks(statements, producer, checks) {
      for (const { id, token } of checks) await table.releaseCheck(statements, { producer, id }, token);
    },
    overdue: table.overdue,
    nowMs: table.nowMs,
    useNonce: table.insertNonce,
  };
}

/** What is told in the log of a wish; nothing of what changed nothing, or was entered with its decision. */
function entriesOf(each: {
  readonly request: Request;
  readonly before: Standing | null;
  readonly verdict: Verdict;
}): readonly NewLogEntry[] {
  const { request, before, verdict } = each;
  const { producer, id, actor, reason, checkNumber } = request;
  const from = before?.state ?? null;
  const entry = { producer, id, from, to: from, actor, reason, checkNumber };
  switch (verdict.kind) {
    case "create":
      return [{ ...entry, event: verdict.to, to: verdict.to }];
    case "suspend":
      return [{ ...entry, event: "suspended", to: "suspended", reason: verdict.reason }];
    case "resume":
      return [{ ...entry, event: "resumed", to: "prepared" }];
    case "checked": {
      const mismatch = verdict.mismatch === true ? [{ ...entry, event: "barrier_mismatch" }] : [];
      if (verdict.suspend === null) return mismatch;
      return [...mismatch, { ...entry, event: "suspended", to: "suspended", reason: verdict.suspend }];
    }
    case "refused":
      return verdict.log === null ? [] : [{ ...entry, event: verdict.log }];
    case "decide":
    case "extend":
    case "checkNow":
    case "stands":
      return [];
  }
}

/** Rows are locked before they are judged, so a change that finds fewer is a mistake of ours and must not be committed. */
function fenced(found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`A locked half message changed: ${found} of ${wanted} rows were written.`);
}

function keyOf({ producer, id }: HalfMessageKey): string {
  return `${producer}/${id}`;
}

function byKey(standings: readonly Standing[]): ReadonlyMap<string, Standing> {
  return new Map(standings.map((standing) => [keyOf(standing), standing]));
}

function found<Row>(rows: ReadonlyMap<string, Row>, key: HalfMessageKey): Row {
  const row = rows.get(keyOf(key));
  if (row === undefined) throw new Error("A half message that was just inserted, met or decided is not there.");
  return row;
}

/** By bytes: all of it is ASCII. */
function inOrder<Key extends HalfMessageKey>(keys: readonly Key[]): readonly Key[] {
  return [...keys].sort((one, other) => compare(one.producer, other.producer) || compare(one.id, other.id));
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
