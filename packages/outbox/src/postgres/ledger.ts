/** The ledger on PostgreSQL: I/O around the statements; what is hard is in `statements/read-with-holes.ts` and `hole-proof.ts`. */
import { createHash } from "node:crypto";
import type { Connection, Namespace, Row, TextRow } from "@waybill/sql";
import type { HoleProof, IdRange, Ledger, LedgerFacts, LedgerRow } from "../ledger.ts";
import { ledgerRowReader, type RowForm } from "../ledger-row.ts";
import { ledgerTables } from "../ledger-tables.ts";
import { applyLook, nothingProved, provedRanges, sealHoles } from "./hole-proof.ts";
import { parseLook } from "./look.ts";
import { binaryForm, hexForm } from "./row-forms.ts";
import { lookAhead } from "./statements/look-ahead.ts";
import { lookForWriters } from "./statements/look-for-writers.ts";
import { prepareSession } from "./statements/prepare-session.ts";
import { readFacts } from "./statements/read-facts.ts";
import { readIds } from "./statements/read-ids.ts";
import { readWithHoles } from "./statements/read-with-holes.ts";
import { readWithoutHoles } from "./statements/read-without-holes.ts";
import type { ColumnForm } from "./statements/row-columns.ts";

/** A statement with the name under which connections prepare it: made from its text, so that two ledgers never share one. */
interface NamedStatement {
  readonly sql: string;
  readonly name: string;
}

function named(verb: string, sql: string): NamedStatement {
  return { sql, name: `waybill_${verb}_${createHash("sha256").update(sql).digest("hex").slice(0, 16)}` };
}

/** No row lies beyond the largest bigint: asked for what does, a read ends with the holes. */
const idMax = (2n ** 63n - 1n).toString();

export function createPostgresLedger(space: Namespace, stream: string): Ledger {
  const tables = ledgerTables(space, stream);
  const readsOf = (form: ColumnForm, rowForm: RowForm) => ({
    withoutHoles: named("read", readWithoutHoles(tables.outbox, form)),
    withHoles: named("read_holes", readWithHoles(tables.outbox, form)),
    byId: named("read_ids", readIds(tables.outbox, form)),
    rowOf: ledgerRowReader(rowForm),
  });
  const reads = { text: readsOf("text", hexForm), binary: readsOf("binary", binaryForm) };
  const ahead = lookAhead(tables.outbox);
  const writers = named("look", lookForWriters(tables.outbox, tables.sequence));
  const facts = readFacts(tables.sequence, tables.stream);
  const prepared = new WeakSet<Connection>();

  /** Answers the statement's rows on a connection whose session is set up for it. */
  const readRows = async (
    connection: Connection,
    which: "withoutHoles" | "withHoles" | "byId",
    values: readonly (string | readonly string[])[],
    deadlineMs: number,
  ): Promise<readonly LedgerRow[]> => {
    if (!connection.isPooled && !prepared.has(connection)) {
      await connection.queryText(prepareSession, [], { deadlineMs });
      prepared.add(connection);
    }
    const { hasBinaryRows: isBinary } = connection;
    const { [which]: statement, rowOf } = reads[isBinary ? "binary" : "text"];
    return connection.readRows(statement.sql, values, rowOf, { deadlineMs, name: statement.name, isBinary });
  };

  return {
    holesMax: Number.POSITIVE_INFINITY,
    read: async (connection, { lastId, holes, rowsMax, areHolesOnly, deadlineMs }) => {
      if (holes.length === 0 && areHolesOnly) return { rows: [], areHolesCut: false };
      const limits = [areHolesOnly ? idMax : lastId.toString(), rowsMax.toString()];
      const ends = (): readonly (readonly string[])[] => [holes.map(({ low }) => low.toString()), holes.map(({ high }) => high.toString())];
      const rows =
        holes.length === 0
          ? await readRows(connection, "withoutHoles", limits, deadlineMs)
          : await readRows(connection, "withHoles", [...limits, ...ends()], deadlineMs);
      const last = rows[rows.length - 1];
      // A full batch that ends among the holes may have left some of them unread. That it came out even is not worth knowing.
      return { rows, areHolesCut: last !== undefined && rows.length >= rowsMax && last.id <= lastId };
    },
    readIds: async (connection, ids, { deadlineMs }) =>
      ids.length === 0 ? [] : readRows(connection, "byId", [ids.map(String)], deadlineMs),
    lookAhead: async (connection, { afterId, topic, rowsMax, deadlineMs }) => {
      const [[toId, hasOther] = []] = await connection.queryText(ahead, [afterId.toString(), topic, rowsMax.toString()], { deadlineMs });
      return { toId: toId === null || toId === undefined ? null : BigInt(toId), hasOtherTopics: hasOther === "true" };
    },
    facts: async (connection, { deadlineMs }) => ledgerFacts(stream, await connection.queryText(facts, [stream], { deadlineMs })),
    beginHoleProof: () => beginHoleProof((connection, deadlineMs) => connection.query(writers.sql, [], { deadlineMs, name: writers.name })),
  };
}

function ledgerFacts(stream: string, rows: readonly TextRow[]): LedgerFacts {
  const [isReadOnly, highestId, step, cache, encoding, serverIdentity, ledgerIdentity, removedTo, nowMs, fsync, synchronousCommit] =
    rows[0] as string[] as [string, string, string, string, string, string, string | null, string | null, string, string, string];
  const unsafe = [
    ...(step === "1" ? [] : [`ids step by ${step} instead of 1`]),
    ...(cache === "1" ? [] : [`ids are cached by ${cache}, so that a later one may be smaller`]),
    ...(encoding === "UTF8" ? [] : [`the database is encoded in ${encoding} instead of UTF8`]),
    ...(ledgerIdentity === null ? [`the stream ${stream} has no row that tells its identity`] : []),
  ];
  const warnings = [
    ...(fsync === "on" ? [] : ["fsync is off: a crash of the machine may destroy the database"]),
    ...(synchronousCommit === "off" ? ["synchronous_commit is off: a crash may take back what was published"] : []),
  ];
  return {
    isReadOnly: isReadOnly === "t",
    highestId: BigInt(highestId),
    removedTo: BigInt(removedTo ?? 0),
    unsafe: unsafe.length === 0 ? null : unsafe.join("; "),
    warnings,
    serverIdentity,
    ledgerIdentity: ledgerIdentity ?? "",
    nowMs: Number(nowMs),
  };
}

function beginHoleProof(look: (connection: Connection, deadlineMs: number) => Promise<readonly Row[]>): HoleProof {
  let state = nothingProved;
  return {
    look: async (connection, holes: readonly IdRange[], { deadlineMs }) => {
      // Sealing comes before sending: what the statement sees is then what was true after the ids had been handed out.
      const sealed = sealHoles(state, holes);
      state = applyLook(sealed, parseLook(await look(connection, deadlineMs)));
      return provedRanges(state);
    },
  };
}
