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
import { forEachDatabase, hasTurn, startChild } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type CrashPlace, crashPlace, find } from "./crash-place.ts";
import type { Moment, PlacedOrder, Statement, WriterOptions } from "./writer.child.ts";

const program = new URL("../../dist-programs/test/crash/writer.child.js", import.meta.url);

const statements: readonly Statement[] = ["begin", "business", "lock", "append", "commit"];
const moments: readonly Moment[] = ["before", "sent", "after"];
/** On MySQL an id of one's own is claimed by statements before the insert. */
const killsOf = (dialect: CrashPlace["dialect"], isOwnId: boolean): readonly Killed["kill"][] =>
  [...statements, ...(dialect === "mysql" && isOwnId ? (["claim"] as const) : [])].flatMap((statement) =>
    moments.map((moment) => ({ statement, moment })),
  );
const repetitions = process.env["WAYBILL_TEST_ALL"] === "1" ? 5 : 1;

interface Killed {
  readonly kill: { readonly statement: Statement; readonly moment: Moment };
  /** The order whose transaction did not survive its writer, or did. */
  readonly last: PlacedOrder;
  readonly journal: string;
  /** What `append` answered for it, if it came that far. */
  readonly ids: readonly string[] | null;
}

async function killWriter(
  { url }: CrashPlace,
  folder: string,
  { handle, isOwnId }: Pick<WriterOptions, "handle" | "isOwnId">,
  kill: Killed["kill"],
): Promise<Killed> {
  const order = (end: PlacedOrder["end"]): PlacedOrder => ({ refs: [newMessageId(), newMessageId()], end });
  const last = order("commit");
  const journal = join(folder, `${randomUUID()}.jsonl`);
  const options: WriterOptions = { url, journal, handle, isOwnId, orders: [order("commit"), order("rollback"), last], kill };
  const child = await startChild(program, { args: [JSON.stringify(options)] });
  expect(await child.exited, child.output()).toEqual({ code: null, signal: "SIGKILL" });
  expect(child.events.findLast(({ name }) => name === "point")).toMatchObject(kill);
  const appended = child.events.filter(({ name }) => name === "appended")[2];
  return { kill, last, journal, ids: appended === undefined ? null : (appended["ids"] as string[]) };
}

/** Two writers at a time. */
async function killWriters(
  place: CrashPlace,
  folder: string,
  writer: Pick<WriterOptions, "handle" | "isOwnId">,
): Promise<readonly Killed[]> {
  const left = Array.from({ length: repetitions }, () => killsOf(place.dialect, writer.isOwnId)).flat();
  const killed: Killed[] = [];
  const next = async (): Promise<void> => {
    for (let kill = left.shift(); kill !== undefined; kill = left.shift()) killed.push(await killWriter(place, folder, writer, kill));
  };
  await Promise.all([next(), next()]);
  await place.writersAreGone();
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

const foundMessages = async (place: CrashPlace): Promise<readonly FoundMessage[]> =>
  (await place.run({
    postgres: `select id::text, message_id::text as "messageId", payload::json ->> 'ref' as ref, type, topic, key, payload
               from waybill_outbox order by id`,
    mysql: `select cast(id as char) as id, message_id as messageId, json_unquote(json_extract(payload, '$.ref')) as ref, type, topic, \`key\`, payload
            from waybill_outbox order by id`,
  })) as unknown as readonly FoundMessage[];

/** The auditor's history. Writers know references; the ledger tells which message each is. */
async function historyOf(place: CrashPlace, killed: readonly Killed[], messages: readonly FoundMessage[]) {
  const idOf = new Map(messages.map(({ ref, messageId }) => [ref, messageId]));
  const intents = await readJournal(...killed.map(({ journal }) => journal));
  const connection = await place.connect();
  const batch = await place.ledger.read(connection, { lastId: 0n, holes: [], rowsMax: 10_000, areHolesOnly: false, deadlineMs: 5_000 });
  await connection.close();
  return {
    intents: intents.map((intent) => ({ ...intent, messageId: idOf.get(intent.messageId) ?? intent.messageId })),
    businessRows: await readBusinessRows(
      { url: place.url },
      {
        sql:
          place.dialect === "postgres"
            ? `select coalesce(message_id, ref)::text as message_id
               from business left join waybill_outbox on payload::json ->> 'ref' = ref::text`
            : `select coalesce(message_id, ref) as message_id
               from business left join waybill_outbox on json_unquote(json_extract(payload, '$.ref')) = ref`,
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
  { handle: "driver", isOwnId: false },
  { handle: "driver", isOwnId: true },
  { handle: "knex", isOwnId: false },
  { handle: "knex", isOwnId: true },
] as const;

await forEachDatabase((server) => {
  describe(`a writer on ${server.name} killed with -9 around any statement of append's transaction`, () => {
    let place: CrashPlace;
    let folder: string;
    beforeAll(async () => {
      place = await crashPlace(server);
      folder = await mkdtemp(join(tmpdir(), "waybill-writers-"));
    });
    afterAll(async () => {
      await place.drop();
      await rm(folder, { recursive: true, force: true });
    });
    beforeEach(() => place.clear());

    // The second and third kind of server try what is theirs; everything with WAYBILL_TEST_ALL=1. In CI each writer comes on one dialect.
    const dialectPlace = server.dialect === "postgres" ? 0 : 1;
    for (const writer of writers.filter(
      (one) =>
        (repetitions > 1 || server.dialect === "postgres" || one.isOwnId === (one.handle === "driver")) &&
        hasTurn(`writer ${one.handle} ${one.isOwnId}`, dialectPlace, 2),
    )) {
      const { handle, isOwnId } = writer;
      test(`${handle}, ${isOwnId ? "with an id of its own" : "ids made by append"}: leaves both rows or neither`, {
        timeout: 180_000 * repetitions,
      }, async () => {
        const killed = await killWriters(place, folder, writer);
        const messages = await foundMessages(place);
        const refs = new Set(messages.map(({ ref }) => ref));
        for (const { kill, last, ids } of killed) {
          const isThere = refs.has(last.refs[0]);
          expect(isThere, JSON.stringify(kill)).toBe(mustBeThere(kill) ?? isThere);
          for (const id of ids ?? []) expect(await find(place.database, id)).toBe(isThere ? "appended" : "notAppended");
        }
        // A claim without its message would refuse the retry that must bring it.
        const claims = await place.run({
          postgres: "select message_id::text as id from waybill_outbox_id order by 1",
          mysql: "select message_id as id from waybill_outbox_id order by 1",
        });
        const own = messages.filter(({ ref, messageId }) => ref === messageId).map(({ messageId }) => messageId);
        expect(claims.map(({ id }) => id)).toEqual(isOwnId ? own.toSorted() : []);
        expect(own.length > 0).toBe(isOwnId);

        const each = 2 * killed.length;
        const effort = { faultsMin: killed.length, unknownMin: each, rolledBackMin: each, committedMin: each };
        expect(audit(await historyOf(place, killed, messages), { effort })).toMatchObject({
          verdict: "passed",
          witnesses: [],
          reasons: [],
        });
      });
    }
  });
});
