/**
 * Whether a message was appended, asked when nobody knows: its COMMIT went out, and no answer came back.
 *
 *     search what is committed ──found──▶ appended
 *        └─not found─▶ search everything, committed or not ──not found──▶ not appended
 *                         └─found: its transaction is open, or prepared ──▶ wait, from the beginning ── deadline ──▶ undecided
 *
 * Whoever asks knows the id because `append` has answered it. So the row was written before we ask, and from then on it is in the table until
 * its transaction is rolled back: a session at READ UNCOMMITTED sees it whether that one is open, committing, or prepared. Not there means
 * gone for ever. That only holds on the server where the transaction ran: other nodes of a Galera cluster, and replicas, hear of a row
 * when it is committed.
 */
import { ownMessageId, wait, waybillError } from "@waybill/core";
import { type Connection, type Database, type Row, type SqlValue } from "@waybill/sql";
import { type Appended, type FindSettings, isThere, lookEveryMs, type Search } from "../find-message.ts";
import type { LedgerTables } from "../ledger-tables.ts";
import { idAtTime } from "./id-at-time.ts";
import { findMessage } from "./statements/find-message.ts";
import { findOwnId } from "./statements/find-own-id.ts";
import { isReadOnly } from "./statements/is-read-only.ts";
import { readUncommitted } from "./statements/read-uncommitted.ts";

export async function findAppended(
  database: Pick<Database, "connect">,
  tables: LedgerTables,
  givenId: string,
  { clock, deadlineMs, marginMs }: FindSettings,
): Promise<Appended> {
  const messageId = ownMessageId(givenId);
  const endsAtMs = clock.monotonicMs() + deadlineMs;
  const opened: Connection[] = [];
  try {
    for (let count = 0; count < 2; count += 1) opened.push(await database.connect({ purpose: "find a message" }));
    const [committed, everything] = opened as [Connection, Connection];
    await checkServer(committed);
    await everything.execute(readUncommitted, []);
    for (;;) {
      if (await isThere(searchOf(committed, tables), messageId, marginMs)) return "appended";
      if (!(await isThere(searchOf(everything, tables), messageId, marginMs))) return "notAppended";
      const leftMs = endsAtMs - clock.monotonicMs();
      if (leftMs <= 0) return "undecided";
      await wait(clock, Math.min(lookEveryMs, leftMs));
    }
  } finally {
    await Promise.all(opened.map((connection) => connection.close()));
  }
}

/** @throws WAYBILL_READ_ONLY on a read-only server, which hears of a transaction only when it is over */
async function checkServer(connection: Connection): Promise<void> {
  const [row] = (await connection.query(`select ${isReadOnly} as is_read_only`, [])) as readonly { is_read_only: number | string }[];
  if (Number(row?.is_read_only ?? 1) !== 0) throw readOnlyError();
}

/** A read-only server is a replica, or about to become one. */
export function readOnlyError(): Error {
  return waybillError("WAYBILL_READ_ONLY", "This server is read-only and knows no writers: connect to the one that takes writes.", {
    found: "read-only",
  });
}

function searchOf(connection: Connection, { ids, outbox }: LedgerTables): Search {
  const query = (sql: string, values: readonly SqlValue[]): Promise<readonly Row[]> => connection.query(sql, values);
  return {
    hasClaim: async (messageId) => (await query(findOwnId(ids), [messageId])).length > 0,
    idAt: async (timeMs) => {
      const id = await idAtTime({ query }, outbox, timeMs);
      return id === null ? null : String(id);
    },
    hasRow: async (messageId, from, to) =>
      from !== null && to !== null && (await query(findMessage(outbox), [from, to, messageId])).length > 0,
  };
}
