/** Many half messages at once, as the service would have stored them one by one. */
import type { Database } from "@waybill/sql";

export interface Filling {
  /** `producer-0` and so on. */
  readonly producers: number;
  /** Of each producer, at most 10 000. */
  readonly each: number;
  readonly state: "due" | "later" | "decided";
  /** With a message of 500 bytes each. */
  readonly hasBodies: boolean;
}

const digits = `(${Array.from({ length: 10 }, (_, digit) => `select ${digit} as d`).join(" union all ")})`;
const numbers = `(select a.d + 10 * b.d + 100 * c.d + 1000 * e.d as n from ${digits} a, ${digits} b, ${digits} c, ${digits} e)`;

const words = {
  postgres: {
    now: "now()",
    hour: "interval '1 hour'",
    fingerprint: "decode(repeat('00', 32), 'hex')",
    payload: "convert_to(repeat('x', 500), 'UTF8')",
    key: "key",
  },
  mysql: {
    now: "utc_timestamp(6)",
    hour: "interval 1 hour",
    fingerprint: "unhex(repeat('00', 32))",
    payload: "repeat('x', 500)",
    key: "`key`",
  },
} as const;

const statementMs = 600_000;

export async function fill(database: Database, { producers, each, state, hasBodies }: Filling): Promise<void> {
  const { now, hour, fingerprint, payload, key } = words[database.dialect];
  const later = `${now} + ${hour}`;
  const columns =
    state === "decided"
      ? `'committed', null, null, ${now}, 'producer:payments-1', ${later}`
      : `'prepared', ${later}, ${state === "due" ? now : later}, null, null, null`;
  const place = database.dialect === "postgres" ? (n: number) => `$${n}` : () => "?";
  // Decided and undecided ones of a producer lie side by side.
  const id = `concat('${state}-', n)`;
  for (let producer = 0; producer < producers; producer += 1) {
    const values = [`producer-${producer}`, each];
    await database.execute(
      `insert into waybill_half_message (producer, id, fingerprint, message_count, prepare_token, prepared_by, state, suspend_at, check_at, decided_at, decided_by, purge_at)
       select ${place(1)}, ${id}, ${fingerprint}, 1, 1, 'payments-1', ${columns} from ${numbers} numbers where n < ${place(2)}`,
      values,
      { deadlineMs: statementMs },
    );
    if (!hasBodies) continue;
    await database.execute(
      `insert into waybill_half_message_body (producer, id, ordinal, message_id, type, topic, ${key}, headers, payload, destinations)
       select ${place(1)}, ${id}, 0, ${id}, 'bench.v1', 'payments', ${id}, '{}', ${payload}, '["broker"]' from ${numbers} numbers where n < ${place(2)}`,
      values,
      { deadlineMs: statementMs },
    );
  } // As the server does by itself, a while after so many rows.
  const tables = ["waybill_half_message", ...(hasBodies ? ["waybill_half_message_body"] : [])];
  for (const table of tables)
    await database.query(`analyze ${database.dialect === "postgres" ? "" : "table "}${table}`, [], { deadlineMs: statementMs });
}
