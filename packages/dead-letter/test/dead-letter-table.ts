import {
  committedValue,
  type Database,
  migrateUp,
  type Namespace,
  namespace,
  type OwnedTx,
  openDatabase,
  type Row,
  sqlMigrations,
} from "@waybill/sql";
import { type TestDatabaseServer, testDatabase, waitUntil } from "@waybill/testing";
import { createDeadLetters, type DeadLetters, deadLetterMigrations, type NewDeadLetter, type Reader } from "../src/index.ts";

/** A database with the table of dead letters in it, and what the tests do with it behind the product's back. */
export interface DeadLetterTable {
  readonly url: string;
  readonly database: Database;
  readonly space: Namespace;
  readonly deadLetters: DeadLetters;
  unit<T>(work: (tx: OwnedTx) => Promise<T>): Promise<T>;
  insert(reader: Reader, letters: readonly NewDeadLetter[]): Promise<void>;
  /** Dead → released, as a redrive does it. */
  release(reader: Reader, ...sequences: readonly number[]): Promise<void>;
  discard(tx: Pick<OwnedTx, "execute">, reader: Reader, sequence: number): Promise<void>;
  /** Sets a row to done, so many hours ago. */
  age(reader: Reader, sequence: number, hours: number): Promise<void>;
  shrinkPayload(reader: Reader, sequence: number): Promise<void>;
  /** Reason, attempts and whether it may be stored, of one row. */
  given(reader: Reader, sequence: number): Promise<Row>;
  /** `sequence state` of every row of a reader, by sequence. */
  states(reader: Reader): Promise<readonly string[]>;
  /** Lines of audit about a reader, in their order. */
  audit(reader: Reader): Promise<readonly Row[]>;
  /** Resolves when a session of this database waits for a lock. */
  someoneWaits(): Promise<void>;
  close(): Promise<void>;
}

/** What is said in each dialect's own words. Values: reader, then sequence. */
const words = {
  postgres: {
    hoursAgo: "clock_timestamp() - $3 * interval '1 hour'",
    waiting: "select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
  },
  mysql: {
    hoursAgo: "utc_timestamp(6) - interval ? hour",
    waiting: `select trx_id as id from information_schema.innodb_trx
              join information_schema.processlist as session on session.id = trx_mysql_thread_id
              where trx_state = 'LOCK WAIT' and session.db = database()`,
  },
} as const;

export async function deadLetterTable(server: TestDatabaseServer): Promise<DeadLetterTable> {
  const { dialect } = server;
  const place = await testDatabase({ server: server.name });
  const database = openDatabase({ url: place.url, connections: 4 });
  // A schema is a database on MySQL: it has to be this file's own one there.
  const space = namespace(dialect, { schema: dialect === "postgres" ? "app" : place.name, prefix: "w_" });
  await migrateUp(database, space, [sqlMigrations, deadLetterMigrations]);
  const deadLetters = createDeadLetters(space);
  const { table } = deadLetters;
  const { hoursAgo, waiting } = words[dialect];
  const [first, second] = dialect === "postgres" ? ["$1", "$2"] : ["?", "?"];
  const unit = async <T>(work: (tx: OwnedTx) => Promise<T>): Promise<T> =>
    committedValue("test", await database.unitOfWork(work, { operation: "test" }));
  return {
    url: place.url,
    database,
    space,
    deadLetters,
    unit,
    insert: (reader, letters) => unit((tx) => deadLetters.insert(tx, reader, letters)),
    async release({ name }, ...sequences) {
      const sql = `update ${table} set state = 'released' where reader = ${first} and sequence in (${sequences.join(", ")}) and state = 'dead'`;
      await database.execute(sql, [name]);
    },
    async discard(tx, { name }, sequence) {
      const sql = `update ${table} set state = 'discarded', decided_at = now() where reader = ${first} and sequence = ${second}`;
      await tx.execute(sql, [name, String(sequence)]);
    },
    async age({ name }, sequence, hours) {
      const set = `update ${table} set state = 'done', decided_at = `;
      const place = `where reader = ${first} and sequence = ${second}`;
      // The numbers in $n say which value is which; question marks go by their order.
      if (dialect === "postgres") await database.execute(`${set} ${hoursAgo} ${place}`, [name, String(sequence), hours]);
      else await database.execute(`${set} ${hoursAgo} ${place}`, [hours, name, String(sequence)]);
    },
    async shrinkPayload({ name }, sequence) {
      const sql = `update ${table} set payload = 'small' where reader = ${first} and sequence = ${second}`;
      await database.execute(sql, [name, String(sequence)]);
    },
    async given({ name }, sequence) {
      const sql = `select reason, attempts, may_be_stored from ${table} where reader = ${first} and sequence = ${second}`;
      const [row] = await database.query(sql, [name, String(sequence)]);
      return { ...row, may_be_stored: Boolean(row?.may_be_stored) };
    },
    async states({ origin, name }) {
      const sql = `select sequence, state from ${table} where origin = ${first} and reader = ${second} order by sequence, message_id`;
      return (await database.query(sql, [origin, name])).map(({ sequence, state }) => `${String(sequence)} ${String(state)}`);
    },
    audit: ({ name }) => {
      const audit = dialect === "postgres" ? "app.w_audit" : "w_audit";
      return database.query(`select who, what, subject, why from ${audit} where subject like ${first} order by id`, [`% ${name} %`]);
    },
    async someoneWaits() {
      // MySQL reads its list anew only for who has not looked for a tenth of a second: who is in two of ours waits now.
      const intervalMs = dialect === "postgres" ? 10 : 150;
      let before: ReadonlySet<string> = new Set();
      const waits = async (): Promise<boolean> => {
        const ids = (await database.query(waiting, [])).map(({ id }) => String(id));
        const isStillThere = ids.some((id) => before.has(id));
        before = new Set(ids);
        return isStillThere;
      };
      await waitUntil(waits, { what: "a session waits for a lock", deadlineMs: 30_000, intervalMs });
    },
    async close() {
      await database.close();
      await place.drop();
    },
  };
}

/** A dead letter, or with `reason: null` a held one. */
export function letter(sequence: number, over: Partial<NewDeadLetter> = {}): NewDeadLetter {
  return {
    sequence: BigInt(sequence),
    messageId: `m${sequence}`,
    type: "shop.order.placed.v1",
    topic: "orders",
    key: "k",
    headers: '{"a":"b"}',
    payload: `{"n":${sequence}}`,
    createdAtMs: 1_700_000_000_000 + sequence,
    reason: "tooLarge",
    attempts: 1,
    mayBeStored: false,
    ...over,
  };
}
