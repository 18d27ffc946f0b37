/** What asking whether a message was appended means, and the search for its row, which both dialects make alike. */
import type { Clock } from "@waybill/core";
import type { Database, Row, SqlValue } from "@waybill/sql";

/** Runs one statement outside any transaction, or in one at READ COMMITTED: each must see what was committed before it was sent. */
export interface Reader {
  query(sql: string, values: readonly SqlValue[]): Promise<readonly Row[]>;
}

/**
 * Who is asked: any reader on PostgreSQL. On MySQL and MariaDB a `Database`, of which a connection is opened, because part of the
 * question needs a session of its own.
 */
export type Asked = (Reader & { readonly dialect?: "postgres" }) | Pick<Database, "dialect" | "query" | "connect">;

/** `undecided`: its transaction, or somebody else's that began as early, was still open at the deadline. Ask again. */
export type Appended = "appended" | "notAppended" | "undecided";

export interface FindSettings {
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly marginMs: number;
}

/** Two looks for open transactions are this far apart. */
export const lookEveryMs = 20;

/** Application and database rarely disagree about the time by more. */
const closeMarginMs = 5_000;

/** A search of the ledger, in a dialect's own statements. */
export interface Search {
  /** Whether this id was claimed as a caller's own. */
  hasClaim(messageId: string): Promise<boolean>;
  /** An id below which all rows are older than this time; beyond all rows if everything is older; null for an empty ledger. */
  idAt(timeMs: number): Promise<string | null>;
  /** Whether one of the rows with these ids, `from` included and `to` excluded, is the message. Both null: the ledger is empty. */
  hasRow(messageId: string, from: string | null, to: string | null): Promise<boolean>;
}

/**
 * Whether the message is there. The ledger has no index on message ids. Those that we make (UUIDv7) begin with the time at which they were
 * made, so the rows of that time are searched, first closely, then with the margin; a caller's own are in a table of their own.
 */
export async function isThere(search: Search, messageId: string, marginMs: number): Promise<boolean> {
  if (await search.hasClaim(messageId)) return true;
  const madeAtMs = timeOf(messageId);
  if (madeAtMs === null) return false;
  for (const margin of [Math.min(closeMarginMs, marginMs), marginMs]) {
    const from = await search.idAt(madeAtMs - margin);
    const to = await search.idAt(madeAtMs + margin);
    if (await search.hasRow(messageId, from, to)) return true;
  }
  return false;
}

/** The time in a UUIDv7 (RFC 9562, §5.7), or null for any other UUID. */
function timeOf(messageId: string): number | null {
  return messageId[14] === "7" ? Number.parseInt(messageId.slice(0, 8) + messageId.slice(9, 13), 16) : null;
}
