/** Backlogs for the memory bench, written by set-based inserts. */
import { keepPartitions } from "@waybill/outbox";
import { type Dialect, namespace, openDatabase } from "@waybill/sql";

export interface Backlog {
  readonly rows: number;
  /** Distinct keys, one after the other. */
  readonly keys: number;
  readonly payloadBytes: number;
  /** Every other payload is stored as bytes. */
  readonly isBinary: boolean;
}

/** What one statement writes at most. MySQL and MariaDB recurse a thousand times unless told otherwise. */
const rowsAtOnce: Readonly<Record<Dialect, number>> = { postgres: 500_000, mysql: 1_000 };
const bytesAtOnce: Readonly<Record<Dialect, number>> = { postgres: 250_000_000, mysql: 16_000_000 };

export async function fillBacklog(dialect: Dialect, url: string, backlog: Backlog): Promise<void> {
  const database = openDatabase({ url });
  const atOnce = Math.max(1, Math.floor(Math.min(rowsAtOnce[dialect], bytesAtOnce[dialect] / backlog.payloadBytes)));
  try {
    for (let from = 1; from <= backlog.rows; from += atOnce) {
      // As a relay that runs while they are written would: else everything after the first partitions goes to the default one.
      if (dialect === "postgres") await keepPartitions(database, { space: namespace(dialect) });
      await database.execute(statementOf[dialect](from, Math.min(from + atOnce - 1, backlog.rows), backlog), [], { deadlineMs: 600_000 });
    }
    await database.execute(dialect === "postgres" ? "analyze waybill_outbox" : "select 1", [], { deadlineMs: 600_000 });
  } finally {
    await database.close();
  }
}

const headers = '{"ce-source":"/order-service","content-type":"application/json"}';
const type = "shop.order.placed.v1";

const statementOf: Readonly<Record<Dialect, (from: number, to: number, backlog: Backlog) => string>> = {
  postgres(from, to, { keys, payloadBytes, isBinary }) {
    const text = `rpad('{"orderId":"' || i || '","note":"', ${payloadBytes - 2}, 'x') || '"}'`;
    const isBytes = isBinary ? "i % 2 = 0" : "false";
    return `insert into waybill_outbox (message_id, type, topic, key, headers, payload, payload_bytes)
      select gen_random_uuid(), '${type}', 'orders', 'order-' || (i % ${keys}), '${headers}',
             case when not (${isBytes}) then ${text} end, case when ${isBytes} then convert_to(${text}, 'UTF8') end
      from generate_series(${from}, ${to}) as i`;
  },
  mysql(from, to, { keys, payloadBytes, isBinary }) {
    const text = `concat(rpad(concat('{"orderId":"', i, '","note":"'), ${payloadBytes - 2}, 'x'), '"}')`;
    const isBytes = isBinary ? "i % 2 = 0" : "false";
    return `insert into waybill_outbox (message_id, type, topic, \`key\`, headers, payload, payload_bytes)
      with recursive n as (select ${from} as i union all select i + 1 from n where i < ${to})
      select uuid(), '${type}', 'orders', concat('order-', i % ${keys}), '${headers}',
             case when not (${isBytes}) then ${text} end, case when ${isBytes} then ${text} end
      from n`;
  },
};
