import { type Namespace, tableOf } from "@waybill/sql";
import { filterValues, placeValues } from "../dead-letter-filter.ts";
import { type OperatorTable, toFoundLetter } from "../operator-table.ts";
import { decideDeadLetters } from "./statements/decide.ts";
import { findMatching } from "./statements/find-matching.ts";
import { listDeadLetters } from "./statements/list.ts";
import { showDeadLetters } from "./statements/show.ts";

/** What operators' commands ask of the table, on PostgreSQL. */
export function postgresOperatorTable(space: Namespace): OperatorTable {
  const table = tableOf(space, "dead_letter");
  const sql = {
    decide: decideDeadLetters(table),
    findMatching: findMatching(table),
    list: listDeadLetters(table),
    show: showDeadLetters(table),
  };
  return {
    list: (statements, filter, after, rowsMax) => statements.query(sql.list, [...filterValues(filter), ...placeValues(after), rowsMax]),

    show: (statements, messageId, { origin = null, reader = null }, rowsMax) =>
      statements.query(sql.show, [messageId, origin, reader, rowsMax]),

    async findMatching(statements, { from }, filter, after, rowsMax) {
      const rows = await statements.query(sql.findMatching, [...from, ...filterValues(filter), ...placeValues(after), rowsMax]);
      return rows.map(toFoundLetter);
    },

    async decide(tx, { to, from }, letters) {
      const columns = [
        letters.map(({ origin }) => origin),
        letters.map(({ reader }) => reader),
        letters.map(({ sequence }) => String(sequence)),
        letters.map(({ messageId }) => messageId),
      ];
      return (await tx.query(sql.decide, [to, ...from, ...columns])).map(toFoundLetter);
    },
  };
}
