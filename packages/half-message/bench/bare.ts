/** What a service does for a pair of calls, written by hand with the driver alone: the same rows, a statement each, in two transactions. */
import { randomBytes } from "node:crypto";
import type { Dialect } from "@waybill/sql";
import mysql from "mysql2/promise";
import pg from "pg";

export interface Bare {
  /** Stores a half message with one message, and decides it, with its delivery, lane and entry in the log. */
  pair(id: string, payload: string): Promise<void>;
  end(): Promise<void>;
}

type Say = (sql: string, values: readonly (string | number | Buffer)[]) => Promise<unknown>;
interface Words {
  readonly now: string;
  readonly inAnHour: string;
  readonly key: string;
  readonly lane: string;
}

const words: Readonly<Record<Dialect, Words>> = {
  postgres: {
    now: "now()",
    inAnHour: "now() + interval '1 hour'",
    key: "key",
    lane: "on conflict (destination, lane) do update set due_at = excluded.due_at",
  },
  mysql: {
    now: "utc_timestamp(6)",
    inAnHour: "utc_timestamp(6) + interval 1 hour",
    key: "`key`",
    lane: "on duplicate key update due_at = values(due_at)",
  },
};

/** On as many connections as the service has for its transactions. */
export function openBare(dialect: Dialect, url: string, connections: number): Bare {
  const { now, inAnHour, key, lane } = words[dialect];
  const statements = {
    prepare: `insert into waybill_half_message (producer, id, state, fingerprint, message_count, prepare_token, prepared_by, suspend_at, check_at)
              values ('payments', $1, 'prepared', $2, 1, 1, 'payments-1', ${inAnHour}, ${inAnHour})`,
    body: `insert into waybill_half_message_body (producer, id, ordinal, message_id, type, topic, ${key}, delay_ms, headers, payload, destinations)
           values ('payments', $1, 0, $2, 'bench.v1', 'payments', $3, 3600000, '{}', $4, '["broker"]')`,
    decide: `update waybill_half_message
             set state = 'committed', version = version + 1, decided_at = ${now}, decided_by = 'producer:payments-1', purge_at = ${inAnHour},
                 suspend_at = null, check_at = null
             where producer = 'payments' and id = $1 and state in ('prepared', 'suspended')`,
    lane: `insert into waybill_delivery_lane (destination, lane, due_at) values ('broker', $1, ${inAnHour}) ${lane}`,
    delivery: `insert into waybill_delivery (code, producer, id, ordinal, message_id, destination, ack_mode, lane, open_lane, not_before, give_up_at)
               values (1, 'payments', $1, 0, $2, 'broker', 'implicit', $3, $4, ${inAnHour}, ${inAnHour})`,
    log: `insert into waybill_decision_log (producer, id, event, from_state, to_state, actor)
          values ('payments', $1, 'committed', 'prepared', 'committed', 'producer:payments-1')`,
  };
  const write = async (say: Say, id: string, payload: string): Promise<void> => {
    await say("begin", []);
    await say(statements.prepare, [id, randomBytes(32)]);
    await say(statements.body, [id, id, id, Buffer.from(payload)]);
    await say("commit", []);
    await say("begin", []);
    await say(statements.decide, [id]);
    await say(statements.lane, [id]);
    await say(statements.delivery, [id, id, id, id]);
    await say(statements.log, [id]);
    await say("commit", []);
  };
  if (dialect === "postgres") {
    const pool = new pg.Pool({ connectionString: url, max: connections });
    pool.on("error", () => undefined); // whose statement is under way gets its rejection
    const names = new Map(Object.entries(statements).map(([name, text]) => [text, name]));
    return {
      async pair(id, payload) {
        const client = await pool.connect();
        const say: Say = (text, values) => {
          const name = names.get(text);
          return client.query(name === undefined ? { text } : { name, text, values: [...values] });
        };
        await write(say, id, payload).finally(() => client.release());
      },
      end: () => pool.end(),
    };
  }
  const pool = mysql.createPool({ uri: url, connectionLimit: connections });
  return {
    async pair(id, payload) {
      const connection = await pool.getConnection();
      const say: Say = (text, values) =>
        values.length === 0 ? connection.query(text) : connection.execute(text.replaceAll(/\$[0-9]+/g, "?"), [...values]);
      await write(say, id, payload).finally(() => connection.release());
    },
    end: () => pool.end(),
  };
}
