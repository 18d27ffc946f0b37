/** What an operator sees of the subscriptions: read once, without touching them. */
import type { IdRange } from "@waybill/outbox";
import { type Namespace, type Statements, tableOf } from "@waybill/sql";
import { decodeRanges as decodeOnMysql } from "./mysql/encoded-ranges.ts";
import { listSubscriptions as listOnMysql } from "./mysql/statements/list-subscriptions.ts";
import { decodeRanges as decodeOnPostgres } from "./postgres/encoded-ranges.ts";
import { listSubscriptions as listOnPostgres } from "./postgres/statements/list-subscriptions.ts";

export interface ListedSubscription {
  readonly stream: string;
  readonly subscription: string;
  readonly state: "active" | "paused" | "stopped";
  readonly stateReason: string | null;
  /** True if a relay holds the lease now. */
  readonly isHeld: boolean;
  readonly epoch: bigint;
  readonly lastId: bigint;
  /** Ids at or below `lastId` that are to be read again. */
  readonly ranges: readonly IdRange[];
  readonly configHash: string | null;
  readonly savedAgoMs: number;
}

/**
 * Lists the subscriptions of all streams, by name. Changes nothing.
 *
 * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function listSubscriptions(
  statements: Pick<Statements, "query">,
  space: Namespace,
  options: { readonly deadlineMs?: number } = {},
): Promise<readonly ListedSubscription[]> {
  const table = tableOf(space, "subscription");
  const isPostgres = space.dialect === "postgres";
  const rows = await statements.query(isPostgres ? listOnPostgres(table) : listOnMysql(table), [], options);
  return rows.map((row) => ({
    stream: String(row["stream"]),
    subscription: String(row["subscription"]),
    state: row["state"] as ListedSubscription["state"],
    stateReason: row["state_reason"] as string | null,
    isHeld: isTrue(row["is_held"]),
    epoch: BigInt(String(row["epoch"])),
    lastId: BigInt(String(row["last_id"])),
    ranges: isPostgres
      ? decodeOnPostgres(row["hole_lo"] as readonly string[], row["hole_hi"] as readonly string[])
      : decodeOnMysql(String(row["holes"])),
    configHash: row["config_hash"] as string | null,
    savedAgoMs: Math.max(0, Math.round(Number(row["saved_ago_ms"]))),
  }));
}

/** MySQL has numbers for it. */
function isTrue(value: unknown): boolean {
  return value === true || Number(value) === 1;
}
