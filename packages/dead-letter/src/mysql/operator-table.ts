import { type Namespace, tableOf } from "@waybill/sql";
import { type OperatorTable, toFoundLetter } from "../operator-table.ts";
import { asBytes } from "./as-bytes.ts";
import { changeState } from "./statements/change-state.ts";
import { findMatching } from "./statements/find-matching.ts";
import { listDeadLetters } from "./statements/list.ts";
import { lockInState } from "./statements/lock-in-state.ts";
import { matchesFilterValues } from "./statements/matches-filter.ts";
import { showDeadLetters } from "./statements/show.ts";

/** What operators' commands ask of the table, on MySQL and MariaDB. */
export function mysqlOperatorTable(space: Namespace): OperatorTable {
  const table = tableOf(space, "dead_letter");
  const sql = {
    change: changeState(table),
    findMatching: findMatching(table),
    list: listDeadLetters(table),
    lock: lockInState(table),
    show: showDeadLetters(table),
  };
  return {
    list: (statements, filter, after, rowsMax) => statements.query(sql.list, [...matchesFilterValues(filter, after), rowsMax]),

    show(statements, messageId, { origin = null, reader }, rowsMax) {
      const name = reader === undefined ? null : asBytes(reader);
      return statements.query(sql.show, [asBytes(messageId), origin, origin, name, name, rowsMax]);
    },

    async findMatching(statements, { from }, filter, after, rowsMax) {
      const rows = await statements.query(sql.findMatching, [...from, ...matchesFilterValues(filter, after), rowsMax]);
      return rows.map(toFoundLetter);
    },

    async decide(tx, { to, from }, letters) {
      const positions = JSON.stringify(letters.map(({ position }) => String(position)));
      const locked = new Set((await tx.query(sql.lock, [positions, ...from])).map((row) => String(row.position)));
      const decided = letters.filter(({ position }) => locked.has(String(position)));
      await tx.execute(sql.change, [JSON.stringify([...locked]), to, to, ...from]);
      return decided;
    },
  };
}
