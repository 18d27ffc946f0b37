import { outboxName } from "@waybill/outbox";
import { type Namespace, tableOf } from "@waybill/sql";
import { lastLaneOf, type Spill, spillDigest, topicDigest } from "../spill.ts";
import { toSpilledHead, toSpilledMessage, toSpilledRow } from "../spilled-row.ts";
import { clearSpill } from "./statements/clear-spill.ts";
import { copyToSpill } from "./statements/copy-to-spill.ts";
import { deleteSpilled } from "./statements/delete-spilled.ts";
import { deleteSpilledInLedger } from "./statements/delete-spilled-in-ledger.ts";
import { findSpilled } from "./statements/find-spilled.ts";
import { highestSpilled } from "./statements/highest-spilled.ts";
import { listSpilled } from "./statements/list-spilled.ts";
import { nextSpilledTopic } from "./statements/next-spilled-topic.ts";
import { readSpilled } from "./statements/read-spilled.ts";

const sequenceMin = String(-(2n ** 63n));
const sequenceMax = String(2n ** 63n - 1n);

/** The spilled messages of one subscription on PostgreSQL. Lanes travel as hex. */
export function postgresSpill(space: Namespace, stream: string, subscription: string): Spill {
  const table = tableOf(space, "spill");
  const outbox = tableOf(space, outboxName(stream));
  const sql = {
    clear: clearSpill(table),
    copy: copyToSpill(table, outbox),
    delete: deleteSpilled(table),
    deleteInLedger: deleteSpilledInLedger(table, outbox),
    find: findSpilled(table),
    highest: highestSpilled(table),
    list: listSpilled(table),
    nextTopic: nextSpilledTopic(table),
    read: readSpilled(table),
  };
  const of = [stream, subscription] as const;

  return {
    async highestSequence(statements) {
      const highest = (await statements.query(sql.highest, of))[0]?.["highest"];
      return typeof highest === "string" ? BigInt(highest) : null;
    },
    async nextTopic(statements, after) {
      const [row] = await statements.query(sql.nextTopic, [...of, after === null ? "" : hexOf(after)]);
      return row === undefined ? null : String(row["topic"]);
    },
    async heads(statements, topic, after, rowsMax) {
      // Before the first copy of a topic lies its own digest, without a sequence: messages without key have it as their lane.
      const from = after === null ? topicDigest(topic) : after.lane;
      const beyond = after === null ? sequenceMin : after.sequence === null ? sequenceMax : String(after.sequence);
      const values = [...of, hexOf(from), beyond, hexOf(lastLaneOf(topic)), rowsMax];
      return (await statements.query(sql.list, values)).map(toSpilledHead);
    },
    async headsOfLane(statements, { topic, key }, after, rowsMax) {
      const lane = hexOf(spillDigest(topic, key));
      const values = [...of, lane, after === null ? sequenceMin : String(after), lane, rowsMax];
      return (await statements.query(sql.list, values)).map(toSpilledHead);
    },
    async read(statements, sequences) {
      if (sequences.length === 0) return [];
      return (await statements.query(sql.read, [...of, sequences.map(String)])).map(toSpilledRow);
    },
    async lookUp(statements, sequences, lanes) {
      if (sequences.length === 0 && lanes.length === 0) return { spilled: [], lanes: [] };
      const digests = lanes.map(({ topic, key }) => hexOf(spillDigest(topic, key)));
      const rows = await statements.query(sql.find, [...of, sequences.map(String), digests]);
      return {
        spilled: rows.flatMap(toSpilledMessage),
        lanes: rows.flatMap(({ place }) => (typeof place === "string" ? [Number(place) - 1] : [])),
      };
    },
    async copy(tx, messages) {
      const sequences = messages.map(({ sequence }) => String(sequence));
      await tx.execute(sql.copy, [
        ...of,
        sequences,
        messages.map(({ topic, key }) => hexOf(spillDigest(topic, key))),
        messages.map(({ attempts }) => String(attempts)),
        messages.map(({ mayBeStored }) => (mayBeStored ? "1" : "0")),
      ]);
      const rows = await tx.query(sql.find, [...of, sequences, []]);
      return rows.flatMap(toSpilledMessage);
    },
    async clear(tx) {
      await tx.execute(sql.clear, of);
    },
    async deleteInLedger(tx, from) {
      await tx.execute(sql.deleteInLedger, [...of, String(from)]);
    },
    async delete(tx, messages) {
      const sequences = messages.map(({ sequence }) => String(sequence));
      await tx.execute(sql.delete, [...of, sequences, messages.map(({ messageId }) => messageId)]);
    },
  };
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
