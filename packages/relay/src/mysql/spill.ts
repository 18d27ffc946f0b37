import { outboxName } from "@waybill/outbox";
import { type Namespace, type SqlValue, tableOf } from "@waybill/sql";
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

/** The spilled messages of one subscription on MySQL or MariaDB. */
export function mysqlSpill(space: Namespace, stream: string, subscription: string): Spill {
  const table = tableOf(space, "spill");
  const outbox = tableOf(space, outboxName(stream));
  const sql = {
    clear: clearSpill(table),
    copy: copyToSpill(table, outbox),
    deleteInLedger: deleteSpilledInLedger(table, outbox),
    find: findSpilled(table),
    highest: highestSpilled(table),
    list: listSpilled(table),
    nextTopic: nextSpilledTopic(table),
  };
  const of: readonly SqlValue[] = [stream, subscription];
  /** From a place on, up to a lane: parameters of `statements/list-spilled.ts`. */
  const page = (last: Uint8Array, from: Uint8Array, beyond: string, rowsMax: number): SqlValue[] => [
    ...of,
    last,
    from,
    beyond,
    from,
    rowsMax,
  ];

  return {
    async highestSequence(statements) {
      const highest = (await statements.query(sql.highest, of))[0]?.["highest"] as string | null | undefined;
      return highest === null || highest === undefined ? null : BigInt(highest);
    },
    async nextTopic(statements, after) {
      const [row] = await statements.query(sql.nextTopic, [...of, after ?? new Uint8Array(0)]);
      return row === undefined ? null : String(row["topic"]);
    },
    async heads(statements, topic, after, rowsMax) {
      const from = after === null ? topicDigest(topic) : after.lane;
      const beyond = after === null ? sequenceMin : after.sequence === null ? sequenceMax : String(after.sequence);
      return (await statements.query(sql.list, page(lastLaneOf(topic), from, beyond, rowsMax))).map(toSpilledHead);
    },
    async headsOfLane(statements, { topic, key }, after, rowsMax) {
      const lane = spillDigest(topic, key);
      const beyond = after === null ? sequenceMin : String(after);
      return (await statements.query(sql.list, page(lane, lane, beyond, rowsMax))).map(toSpilledHead);
    },
    async read(statements, sequences) {
      if (sequences.length === 0) return [];
      const rows = await statements.query(readSpilled(table, sequences.length), [...of, ...sequences.map(String)]);
      return rows.map(toSpilledRow);
    },
    async lookUp(statements, sequences, lanes) {
      if (sequences.length === 0 && lanes.length === 0) return { spilled: [], lanes: [] };
      const digests = JSON.stringify(lanes.map(({ topic, key }) => hexOf(spillDigest(topic, key))));
      const rows = await statements.query(sql.find, [listOf(sequences), ...of, digests, ...of]);
      return {
        spilled: rows.flatMap(toSpilledMessage),
        lanes: rows.flatMap(({ place }) => (place === null ? [] : [Number(place) - 1])),
      };
    },
    async copy(tx, messages) {
      const rows = messages.map(
        ({ sequence, topic, key, attempts, mayBeStored }) =>
          `{"s":${sequence},"l":"${hexOf(spillDigest(topic, key))}","a":${attempts},"m":${mayBeStored ? 1 : 0}}`,
      );
      await tx.execute(sql.copy, [...of, `[${rows.join(",")}]`]);
      const found = await tx.query(sql.find, [listOf(messages.map(({ sequence }) => sequence)), ...of, "[]", ...of]);
      return found.flatMap(toSpilledMessage);
    },
    async clear(tx) {
      await tx.execute(sql.clear, of);
    },
    async deleteInLedger(tx, from) {
      await tx.execute(sql.deleteInLedger, [...of, String(from)]);
    },
    async delete(tx, messages) {
      const sequences = messages.map(({ sequence }) => String(sequence));
      const values = [...of, ...sequences, ...messages.map(({ messageId }) => messageId)];
      await tx.execute(deleteSpilled(table, messages.length), values);
    },
  };
}

/** A JSON array of 64-bit numbers, which JSON.stringify cannot write. */
function listOf(numbers: readonly bigint[]): string {
  return `[${numbers.join(",")}]`;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
