/** The ledger on MySQL and MariaDB: I/O around the statements; what is hard is in `statements/read-with-holes.ts` and `hole-proof.ts`. */
import type { Connection, Namespace, TextRow } from "@waybill/sql";
import type { Ledger, LedgerFacts } from "../ledger.ts";
import { ledgerRowReader, textForm } from "../ledger-row.ts";
import { ledgerTables } from "../ledger-tables.ts";
import { beginFencing } from "./fence.ts";
import { holesMax } from "./hole-proof.ts";
import { lookAhead } from "./statements/look-ahead.ts";
import { prepareSession } from "./statements/prepare-session.ts";
import { readFacts } from "./statements/read-facts.ts";
import { readIds } from "./statements/read-ids.ts";
import { readWithHoles } from "./statements/read-with-holes.ts";

/**
 * A packet must hold a message of a megabyte as text with every byte escaped, an append of many, and a read of ten thousand holes. What is larger
 * than a packet the server refuses, or hangs up on, each time again.
 */
const packetBytesMin = 4_194_304;

export function createMysqlLedger(space: Namespace, stream: string): Ledger {
  const tables = ledgerTables(space, stream);
  const aheadText = lookAhead(tables.outbox);
  const factsText = readFacts(tables.outbox, tables.stream);
  const factsValues = [space.schema, tables.outboxName, space.schema, tables.outboxName, stream, stream];
  const rowOf = ledgerRowReader(textForm);
  const prepared = new WeakSet<Connection>();

  const prepare = async (connection: Connection, deadlineMs: number): Promise<void> => {
    if (prepared.has(connection)) return;
    await connection.execute(prepareSession, [], { deadlineMs });
    prepared.add(connection);
  };

  return {
    holesMax,
    read: async (connection, { lastId, holes, rowsMax, areHolesOnly, deadlineMs }) => {
      // Beyond their limit the first holes are read alone. Nothing may be read past one that was left out: order hangs on that.
      const areTooMany = holes.length > holesMax;
      const asked = areTooMany ? holes.slice(0, holesMax) : holes;
      const isBounded = areHolesOnly || areTooMany;
      if (isBounded && asked.length === 0) return { rows: [], areHolesCut: false };
      await prepare(connection, deadlineMs);
      const sql = readWithHoles(tables.outbox, isBounded ? null : lastId, asked, rowsMax);
      const rows = await connection.readRows(sql, [], rowOf, { deadlineMs });
      const last = rows[rows.length - 1];
      // A full batch that ends among the holes may have left some of them unread. That it came out even is not worth knowing.
      return { rows, areHolesCut: areTooMany || (last !== undefined && rows.length >= rowsMax && last.id <= lastId) };
    },
    readIds: async (connection, ids, { deadlineMs }) => {
      if (ids.length === 0) return [];
      await prepare(connection, deadlineMs);
      return connection.readRows(readIds(tables.outbox, ids), [], rowOf, { deadlineMs });
    },
    lookAhead: async (connection, { afterId, topic, rowsMax, deadlineMs }) => {
      await prepare(connection, deadlineMs);
      const [[toId, hasOther] = []] = await connection.queryText(aheadText, [topic, afterId.toString(), rowsMax], { deadlineMs });
      return { toId: toId === null || toId === undefined ? null : BigInt(toId), hasOtherTopics: hasOther === "1" };
    },
    facts: async (connection, { deadlineMs }) => {
      await prepare(connection, deadlineMs);
      return ledgerFacts(stream, await connection.queryText(factsText, factsValues, { deadlineMs }));
    },
    beginHoleProof: (options) => beginFencing(tables, stream, options),
  };
}

function ledgerFacts(stream: string, rows: readonly TextRow[]): LedgerFacts {
  const [
    isReadOnly,
    highestId,
    engine,
    isLoggedAsStatements,
    packetBytes,
    step,
    isGalera,
    flush,
    serverIdentity,
    ledgerIdentity,
    removedTo,
    nowMs,
  ] = rows[0] as TextRow;
  const isInnodb = engine?.toLowerCase() === "innodb";
  const unsafe = [
    ...(isInnodb ? [] : [`the outbox's engine is ${engine ?? "not to be seen"} instead of InnoDB`]),
    ...(isLoggedAsStatements === "1" ? ["binlog_format is STATEMENT, which refuses READ COMMITTED (error 1665); set ROW or MIXED"] : []),
    ...(Number(packetBytes) >= packetBytesMin
      ? []
      : [`max_allowed_packet is ${packetBytes ?? "unknown"}, and at least ${packetBytesMin} is needed`]),
    ...(ledgerIdentity === null ? [`the stream ${stream} has no row that tells its identity`] : []),
  ];
  const warnings = [
    ...(step === "1" ? [] : [`auto_increment_increment is ${step}: every id in between is a hole, and costs a row that closes it`]),
    ...(isGalera === "1" ? ["wsrep_on: rows of other nodes come late, and ids leave gaps between nodes"] : []),
    ...(flush === "1" ? [] : [`innodb_flush_log_at_trx_commit is ${flush}: a crash may take back what was published`]),
  ];
  return {
    isReadOnly: isReadOnly !== "0",
    highestId: BigInt(highestId as string),
    removedTo: BigInt(removedTo ?? 0),
    unsafe: unsafe.length === 0 ? null : unsafe.join("; "),
    warnings,
    serverIdentity: serverIdentity ?? "",
    ledgerIdentity: ledgerIdentity ?? "",
    nowMs: Number(nowMs),
  };
}
