/**
 * A writer is killed with -9 before, during and after every statement of a transaction that appends, by each kind of handle. Then
 * the auditor compares what the writers noted on disk with what is there: business row and message row, or neither.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { audit, digest, readBusinessRows, readJournal } from "@waybill/auditor";
import { newMessageId } from "@waybill/core";
import { startChild, testServers, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createOutbox } from "../../src/index.ts";
import { type OutboxFixture, outboxFixture } from "../outbox-fixture.ts";
import type { Moment, PlacedOrder, Statement, WriterOptions } from "./writer.child.ts";

const program = new URL("../../dist-programs/test/crash/writer.child.js", import.meta.url);
const { find } = createOutbox();

const statements: readonly Statement[] = ["begin", "business", "lock", "append", "commit"];
const moments: readonly Moment[] = ["before", "sent", "after"];
const kills = statements.flatMap((statement) => moments.map((moment) => ({ statement, moment })));
const repetitions = process.env["WAYBILL_TEST_ALL"] === "1" ? 5 : 1;

let fixture: OutboxFixture;
let folder: string;
beforeAll(async () => {
  const [server] = testServers();
  if (server === undefined) throw new Error("No PostgreSQL to test on.");
  fixture = await outboxFixture(server);
  folder = await mkdtemp(join(tmpdir(), "waybill-writers-"));
  await fixture.run("create table business (ref uuid primary key)");
});
afterAll(async () => {
  await fixture.drop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await fixture.clear();
  await fixture.run("truncate business");
});

interface Killed {
  readonly kill: { readonly statement: Statement; readonly moment: Moment };
  /** The order whose transaction did not survive its writer, or did. */
  readonly last: PlacedOrder;
  readonly journal: string;
  /** What `append` answered for it, if it came that far. */
  readonly ids: readonly string[] | null;
}

async function killWriter(handle: WriterOptions["handle"], isOwnId: boolean, kill: Killed["kill"]): Promise<Killed> {
  const order = (end: PlacedOrder["end"]): PlacedOrder => ({ refs: [newMessageId(), newMessageId()], end });
  const last = order("commit");
  const journal = join(folder, `${randomUUID()}.jsonl`);
  const options: WriterOptions = { url: fixture.url, journal, handle, isOwnId, orders: [order("commit"), order("rollback"), last], kill };
  const child = await startChild(program, { args: [JSON.stringify(options)] });
  expect(await child.exited, child.output()).toEqual({ code: null, signal: "SIGKILL" });
  expect(child.events.findLast(({ name }) => name === "point")).toMatchObject(kill);
  const appended = child.events.filter(({ name }) => name === "appended")[2];
  return { kill, last, journal, ids: appended === undefined ? null : (appended["ids"] as string[]) };
}

/** Two writers at a time. */
async function killWriters(handle: WriterOptions["handle"], isOwnId: boolean): Promise<readonly Killed[]> {
  const left = Array.from({ length: repetitions }, () => kills).flat();
  const killed: Killed[] = [];
  const next = async (): Promise<void> => {
    for (let kill = left.shift(); kill !== undefined; kill = left.shift()) killed.push(await killWriter(handle, isOwnId, kill));
  };
  await Promise.all([next(), next()]);
  const sessions = "select 1 from pg_stat_activity where datname = current_database() and application_name = 'waybill-test-writer'";
  await waitUntil(async () => (await fixture.run(sessions)).length === 0, { what: "the writers' sessions have ended" });
  return killed;
}

interface FoundMessage {
  readonly id: string;
  readonly messageId: string;
  readonly ref: string;
  readonly type: string;
  readonly topic: string;
  readonly key: string | null;
  readonly payload: string;
}

const foundMessages = async (): Promise<readonly FoundMessage[]> =>
  (await fixture.run(
    `select id::text, message_id::text as "messageId", payload::json ->> 'ref' as ref, type, topic, key, payload
     from waybill_outbox order by id`,
  )) as unknown as readonly FoundMessage[];

/** The auditor's history. Writers know references; the ledger tells which message each is. */
async function historyOf(killed: readonly Killed[], messages: readonly FoundMessage[]) {
  const idOf = new Map(messages.map(({ ref, messageId }) => [ref, messageId]));
  const intents = await readJournal(...killed.map(({ journal }) => journal));
  const connection = await fixture.connect();
  const batch = await fixture.ledger.read(connection, { lastId: 0n, holes: [], rowsMax: 10_000, areHolesOnly: false, deadlineMs: 5_000 });
  await connection.close();
  return {
    intents: intents.map((intent) => ({ ...intent, messageId: idOf.get(intent.messageId) ?? intent.messageId })),
    businessRows: await readBusinessRows(
      { url: fixture.url },
      {
        sql: `select coalesce(message_id, ref)::text as message_id
              from business left join waybill_outbox on payload::json ->> 'ref' = ref::text`,
      },
    ),
    ledger: messages.map((row) => ({ ...row, sequence: BigInt(row.id), payloadDigest: digest(row.payload) })),
    // Whoever reads the ledger finds every message that committed, and no other.
    subscriptions: [{ subscription: "reader", lastId: batch.rows.at(-1)?.id ?? 0n, openRanges: [], owner: null, isLeaseValid: false }],
    received: batch.rows.map(({ id, messageId, payload, topic, key }) => ({
      subscription: "reader",
      messageId,
      payloadDigest: digest(payload),
      topic,
      key,
      sequence: id,
    })),
    deadLetters: [],
    consumers: [],
    effects: [],
    faults: killed.map(() => ({ kind: "kill -9", isObserved: true })),
  };
}

/** What must have become of the transaction; null: nobody can say before looking. */
function mustBeThere({ statement, moment }: Killed["kill"]): boolean | null {
  if (statement !== "commit" || moment === "before") return false;
  return moment === "after" ? true : null;
}

const writers = [
  { handle: "tx", isOwnId: true },
  { handle: "pg", isOwnId: false },
  { handle: "pg", isOwnId: true },
  { handle: "knex", isOwnId: false },
  { handle: "knex", isOwnId: true },
] as const;

describe("a writer killed with -9 around any statement of append's transaction", () => {
  for (const { handle, isOwnId } of writers) {
    test(`${handle}, ${isOwnId ? "with an id of its own" : "ids made by append"}: leaves both rows or neither`, {
      timeout: 60_000 * repetitions,
    }, async () => {
      const killed = await killWriters(handle, isOwnId);
      const messages = await foundMessages();
      const refs = new Set(messages.map(({ ref }) => ref));
      for (const { kill, last, ids } of killed) {
        const isThere = refs.has(last.refs[0]);
        expect(isThere, JSON.stringify(kill)).toBe(mustBeThere(kill) ?? isThere);
        for (const id of ids ?? []) expect(await find(fixture.database, id)).toBe(isThere ? "appended" : "notAppended");
      }
      // A claim without its message would refuse the retry that must bring it.
      const claims = await fixture.run("select message_id::text as id from waybill_outbox_id order by 1");
      const own = messages.filter(({ ref, messageId }) => ref === messageId).map(({ messageId }) => messageId);
      expect(claims.map(({ id }) => id)).toEqual(isOwnId ? own.toSorted() : []);
      expect(own.length > 0).toBe(isOwnId);

      const each = 2 * killed.length;
      const effort = { faultsMin: killed.length, unknownMin: each, rolledBackMin: each, committedMin: each };
      expect(audit(await historyOf(killed, messages), { effort })).toMatchObject({ verdict: "passed", witnesses: [], reasons: [] });
    });
  }
});
