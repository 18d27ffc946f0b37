import { isWaybillError } from "@waybill/core";
import { type Namespace, type Row, tableOf } from "@waybill/sql";
import type { KeptResult, ResultStore } from "../result-store.ts";
import { claimRequest } from "./statements/claim-request.ts";
import { keepResult } from "./statements/keep-result.ts";
import { limitLockWait } from "./statements/limit-lock-wait.ts";
import { readResults } from "./statements/read-results.ts";
import { removeResults } from "./statements/remove-results.ts";
import { shortenLockWait } from "./statements/shorten-lock-wait.ts";

/** Milliseconds that a claim waits for another's unit: long enough for one that is about to end. */
const claimMs = "100";

/** The results of a consumer on PostgreSQL. */
export function postgresResultStore(space: Namespace, consumer: string): ResultStore {
  const results = tableOf(space, "inbox_result");
  const sql = {
    claim: claimRequest(results),
    keep: keepResult(results),
    read: readResults(results),
    remove: removeResults(results),
  };
  const read: ResultStore["read"] = async (statements, origin, messageIds) => {
    const rows = await statements.query(sql.read, [consumer, origin, messageIds]);
    return new Map(rows.map((row) => [row["message_id"] as string, toKept(row)]));
  };
  return {
    async claim(tx, { messageId, fingerprint }) {
      const [limits] = await tx.query(shortenLockWait, [claimMs]);
      const claimed = await tx.query(sql.claim, [consumer, messageId, fingerprint]);
      await tx.query(limitLockWait, [limits?.["before"] as string]);
      if (claimed.length === 1) return "claimed";
      return (await read(tx, "request", [messageId])).get(messageId) ?? { fingerprint, json: null };
    },
    isBusy: (error) => isWaybillError(error, "WAYBILL_DATABASE") && error.facts.sqlState === "55P03",
    async keep(tx, origin, { messageId, fingerprint }, json) {
      await tx.query(sql.keep, [consumer, origin, messageId, fingerprint, json]);
    },
    read,
    remove: async (statements, olderThanMs, rowsMax) => (await statements.query(sql.remove, [consumer, olderThanMs, rowsMax])).length,
  };
}

function toKept(row: Row): KeptResult {
  return { fingerprint: row["fingerprint"] as string, json: row["result"] as string | null };
}
