import {
  committedValue,
  type Database,
  migrateUp,
  type Namespace,
  namespace,
  type OwnedTx,
  openDatabase,
  sqlMigrations,
} from "@waybill/sql";
import { type TestServer, testDatabase } from "@waybill/testing";
import { createDeadLetters, type DeadLetters, deadLetterMigrations, type NewDeadLetter, type Reader } from "../src/index.ts";

/** A database with the table of dead letters in it, and what the tests do with it. */
export interface DeadLetterTable {
  readonly database: Database;
  readonly space: Namespace;
  readonly deadLetters: DeadLetters;
  unit<T>(work: (tx: OwnedTx) => Promise<T>): Promise<T>;
  insert(reader: Reader, letters: readonly NewDeadLetter[]): Promise<void>;
  /** `sequence state` of every row of a reader, by sequence. */
  states(reader: Reader): Promise<readonly string[]>;
  close(): Promise<void>;
}

export async function deadLetterTable(server: TestServer): Promise<DeadLetterTable> {
  const place = await testDatabase({ server: server.name });
  const database = openDatabase({ url: place.url, connections: 4 });
  const space = namespace("postgres", { schema: "app", prefix: "w_" });
  await migrateUp(database, space, [sqlMigrations, deadLetterMigrations]);
  const deadLetters = createDeadLetters(space);
  const unit = async <T>(work: (tx: OwnedTx) => Promise<T>): Promise<T> =>
    committedValue("test", await database.unitOfWork(work, { operation: "test" }));
  return {
    database,
    space,
    deadLetters,
    unit,
    insert: (reader, letters) => unit((tx) => deadLetters.insert(tx, reader, letters)),
    async states({ origin, name }) {
      const sql = `select sequence, state from ${deadLetters.table} where origin = $1 and reader = $2 order by sequence, message_id`;
      return (await database.query(sql, [origin, name])).map(({ sequence, state }) => `${String(sequence)} ${String(state)}`);
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
