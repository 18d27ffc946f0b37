import { type Namespace, tableOf } from "@waybill/sql";
import type { DeadLetters, FinishedMessage, NewDeadLetter, OpenLane, Reader, ReleasedLane } from "../dead-letters.ts";
import { insertChunks } from "../insert-chunks.ts";
import { takeBytesMax, textOrNull, toReleasedLetter } from "../released-letter.ts";
import { claimDeadLetter } from "./statements/claim.ts";
import { countOpen } from "./statements/count-open.ts";
import { findReleased } from "./statements/find-released.ts";
import { finishDeadLetter } from "./statements/finish.ts";
import { hasAny } from "./statements/has-any.ts";
import { insertDeadLetters } from "./statements/insert.ts";
import { lookUpDeadLetters } from "./statements/look-up.ts";
import { readSummary } from "./statements/read-summary.ts";
import { refuseDeadLetter } from "./statements/refuse.ts";
import { releaseTypes } from "./statements/release-types.ts";
import { removeDecided } from "./statements/remove-decided.ts";
import { removeFrom } from "./statements/remove-from.ts";
import { takeReleased } from "./statements/take-released.ts";
import { takeReleasedAnyhow } from "./statements/take-released-anyhow.ts";
import { undecidedTopics } from "./statements/undecided-topics.ts";

/** The most rows that one insert carries. */
const insertRowsMax = 500;

/** Below it no row has its place: an inbox uses negative sequences, too. */
const sequenceMin = String(-(2n ** 63n));

/** Dead letters on PostgreSQL. */
export function postgresDeadLetters(space: Namespace): DeadLetters {
  const table = tableOf(space, "dead_letter");
  const sql = {
    claim: claimDeadLetter(table),
    count: countOpen(table),
    findReleased: findReleased(table),
    finish: finishDeadLetter(table),
    insert: insertDeadLetters(table),
    lookUp: lookUpDeadLetters(table),
    refuse: refuseDeadLetter(table),
    releaseTypes: releaseTypes(table),
    hasAny: hasAny(table),
    removeDecided: removeDecided(table),
    removeFrom: removeFrom(table),
    summary: readSummary(table),
    takeReleased: takeReleased(table),
    takeReleasedAnyhow: takeReleasedAnyhow(table),
    undecidedTopics: undecidedTopics(table),
  };
  return {
    table,

    async insert(tx, reader, letters) {
      for (const chunk of insertChunks(letters, insertRowsMax)) {
        await tx.query(sql.insert, [reader.origin, reader.name, JSON.stringify(chunk.map(toJsonRow))]);
      }
    },

    async summary(statements, reader) {
      const [row] = await statements.query(sql.summary, [reader.origin, reader.name]);
      const highest = textOrNull(row?.highest_sequence);
      return { hasOpenRows: row?.has_open === true, highestSequence: highest === null ? null : BigInt(highest) };
    },

    async lookUp(statements, reader, sequences, lanes) {
      if (sequences.length === 0 && lanes.length === 0) return { finished: [], openLanes: [] };
      const rows = await statements.query(sql.lookUp, [
        reader.origin,
        reader.name,
        sequences.map(String),
        lanes.map(({ topic }) => topic),
        lanes.map(({ key }) => key),
      ]);
      const finished: FinishedMessage[] = [];
      const openLanes: OpenLane[] = [];
      for (const row of rows) {
        const sequence = textOrNull(row.sequence);
        if (sequence !== null) finished.push({ sequence: BigInt(sequence), messageId: String(row.message_id) });
        else openLanes.push({ topic: String(row.topic), key: String(row.key), hasHeld: row.has_held === true });
      }
      return { finished, openLanes };
    },

    async undecidedTopics(statements, reader) {
      const rows = await statements.query(sql.undecidedTopics, [reader.origin, reader.name]);
      return rows.map(({ topic }) => String(topic));
    },

    async findReleased(statements, reader, lanesMax, after = null) {
      const rows = await statements.query(sql.findReleased, [reader.origin, reader.name, lanesMax, ...goOnAfter(after)]);
      return rows.map(
        (row): ReleasedLane => ({
          topic: String(row.topic),
          key: textOrNull(row.key),
          sequence: BigInt(String(row.sequence)),
          messageId: String(row.message_id),
        }),
      );
    },

    async claim(tx, reader, letter) {
      const rows = await tx.query(sql.claim, placeOf(reader, letter));
      return rows.length === 1;
    },

    async releaseTypes(tx, reader, reason, types, rowsMax) {
      const rows = await tx.query(sql.releaseTypes, [reader.origin, reader.name, reason, types, rowsMax]);
      return rows.map((row) => String(row.message_id));
    },

    async takeReleased(tx, reader, lane, rowsMax) {
      const { topic, key, sequence, messageId } = lane;
      const values = [reader.origin, reader.name, topic, key, String(sequence), rowsMax, takeBytesMax, messageId];
      const rows = await tx.query(sql.takeReleased, values);
      return rows.map((row) => toReleasedLetter(reader, row));
    },

    async takeReleasedAnyhow(tx, reader, rowsMax) {
      const rows = await tx.query(sql.takeReleasedAnyhow, [reader.origin, reader.name, rowsMax, takeBytesMax]);
      return rows.map((row) => toReleasedLetter(reader, row));
    },

    async finish(tx, reader, letter) {
      const rows = await tx.query(sql.finish, placeOf(reader, letter));
      return rows.length === 1;
    },

    async refuse(tx, reader, letter, refusal) {
      const values = [...placeOf(reader, letter), refusal.reason, refusal.attempts, refusal.mayBeStored ? 1 : 0];
      const rows = await tx.query(sql.refuse, values);
      return rows.length === 1;
    },

    async counts(statements, reader, countMax) {
      const [row] = await statements.query(sql.count, [reader.origin, reader.name, countMax]);
      return { dead: Number(row?.dead), held: Number(row?.held), released: Number(row?.released) };
    },

    async removeFrom(tx, reader, sequence, [first, second = first]) {
      await tx.execute(sql.removeFrom, [reader.origin, reader.name, String(sequence), first, second]);
    },

    async hasAny(tx, reader) {
      return (await tx.query(sql.hasAny, [reader.origin, reader.name])).length > 0;
    },

    async removeDecided(statements, reader, olderThanMs, rowsMax) {
      const rows = await statements.query(sql.removeDecided, [reader.origin, reader.name, olderThanMs, rowsMax]);
      return rows.length;
    },
  };
}

/** The primary key of a letter, as parameters $1 to $4. */
function placeOf(reader: Reader, letter: { readonly sequence: bigint; readonly messageId: string }): [string, string, string, string] {
  return [reader.origin, reader.name, String(letter.sequence), letter.messageId];
}

/** Where a page begins, as parameters $4 to $8 of `statements/find-released.ts`. */
function goOnAfter(after: ReleasedLane | null): readonly (string | boolean | null)[] {
  if (after === null) return ["", "", sequenceMin, null, true];
  if (after.key !== null) return [after.topic, after.key, sequenceMin, null, false];
  return [null, null, String(after.sequence), after.messageId, false];
}

/** The names are those of the column list in `statements/insert.ts`. */
function toJsonRow(letter: NewDeadLetter): Readonly<Record<string, string | number | boolean | null>> {
  return {
    sequence: String(letter.sequence),
    message_id: letter.messageId,
    type: letter.type,
    topic: letter.topic,
    key: letter.key,
    headers: letter.headers,
    payload: typeof letter.payload === "string" ? letter.payload : null,
    payload_hex: letter.payload instanceof Uint8Array ? Buffer.from(letter.payload).toString("hex") : null,
    created_at_ms: letter.createdAtMs,
    reason: letter.reason,
    fingerprint: letter.fingerprint ?? null,
    attempts: letter.attempts,
    may_be_stored: letter.mayBeStored,
  };
}
