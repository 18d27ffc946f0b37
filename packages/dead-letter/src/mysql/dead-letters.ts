/**
 * Dead letters on MySQL and MariaDB.
 *
 * No UPDATE here answers rows, and one that goes through an index waits for every row it passes, also for those that it is not about. So
 * rows are changed in three steps, in the caller's unit:
 *
 *     read positions, nothing locked ──▶ lock those rows, and see which are still in the old state ──▶ change exactly these
 *
 * A row that was changed between the first two steps is missing in the second; whatever came of it decides how far we go.
 * Every statement has a snapshot of its own (READ COMMITTED), and each locks rows by a unique place, so none leaves gaps locked.
 */
import { type Namespace, type OwnedTx, type Row, type SqlValue, tableOf } from "@waybill/sql";
import type {
  DeadLetterState,
  DeadLetters,
  FinishedMessage,
  Lane,
  NewDeadLetter,
  OpenLane,
  Reader,
  ReleasedLane,
} from "../dead-letters.ts";
import { insertChunks } from "../insert-chunks.ts";
import { laneDigest } from "../lane-digest.ts";
import { takeBytesMax, textOrNull, toReleasedLetter } from "../released-letter.ts";
import { asBytes } from "./as-bytes.ts";
import { changeState } from "./statements/change-state.ts";
import { claimDeadLetter } from "./statements/claim.ts";
import { countOpen } from "./statements/count-open.ts";
import { findBehind } from "./statements/find-behind.ts";
import { findDecided } from "./statements/find-decided.ts";
import { findReleased } from "./statements/find-released.ts";
import { findReleasedAlone } from "./statements/find-released-alone.ts";
import { finishDeadLetter } from "./statements/finish.ts";
import { hasAny } from "./statements/has-any.ts";
import { insertDeadLetters } from "./statements/insert.ts";
import { lockDead } from "./statements/lock-dead.ts";
import { lockInState } from "./statements/lock-in-state.ts";
import { lookUpDeadLetters } from "./statements/look-up.ts";
import { readReleased } from "./statements/read-released.ts";
import { readSummary } from "./statements/read-summary.ts";
import { refuseDeadLetter } from "./statements/refuse.ts";
import { releaseTypes } from "./statements/release-types.ts";
import { removeDecided } from "./statements/remove-decided.ts";
import { removeFrom } from "./statements/remove-from.ts";
import { takeReleased } from "./statements/take-released.ts";
import { takeReleasedAnyhow } from "./statements/take-released-anyhow.ts";
import { undecidedTopics } from "./statements/undecided-topics.ts";

/** The most rows that one insert carries. */
const insertRowsMax = 200;
/** How many rows go back to held in one step. */
const heldAgainMax = 1_000;

/** The digest before which no lane comes. */
const beforeAllLanes = new Uint8Array(0);

export function mysqlDeadLetters(space: Namespace): DeadLetters {
  const table = tableOf(space, "dead_letter");
  const sql = {
    change: changeState(table),
    claim: claimDeadLetter(table),
    count: countOpen(table),
    findBehind: findBehind(table),
    findDecided: findDecided(table),
    findReleased: findReleased(table),
    findReleasedAlone: findReleasedAlone(table),
    finish: finishDeadLetter(table),
    lockDead: lockDead(table),
    lockInState: lockInState(table),
    lookUp: lookUpDeadLetters(table),
    readReleased: readReleased(table),
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

  const change = (tx: OwnedTx, positions: readonly string[], from: DeadLetterState, to: DeadLetterState): Promise<number> =>
    tx.execute(sql.change, [listOf(positions), to, to, from, from]);

  return {
    table,

    async insert(tx, reader, letters) {
      for (const chunk of insertChunks(letters, insertRowsMax)) {
        await tx.execute(
          insertDeadLetters(table, chunk.length),
          chunk.flatMap((letter) => valuesOf(reader, letter)),
        );
      }
    },

    async summary(statements, reader) {
      const of = readerOf(reader);
      const [row] = await statements.query(sql.summary, [...of, ...of, ...of, ...of]);
      const highest = textOrNull(row?.highest_sequence);
      return { hasOpenRows: Number(row?.has_open) === 1, highestSequence: highest === null ? null : BigInt(highest) };
    },

    async lookUp(statements, reader, sequences, lanes) {
      if (sequences.length === 0 && lanes.length === 0) return { finished: [], openLanes: [] };
      const of = readerOf(reader);
      const digests = JSON.stringify(lanes.map((lane) => Buffer.from(laneDigest(lane)).toString("hex")));
      const values = [listOf(sequences.map(String)), ...of, ...of, digests, ...of];
      const finished: FinishedMessage[] = [];
      const openLanes: OpenLane[] = [];
      for (const row of await statements.query(sql.lookUp, values)) {
        const sequence = textOrNull(row.sequence);
        if (sequence !== null) finished.push({ sequence: BigInt(sequence), messageId: String(row.message_id) });
        else openLanes.push({ ...(lanes[Number(row.place) - 1] as Lane), hasHeld: Number(row.has_held) === 1 });
      }
      return { finished, openLanes };
    },

    async undecidedTopics(statements, reader) {
      const rows = await statements.query(sql.undecidedTopics, [...readerOf(reader), ...readerOf(reader)]);
      return rows.map(({ topic }) => String(topic));
    },

    async findReleased(statements, reader, lanesMax, after = null) {
      const of = readerOf(reader);
      const found: Row[] = [];
      if (after === null || after.key !== null) {
        const digest = after === null ? beforeAllLanes : laneDigest(after as Lane);
        found.push(...(await statements.query(sql.findReleased, [...of, digest, ...of, lanesMax])));
      }
      if (found.length < lanesMax) {
        const alone = after === null || after.key !== null ? null : after;
        const sequence = alone === null ? null : String(alone.sequence);
        const goOnAfter = [sequence, sequence, sequence, ...of, sequence, asBytes(alone?.messageId ?? "")];
        found.push(...(await statements.query(sql.findReleasedAlone, [...of, ...goOnAfter, lanesMax - found.length])));
      }
      return found.map(
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
      const found = await tx.query(sql.releaseTypes, [...readerOf(reader), reason, JSON.stringify(types), rowsMax]);
      if (found.length === 0) return [];
      const locked = await tx.query(sql.lockDead, [listOf(positionsOf(found))]);
      await change(tx, positionsOf(locked), "dead", "released");
      return locked.map((row) => String(row.message_id));
    },

    async takeReleased(tx, reader, lane, rowsMax) {
      const digest = lane.key === null ? null : laneDigest(lane as Lane);
      const values = [...readerOf(reader), digest, rowsMax, ...placeOf(reader, lane)];
      let taken = upToDead(await tx.query(sql.takeReleased, values));

      const held = positionsOf(taken.filter(({ state }) => state === "held"));
      if (held.length > 0) {
        const locked = new Set(positionsOf(await tx.query(sql.lockInState, [listOf(held), "held", "held"])));
        // Whatever came of a held row that is none any more stands before the rest; the next call tells.
        taken = upTo(taken, ({ state, position }) => state === "held" && !locked.has(String(position)));
        await change(tx, positionsOf(taken.filter(({ state }) => state === "held")), "held", "released");
      }
      if (taken.length === 0) return [];

      const rows = new Map((await tx.query(sql.readReleased, [listOf(positionsOf(taken))])).map((row) => [String(row.position), row]));
      return upTo(positionsOf(taken), (position) => !rows.has(position)).map((position) =>
        toReleasedLetter(reader, rows.get(position) as Row),
      );
    },

    async takeReleasedAnyhow(tx, reader, rowsMax) {
      const taken = upToDead(await tx.query(sql.takeReleasedAnyhow, [...readerOf(reader), rowsMax]));
      if (taken.length === 0) return [];
      return (await tx.query(sql.readReleased, [listOf(positionsOf(taken))])).map((row) => toReleasedLetter(reader, row));
    },

    async finish(tx, reader, letter) {
      return (await tx.execute(sql.finish, placeOf(reader, letter))) === 1;
    },

    async refuse(tx, reader, letter, refusal) {
      const { reason, attempts, mayBeStored } = refusal;
      const place = placeOf(reader, letter);
      if ((await tx.execute(sql.refuse, [reason, attempts, mayBeStored ? 1 : 0, ...place])) === 0) return false;
      for (;;) {
        const behind = positionsOf(await tx.query(sql.findBehind, [...place, heldAgainMax]));
        if (behind.length > 0) await change(tx, behind, "released", "held");
        if (behind.length < heldAgainMax) return true;
      }
    },

    async counts(statements, reader, countMax) {
      const one = [...readerOf(reader), countMax];
      const [row] = await statements.query(sql.count, [...one, ...one, ...one]);
      return { dead: Number(row?.dead), held: Number(row?.held), released: Number(row?.released) };
    },

    async removeFrom(tx, reader, sequence, [first, second = first]) {
      await tx.execute(sql.removeFrom, [reader.origin, reader.name, String(sequence), first, second]);
    },

    async hasAny(tx, reader) {
      return (await tx.query(sql.hasAny, [reader.origin, reader.name])).length > 0;
    },

    async removeDecided(statements, reader, olderThanMs, rowsMax) {
      const old = positionsOf(await statements.query(sql.findDecided, [...readerOf(reader), olderThanMs, rowsMax]));
      return old.length === 0 ? 0 : statements.execute(sql.removeDecided, [listOf(old)]);
    },
  };
}

/** The rows before the first one at which `isEnd`. */
function upTo<T>(rows: readonly T[], isEnd: (row: T) => boolean): readonly T[] {
  const end = rows.findIndex(isEnd);
  return end === -1 ? rows : rows.slice(0, end);
}

/** The rows before the first dead one, and no more than `takeBytesMax` of payload beyond the first. */
function upToDead(open: readonly Row[]): readonly Row[] {
  let bytes = 0;
  let place = 0;
  return upTo(open, (row) => {
    bytes += Number(row.bytes);
    place += 1;
    return row.state === "dead" || (place > 1 && bytes > takeBytesMax);
  });
}

function positionsOf(rows: readonly Row[]): readonly string[] {
  return rows.map((row) => String(row.position));
}

/** A JSON array of 64-bit numbers, which JSON.stringify cannot write. */
function listOf(numbers: readonly string[]): string {
  return `[${numbers.join(",")}]`;
}

/** The beginning of every index, as parameters. */
function readerOf({ origin, name }: Reader): SqlValue[] {
  return [origin, asBytes(name)];
}

/** The primary key of a letter, as parameters. */
function placeOf({ origin, name }: Reader, { sequence, messageId }: { readonly sequence: bigint; readonly messageId: string }): SqlValue[] {
  return [origin, asBytes(name), String(sequence), asBytes(messageId)];
}

/** One row of `statements/insert.ts`. */
function valuesOf(reader: Reader, letter: NewDeadLetter): SqlValue[] {
  const { createdAtMs, reason } = letter;
  return [
    ...placeOf(reader, letter),
    letter.type,
    letter.topic,
    letter.key,
    letter.headers,
    typeof letter.payload === "string" ? letter.payload : null,
    letter.payload instanceof Uint8Array ? letter.payload : null,
    createdAtMs === null ? null : String(Math.round(createdAtMs * 1_000)),
    reason === null ? "held" : "dead",
    reason,
    letter.fingerprint ?? null,
    letter.attempts,
    letter.mayBeStored ? 1 : 0,
  ];
}
