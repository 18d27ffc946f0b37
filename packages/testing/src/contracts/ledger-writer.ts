import { createConnection, type ResultSetHeader } from "mysql2/promise";
import { Client } from "pg";

/** A row as an application in any language inserts it: the columns of the public row format. */
export interface NewLedgerRow {
  readonly type?: string;
  readonly topic?: string;
  readonly key?: string | null;
  /** JSON text of an object of strings. */
  readonly headers?: string | null;
  /** Text and bytes go to columns of their own; null is a tombstone. */
  readonly payload?: string | Uint8Array | null;
}

/** An open transaction of an application that appends to a ledger. */
export interface LedgerWriter {
  /** Inserts rows and answers their ids, which nobody else sees before the commit. */
  append(...rows: readonly NewLedgerRow[]): Promise<readonly bigint[]>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

export interface PostgresLedgerWriterOptions {
  readonly url: string;
  /** The ledger's table, quoted where it must be. Default `waybill_outbox`. */
  readonly table?: string;
}

/**
 * Begins a transaction on a connection of its own and inserts by plain SQL. The connection ends with the transaction.
 * The role must be allowed to read ids back, as the table's owner is.
 */
export async function postgresLedgerWriter({ url, table = "waybill_outbox" }: PostgresLedgerWriterOptions): Promise<LedgerWriter> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000, query_timeout: 30_000 });
  client.on("error", () => undefined); // the next statement's rejection tells
  await client.connect();
  await client.query("begin");
  const end = async (statement: string): Promise<void> => {
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  };
  return {
    async append(...rows) {
      const ids: bigint[] = [];
      for (const { type = "contract.sample.v1", topic = "contract", key = null, headers = null, payload = "{}" } of rows) {
        const isText = typeof payload === "string";
        const inserted = await client.query<{ id: string }>(
          `insert into ${table} (type, topic, key, headers, payload, payload_bytes) values ($1, $2, $3, $4, $5, $6) returning id`,
          [type, topic, key, headers, isText ? payload : null, isText || payload === null ? null : Buffer.from(payload)],
        );
        ids.push(BigInt(inserted.rows[0]?.id ?? 0));
      }
      return ids;
    },
    commit: () => end("commit"),
    rollback: () => end("rollback"),
  };
}

export interface MysqlLedgerWriterOptions {
  readonly url: string;
  /** The ledger's table, quoted where it must be. Default `waybill_outbox`. */
  readonly table?: string;
}

/** As `postgresLedgerWriter`, on MySQL or MariaDB, at the isolation that applications have there if they do not ask for another. */
export async function mysqlLedgerWriter({ url, table = "waybill_outbox" }: MysqlLedgerWriterOptions): Promise<LedgerWriter> {
  const connection = await createConnection({ uri: url, connectTimeout: 10_000 });
  connection.on("error", () => undefined); // the next statement's rejection tells
  await connection.beginTransaction();
  const end = async (statement: string): Promise<void> => {
    try {
      await connection.query(statement);
    } finally {
      connection.destroy();
    }
  };
  return {
    async append(...rows) {
      const ids: bigint[] = [];
      for (const { type = "contract.sample.v1", topic = "contract", key = null, headers = null, payload = "{}" } of rows) {
        const isText = typeof payload === "string";
        const [inserted] = await connection.query<ResultSetHeader>(
          `insert into ${table} (type, topic, \`key\`, headers, payload, payload_bytes) values (?, ?, ?, ?, ?, ?)`,
          [type, topic, key, headers, isText ? payload : null, isText || payload === null ? null : Buffer.from(payload)],
        );
        ids.push(BigInt(inserted.insertId));
      }
      return ids;
    },
    commit: () => end("commit"),
    rollback: () => end("rollback"),
  };
}
