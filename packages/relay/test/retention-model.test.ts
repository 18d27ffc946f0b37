/**
 * Retention beside any history of subscriptions: a model knows each cursor, and after each run every row that one of them needs, and every young
 * row, must be there. One seed is one schedule; it is printed when something is wrong.
 */
import { namespace } from "@waybill/sql";
import { forEachDatabase, type LedgerWriter, seededRandom } from "@waybill/testing";
import { describe, expect } from "vitest";
import { runRetention } from "../src/index.ts";
import { encodeRanges } from "../src/mysql/encoded-ranges.ts";
import { itOn, type RelayFixture, row } from "./relay-fixture.ts";

interface Reader {
  readonly name: string;
  lastId: number;
  /** Ids at or below `lastId` that are not finished: read and unconfirmed, or of a writer that is open. */
  readonly open: Set<number>;
}

const seeds = process.env["WAYBILL_TEST_ALL"] === "1" ? Array.from({ length: 20 }, (_, index) => index + 1) : [1];
const steps = 60;

await forEachDatabase((server) =>
  describe(`retention on ${server.name}`, () => {
    const it = itOn(server);

    for (const seed of seeds) {
      it(`removes nothing that a subscription needs, nor what is young: seed ${seed}`, { timeout: 120_000 }, async ({ fixture }) => {
        const model = await retentionModel(fixture, server.dialect);
        const random = seededRandom(seed);
        const upTo = (max: number): number => Math.floor(random.fraction() * (max + 1));
        for (let step = 0; step < steps; step += 1) {
          const dice = upTo(99);
          if (dice < 35) await model.append(upTo(400));
          else if (dice < 42) await model.begin();
          else if (dice < 52) await model.end(upTo(1) === 1);
          else if (dice < 70) await model.advance(upTo(9), upTo(3));
          else if (dice < 74) await model.setBack(upTo(9), random.fraction());
          else if (dice < 76) await model.subscribe();
          else if (dice < 86) await model.age();
          else await model.retain();
        }
        // Then everybody catches up, and all that is old goes.
        while (await model.end(true));
        for (let reader = 0; reader < 10; reader += 1) await model.advance(reader, 0);
        await model.age();
        await model.retain();
        expect(model.removed, JSON.stringify({ seed })).toBeGreaterThan(0);
        expect(await model.rowsBelow(), JSON.stringify({ seed })).toBeLessThan(2_000);
      });
    }
  }),
);

async function retentionModel(fixture: RelayFixture, dialect: "postgres" | "mysql") {
  const isPostgres = dialect === "postgres";
  const space = namespace(dialect);
  const readers: Reader[] = [];
  const writers: { readonly writer: LedgerWriter; readonly ids: readonly number[] }[] = [];
  /** Ids of committed rows that are younger than what retention may remove. */
  let young = new Set<number>();
  const committed = new Set<number>();
  let removed = 0;

  if (isPostgres) await fixture.run("drop table waybill_outbox_p1, waybill_outbox_p1000001, waybill_outbox_p2000001");

  const save = (reader: Reader): Promise<unknown> => {
    const ids = [...reader.open].toSorted((one, other) => one - other);
    return isPostgres
      ? fixture.run("update waybill_subscription set last_id = ?, hole_lo = ?::bigint[], hole_hi = ?::bigint[] where subscription = ?", [
          reader.lastId,
          ids,
          ids,
          reader.name,
        ])
      : fixture.run("update waybill_subscription set last_id = ?, holes = ? where subscription = ?", [
          reader.lastId,
          encodeRanges(ids.map((id) => ({ low: BigInt(id), high: BigInt(id) }))),
          reader.name,
        ]);
  };
  const removedTo = async (): Promise<number> => Number((await fixture.run("select removed_to from waybill_stream"))[0]?.["removed_to"]);
  const present = async (): Promise<ReadonlySet<number>> =>
    new Set((await fixture.run("select id from waybill_outbox")).map(({ id }) => Number(id)));
  const isNeeded = (id: number): boolean => readers.some(({ lastId, open }) => id > lastId || open.has(id));

  const model = {
    get removed() {
      return removed;
    },
    async append(count: number) {
      const highest = Math.max(0, ...committed);
      await fixture.appendMany(count + 1);
      for (const { id } of await fixture.run("select id from waybill_outbox where id > ?", [highest])) {
        committed.add(Number(id));
        young.add(Number(id));
      }
    },
    async begin() {
      if (writers.length === 3) return;
      const writer = await fixture.begin();
      writers.push({ writer, ids: (await writer.append(row("open"), row("open"))).map(Number) });
    },
    /** The writer that is open for longest ends. False: there is none. */
    async end(isCommit: boolean) {
      const first = writers.shift();
      if (first === undefined) return false;
      await (isCommit ? first.writer.commit() : first.writer.rollback());
      for (const id of first.ids) {
        if (isCommit) {
          committed.add(id);
          young.add(id);
        } else for (const { open } of readers) open.delete(id); // proved dead
      }
      return true;
    },
    /** A reader reads everything, and finishes it but for a few. */
    async advance(which: number, unconfirmed: number) {
      const reader = readers[which % readers.length];
      if (reader === undefined) return;
      const inFlight = writers.flatMap(({ ids }) => ids);
      reader.open.clear();
      reader.lastId = Math.max(reader.lastId, ...committed);
      for (const id of [...committed].slice(-unconfirmed * 7).filter((_, index) => index % 7 === 0 && unconfirmed > 0)) reader.open.add(id);
      for (const id of inFlight) if (id <= reader.lastId) reader.open.add(id);
      await save(reader);
    },
    async setBack(which: number, share: number) {
      const reader = readers[which % readers.length];
      if (reader === undefined) return;
      const lowest = await removedTo();
      reader.open.clear();
      reader.lastId = lowest + Math.floor((reader.lastId - lowest) * share);
      await save(reader);
    },
    async subscribe() {
      if (readers.length === 4) return;
      const name = `reader${readers.length}`;
      const lastId = await removedTo();
      readers.push({ name, lastId, open: new Set() });
      await fixture.run(
        isPostgres
          ? "insert into waybill_subscription (stream, subscription, last_id) values ('default', ?, ?)"
          : "insert into waybill_subscription (stream, subscription, last_id, holes, solo_deaths) values ('default', ?, ?, '[]', '{}')",
        [name, lastId],
      );
    },
    async age() {
      // There an update of all rows waits for whoever holds one.
      while (!isPostgres && (await model.end(true)));
      await fixture.run({
        postgres: "update waybill_outbox set created_at = created_at - interval '2 hours'",
        mysql: "update waybill_outbox set created_at = created_at - interval 2 hour",
      });
      young = new Set();
    },
    async retain() {
      const before = await present();
      const run = await runRetention(fixture.database, { space, partitionIds: 1_000, retentionMs: 3_600_000, pause: async () => true });
      expect([run.partitionsHindrance, run.historyHindrance === "locked" ? null : run.historyHindrance]).toEqual([null, null]);
      const after = await present();
      const gone = [...before].filter((id) => !after.has(id));
      expect(gone.filter((id) => isNeeded(id) || young.has(id))).toEqual([]);
      removed += gone.length;
    },
    rowsBelow: async () => (await present()).size,
  };
  await model.subscribe();
  await model.retain();
  return model;
}
