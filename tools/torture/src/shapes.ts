/**
 * The shapes of transactions that writers have in the wild, each a way in which a ledger may be written and a reader be fooled. A shape throws when the
 * database fails it; whoever calls it takes a new connection then. What it had not sent COMMIT for is rolled back by that.
 */

import { randomUUID } from "node:crypto";
import type { Random } from "@waybill/core";
import { type Session, type SessionSql } from "@waybill/testing";
import type { Notebook } from "./notebook.ts";
import { anyKey, commit, type Draft, draft, lockKey, put, rollBack } from "./unit.ts";

export interface Desk {
  readonly session: Session;
  readonly notebook: Notebook;
  readonly random: Random;
  /** Rejects never; ends early when the writer is to stop. */
  pause(ms: number): Promise<void>;
  /** How the run names its prepared transactions; null: the server takes none. */
  readonly preparedPrefix: string | null;
}

export interface Shape {
  readonly name: string;
  /** How often, against the others. */
  readonly weight: number;
  run(desk: Desk): Promise<void>;
}

const between = (random: Random, low: number, high: number): number => low + Math.floor(random.fraction() * (high - low));

/** Under the lock of its key's row. */
async function locked(
  desk: Desk,
  topic: "ordered" | "slow" | "poison" | "bulk" | "prepared",
  count = 1,
  isPoison = false,
): Promise<Draft[]> {
  const { session, random } = desk;
  const key = anyKey(random, topic);
  const order = await lockKey(session, key);
  return Array.from({ length: count }, (_, place) => draft(random, { topic, key, order: order + place, isPoison }));
}

async function plain(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  await session.run("begin");
  const drafts = await locked(desk, "ordered", random.fraction() < 0.2 ? 3 : 1);
  await put(session, notebook, drafts);
  await commit(session, notebook, drafts);
}

async function rolledBack(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  await session.run("begin");
  const drafts = await locked(desk, "ordered", between(random, 1, 30));
  await put(session, notebook, drafts);
  await rollBack(session, notebook, drafts);
}

/** At another isolation level; one that loses is told so by the database, and has written nothing. */
async function isolated(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  const level = random.fraction() < 0.5 ? "serializable" : "repeatable read";
  if (session.dialect === "mysql") await session.run(`set transaction isolation level ${level}`);
  await session.run({ postgres: `begin isolation level ${level}`, mysql: "begin" });
  const drafts = await locked(desk, "ordered");
  await put(session, notebook, drafts);
  await commit(session, notebook, drafts);
}

async function hashed(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  await session.run("begin");
  const drafts = [draft(random, { topic: "hashed", key: anyKey(random, "hashed") })];
  await put(session, notebook, drafts, { serialiseKey: true });
  await commit(session, notebook, drafts);
}

async function loose(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  await session.run("begin");
  const drafts = [draft(random, { topic: "loose", key: anyKey(random, "loose") })];
  await put(session, notebook, drafts);
  await desk.pause(between(random, 0, 300));
  await commit(session, notebook, drafts);
}

async function unkeyed(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  await session.run("begin");
  const topic = random.fraction() < 0.3 ? "bytes" : "free";
  const drafts = Array.from({ length: between(random, 1, 5) }, () => draft(random, { topic, key: null }));
  await put(session, notebook, drafts);
  await commit(session, notebook, drafts);
}

/** The first message is taken back with its savepoint; what comes after it commits. */
async function savepoint(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  await session.run("begin");
  const [first, second, third] = (await locked(desk, "ordered", 3)) as [Draft, Draft, Draft];
  await put(session, notebook, [first]);
  await session.run("savepoint before_second");
  await put(session, notebook, [second]);
  if (random.fraction() < 0.3) await desk.pause(between(random, 0, 100));
  await session.run("rollback to savepoint before_second");
  notebook.conclude([second.meant], "rolledBack");
  await put(session, notebook, [third]);
  await commit(session, notebook, [first, third]);
}

/** Many rows of one key in one statement, held open: a hole that is longer than a batch. */
async function bulk(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  await session.run("begin");
  const drafts = await locked(desk, "bulk", between(random, 300, 1_500));
  await put(session, notebook, drafts);
  await desk.pause(between(random, 0, 1_500));
  if (random.fraction() < 0.3) await rollBack(session, notebook, drafts);
  else await commit(session, notebook, drafts);
}

/** Keys of two topics, locked in one order everywhere. */
async function several(desk: Desk): Promise<void> {
  const { session, notebook } = desk;
  await session.run("begin");
  const drafts = [...(await locked(desk, "ordered", 4)), ...(await locked(desk, "poison", 2))];
  await put(session, notebook, drafts);
  await commit(session, notebook, drafts);
}

async function poison(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  await session.run("begin");
  const drafts = await locked(desk, "poison", 1, random.fraction() < 0.1);
  await put(session, notebook, drafts);
  await commit(session, notebook, drafts);
}

async function slowCommit(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  await session.run("begin");
  const drafts = await locked(desk, "slow");
  await put(session, notebook, drafts);
  await desk.pause(between(random, 100, 1_500));
  await commit(session, notebook, drafts);
}

/** Open for so long that anything that goes by age has given it up. */
async function long(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  await session.run("begin");
  const drafts = await locked(desk, "slow", between(random, 1, 20));
  await put(session, notebook, drafts);
  await desk.pause(between(random, 3_000, 15_000));
  if (random.fraction() < 0.4) await rollBack(session, notebook, drafts);
  else await commit(session, notebook, drafts);
}

/** The connection dies with the transaction open: nobody says rollback. */
async function killedClient(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  await session.run("begin");
  const drafts = await locked(desk, "ordered", between(random, 1, 4));
  await put(session, notebook, drafts);
  session.cut();
  notebook.conclude(
    drafts.map(({ meant }) => meant),
    "rolledBack",
  );
}

/** COMMIT is sent and its answer never read. */
async function unheardCommit(desk: Desk): Promise<void> {
  const { session, notebook } = desk;
  await session.run("begin");
  const drafts = await locked(desk, "ordered");
  await put(session, notebook, drafts);
  session.runUnheard("commit");
  notebook.conclude(
    drafts.map(({ meant }) => meant),
    "unknown",
  );
}

const rowsOf = (count: number): string => Array.from({ length: count }, (_, at) => `select ${at + 1} as i`).join(" union all ");

/** Ids that no row will ever have: a statement that fails in its last row, and on PostgreSQL the sequence asked by hand. */
async function burnedIds(desk: Desk): Promise<void> {
  const { session, notebook, random } = desk;
  const count = between(random, 2, 60);
  await session.run("begin");
  const drafts = await locked(desk, "ordered");
  await session.run("savepoint before_failure");
  const type = `case when i = ${count} then null else 'torture.burned.v1' end`;
  const failing = `insert into waybill_outbox (message_id, type, topic, payload) select ${"%uuid"}, ${type}, 'free', '{}' from (${rowsOf(count)}) as n`;
  const sql: SessionSql = { postgres: failing.replace("%uuid", "gen_random_uuid()"), mysql: failing.replace("%uuid", "uuid()") };
  const hasFailed = await session.run(sql).then(
    () => false,
    (error: unknown) => ["23502", "ER_BAD_NULL_ERROR"].includes(String((error as { code?: unknown }).code)),
  );
  if (!hasFailed) throw new Error("A statement that must fail for its data did not.");
  await session.run("rollback to savepoint before_failure");
  await put(session, notebook, drafts);
  await commit(session, notebook, drafts);
  if (session.dialect === "postgres") await session.run(`select count(nextval('waybill_outbox_id_seq')) from generate_series(1, ${count})`);
}

/** Prepared, and decided a while later; if the writer dies in between, by the run. */
async function prepared(desk: Desk): Promise<void> {
  const { session, notebook, random, preparedPrefix } = desk;
  if (preparedPrefix === null) return plain(desk);
  // The time tells whoever finds it left over how old it is.
  const name = `'${preparedPrefix}${Date.now()}-${randomUUID().slice(0, 8)}'`;
  await session.run({ postgres: "begin", mysql: `xa start ${name}` });
  const drafts = await locked(desk, "prepared", between(random, 1, 6));
  await put(session, notebook, drafts);
  if (session.dialect === "mysql") await session.run(`xa end ${name}`);
  await session.run({ postgres: `prepare transaction ${name}`, mysql: `xa prepare ${name}` });
  await desk.pause(between(random, 0, 3_000));
  const isCommitted = random.fraction() < 0.7;
  const verb = isCommitted ? "commit" : "rollback";
  const sql: SessionSql = { postgres: `${verb} prepared ${name}`, mysql: `xa ${verb} ${name}` };
  if (isCommitted) return commit(session, notebook, drafts, sql);
  // Somebody else may have decided otherwise if this fails: only the answer tells.
  await session.run(sql);
  // Nor does the answer on MySQL and MariaDB: a rollback is not written through, so that after a crash the transaction is prepared again, and is
  // decided by whoever finds it left over. (Seen with seed 15892 on MariaDB 10.11: killed within three seconds of the answer.)
  if (session.dialect === "mysql") return;
  notebook.conclude(
    drafts.map(({ meant }) => meant),
    "rolledBack",
  );
}

/** So many rows at once that nobody can go through their ids one by one; taken back. `rows` are fewer where each dead id costs a row of its own. */
export async function rollBackMany({ session }: Pick<Desk, "session">, rows: number): Promise<void> {
  const into = "insert into waybill_outbox (message_id, type, topic, payload)";
  const values = (uuid: string): string => `select ${uuid}, 'torture.many.v1', 'free', '{}'`;
  await session.run("begin");
  await session.run({
    postgres: `${into} ${values("gen_random_uuid()")} from generate_series(1, ${rows})`,
    mysql: `${into} with recursive n as (select 1 as i union all select i + 1 from n where i < 1000) ${values("uuid()")} from n, (select i from n limit ${Math.max(1, Math.round(rows / 5_000))}) as thousands`,
  });
  await session.run("rollback");
}

export const shapes: readonly Shape[] = [
  { name: "plain", weight: 30, run: plain },
  { name: "rolledBack", weight: 10, run: rolledBack },
  { name: "isolated", weight: 6, run: isolated },
  { name: "hashed", weight: 14, run: hashed },
  { name: "loose", weight: 8, run: loose },
  { name: "unkeyed", weight: 8, run: unkeyed },
  { name: "savepoint", weight: 8, run: savepoint },
  { name: "bulk", weight: 0.2, run: bulk },
  { name: "several", weight: 4, run: several },
  { name: "poison", weight: 4, run: poison },
  { name: "slowCommit", weight: 3, run: slowCommit },
  { name: "long", weight: 0.4, run: long },
  { name: "killedClient", weight: 1.5, run: killedClient },
  { name: "unheardCommit", weight: 1.5, run: unheardCommit },
  { name: "burnedIds", weight: 3, run: burnedIds },
  { name: "prepared", weight: 1.5, run: prepared },
];

const weights = shapes.reduce((sum, { weight }) => sum + weight, 0);

/** One of them, by their weights. */
export function anyShape(random: Random): Shape {
  let left = random.fraction() * weights;
  return shapes.find(({ weight }) => (left -= weight) < 0) ?? (shapes[0] as Shape);
}
