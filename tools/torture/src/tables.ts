/** What the writers' transactions touch beside the ledger, and which topics and keys there are. */
import { type Session } from "@waybill/testing";

/**
 * What a topic's name says about its writers: `ordered`, `slow`, `poison`, `bulk` and `prepared` lock their key's row before they append, `hashed` lets
 * `append` serialise the key, `loose` has keys and no lock, and `free` and `bytes` have no key.
 */
export const keysOf = { ordered: 12, hashed: 8, slow: 6, poison: 4, bulk: 2, prepared: 4, loose: 4 } as const;
export type KeyedTopic = keyof typeof keysOf;
export type Topic = KeyedTopic | "free" | "bytes";

/** Their writers do not exclude each other, so that no order was promised. */
export const unorderedTopics: readonly Topic[] = ["loose"];

const tables = [
  "create table key_version (name varchar(40) primary key, version bigint not null)",
  "create table business (message_id char(36) primary key)",
];

/** The rows are there before anybody writes, so that a lock is a row's and never a gap's. */
export async function createTables(session: Session): Promise<void> {
  for (const sql of tables) await session.run(sql);
  for (const [topic, count] of Object.entries(keysOf)) {
    for (let key = 0; key < count; key += 1) await session.run("insert into key_version values (?, 0)", [`${topic} ${key}`]);
  }
}
