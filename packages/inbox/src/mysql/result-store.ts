import { isWaybillError, newMessageId } from "@waybill/core";
import { type Namespace, type Row, tableOf } from "@waybill/sql";
import type { KeptResult, ResultStore } from "../result-store.ts";
import { claimRequest } from "./statements/claim-request.ts";
import { findOldResults } from "./statements/find-old-results.ts";
import { keepResult } from "./statements/keep-result.ts";
import { lookAtRequest } from "./statements/look-at-request.ts";
import { readRequest } from "./statements/read-request.ts";
import { readResults } from "./statements/read-results.ts";
import { removeResults } from "./statements/remove-results.ts";

/** The results of a consumer on MySQL and MariaDB. */
export function mysqlResultStore(space: Namespace, consumer: string): ResultStore {
  const results = tableOf(space, "inbox_result");
  const sql = {
    claim: claimRequest(results),
    findOld: findOldResults(results),
    keep: keepResult(results),
    look: lookAtRequest(results),
    read: readResults(results),
    readRequest: readRequest(results),
    remove: removeResults(results),
  };
  return {
    async claim(tx, { messageId, fingerprint }) {
      await tx.query(sql.look, [consumer, messageId]);
      const token = newMessageId();
      await tx.execute(sql.claim, [consumer, messageId, fingerprint, token]);
      const [row] = await tx.query(sql.readRequest, [token, consumer, messageId]);
      return Number(row?.["is_mine"]) === 1 ? "claimed" : toKept(row ?? {});
    },
    // 3572: NOWAIT met a lock. MariaDB calls it a wait that ran out, 1205.
    isBusy: (error) => isWaybillError(error, "WAYBILL_DATABASE") && (error.facts.errno === 3572 || error.facts.errno === 1205),
    async keep(tx, origin, { messageId, fingerprint }, json) {
      await tx.execute(sql.keep, [consumer, origin, messageId, fingerprint, json, fingerprint, json]);
    },
    async read(statements, origin, messageIds) {
      const given = JSON.stringify(messageIds.map((id) => Buffer.from(id, "utf8").toString("hex")));
      const rows = await statements.query(sql.read, [given, consumer, origin]);
      return new Map(rows.map((row) => [messageIds[Number(row["place"]) - 1] as string, toKept(row)]));
    },
    async remove(statements, olderThanMs, rowsMax) {
      const old = await statements.query(sql.findOld, [consumer, olderThanMs, rowsMax]);
      if (old.length === 0) return 0;
      return statements.execute(sql.remove, [JSON.stringify(old), consumer, olderThanMs]);
    },
  };
}

function toKept(row: Row): KeptResult {
  return { fingerprint: row["fingerprint"] as string, json: row["result"] as string | null };
}
