import type { InboxEvent } from "@waybill/core";
import { forEachDatabase, hasTurn, startChild, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type InboxFixture, inboxFixture } from "../inbox-fixture.ts";

const program = new URL("../../dist-programs/test/crash/inbox.child.js", import.meta.url);
const requests = new URL("../../dist-programs/test/crash/request.child.js", import.meta.url);

/** Every event of a run in which nothing is cut; the others need a fault of the network and are in `commit-outcome.test.ts`. */
const events: readonly InboxEvent["name"][] = [
  "inbox.started",
  "inbox.received",
  "inbox.attemptStarting",
  "inbox.attemptStarted",
  "inbox.unitBegun",
  "inbox.deduped",
  "inbox.handling",
  "inbox.handled",
  "inbox.committing",
  "inbox.committed",
  "inbox.duplicate",
  "inbox.guarded",
  "inbox.stale",
  "inbox.resultKept",
  "inbox.confirmed",
  "inbox.handlerFailed",
  "inbox.retrying",
  "inbox.deadLettering",
  "inbox.deadLettered",
  "inbox.holding",
  "inbox.held",
  "inbox.ignored",
  "inbox.redriving",
  "inbox.redriven",
  "inbox.typesReleasing",
  "inbox.typesReleased",
  "inbox.settling",
  "inbox.retentionRemoving",
  "inbox.retentionRemoved",
  "inbox.sourceFailed",
  "inbox.draining",
  "inbox.stopped",
];

/** Those around the unit, where several handlers are under way: killed at another message, too. */
const killedTwice: ReadonlySet<InboxEvent["name"]> = new Set([
  "inbox.guarded",
  "inbox.attemptStarted",
  "inbox.handling",
  "inbox.committing",
  "inbox.committed",
]);

/** What is told of messages that go together, and of each of them. */
const batchEvents: readonly InboxEvent["name"][] = [
  "inbox.batchBegun",
  "inbox.batchDeduped",
  "inbox.handling",
  "inbox.handled",
  "inbox.handlingMany",
  "inbox.handledMany",
  "inbox.batchCommitting",
  "inbox.batchCommitted",
  "inbox.batchRolledBack",
  "inbox.committed",
  "inbox.duplicate",
  "inbox.guarded",
  "inbox.stale",
  "inbox.confirmed",
];

const requestEvents = [
  "inbox.requestBegun",
  "inbox.requestClaimed",
  "inbox.resultKept",
  "inbox.requestCommitted",
  "inbox.requestRepeated",
] as const satisfies readonly InboxEvent["name"][];

/** What is there in the end besides what comes of the deliveries. */
const released = {
  effects: ["known 1", "known 2", "redriven 1"],
  inOrder: [["known 1", "known 2"]],
  letters: ["known 1 done unknownType", "known 2 done null", "redriven 1 done rejected"],
} as const;
const takenTogether = { effects: ["many 0", "many 1", "many 2"], inOrder: [], letters: [] } as const;

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    beforeAll(async () => {
      fixture = await inboxFixture(server);
      await fixture.database.query("create table confirmation (message_id varchar(255) not null)", []);
      const place = server.dialect === "postgres" ? "generated always as identity" : "auto_increment";
      await fixture.database.query(
        `create table feed (n int ${place} primary key, id varchar(255) not null, type varchar(255) not null, lane varchar(255),
                        payload text not null, created_at_ms float8 not null, handed int not null default 0, settled boolean not null default false)`,
        [],
      );
    });
    afterAll(() => fixture.close());
    beforeEach(async () => {
      await fixture.clear();
      await fixture.database.query("delete from confirmation", []);
      await fixture.database.query("delete from feed", []);
    });

    const feed = async (id: string, type = "placed.v1", key: string | null = null, ageDays = 0): Promise<void> => {
      const values = [id, type, key, `{"n":"${id}"}`, Date.now() - ageDays * 86_400_000];
      await fixture.database.query(
        fixture.sql("insert into feed (id, type, lane, payload, created_at_ms) values ($1, $2, $3, $4, $5)"),
        values,
      );
    };

    /** One of each fate. Ids begin with what happens to them. */
    async function feedEverything(): Promise<void> {
      await feedDeliveries();
      await fileLetters();
    }

    async function feedDeliveries(): Promise<void> {
      for (let n = 0; n < 4; n++) await feed(`plain ${n}`, "placed.v1", n % 2 === 0 ? "even" : null);
      await feed("fails 1", "placed.v1", "odd");
      await feed("plain 4", "placed.v1", "odd");
      await feed("rejected 1", "placed.v1", "closed");
      await feed("waits 1", "placed.v1", "closed");
      await feed("unknown 1", "nobody.v1", "strange");
      await feed("waits 2", "paid.v1", "strange");
      await feed("ignored 1", "ignored.v1");
      await feed("old 1", "placed.v1", null, 20);
      await feed("plain 0", "placed.v1", "even"); // again, as a relay repeats it
      for (const version of [2, 1, 3]) await feed(`version ${version}`, "versioned.v1", "entity");
    }

    async function fileLetters(): Promise<void> {
      // What an earlier version did not know and this one does, what an operator has released, what retention removes.
      const key = server.dialect === "postgres" ? "key" : "`key`";
      await fixture.database.query(
        `insert into waybill_dead_letter (origin, reader, sequence, message_id, type, topic, ${key}, payload, state, reason)
     values ('inbox', 'c', 901, 'known 1', 'paid.v1', 'orders', 'known', '{"n":1}', 'dead', 'unknownType'),
            ('inbox', 'c', 902, 'known 2', 'paid.v1', 'orders', 'known', '{"n":2}', 'held', null),
            ('inbox', 'c', 903, 'redriven 1', 'placed.v1', 'orders', null, '{"n":3}', 'released', 'rejected')`,
        [],
      );
      await fixture.remember("c", ["forgotten"], 50_000);
    }

    /** What must be true in the end, however often the process was killed. */
    async function audit(more: typeof released | typeof takenTogether = released): Promise<void> {
      const effects = [...(await fixture.effects())].sort();
      const plain = ["fails 1", "plain 0", "plain 1", "plain 2", "plain 3", "plain 4"];
      const delivered = [...plain, "version 2", "version 3", ...(more === takenTogether ? more.effects : [])];
      expect(effects).toEqual([...new Set([...delivered, ...more.effects])].sort());
      const order = await fixture.effects();
      for (const [first, second] of [["plain 0", "plain 2"], ["fails 1", "plain 4"], ...more.inOrder] as const) {
        expect(order.indexOf(first)).toBeLessThan(order.indexOf(second));
      }
      const letters = [
        "old 1 dead olderThanRetention",
        "rejected 1 dead not by delivery",
        "unknown 1 dead unknownType",
        "waits 1 held null",
        "waits 2 held null",
        ...more.letters,
      ];
      expect([...(await fixture.letters())].sort()).toEqual(letters.sort());
      expect(await fixture.handled()).toEqual([...effects, "version 1"].sort());
      expect(await fixture.count("inbox_version", "version = 3")).toBe(1);
      // Whatever was delivered and is handled has been confirmed; what came from the dead letters carries no such header.
      const confirmed = await fixture.database.query("select distinct message_id from confirmation order by message_id", []);
      expect(confirmed.map((row) => row["message_id"])).toEqual([...delivered, "version 1"].sort());
      expect(await fixture.count("inbox_attempt")).toBe(0);
      const unsettled = await fixture.database.query("select id from feed where not settled", []);
      expect(unsettled).toEqual([]);
      // The server may take a moment to notice that a process is gone.
      await waitUntil(async () => (await fixture.openTransactions()) === 0, { what: "no transaction is open" });
    }

    async function run(
      env: Readonly<Record<string, string>>,
    ): Promise<{ readonly wasKilled: boolean; readonly names: readonly unknown[] }> {
      const child = await startChild(program, { env: { DATABASE_URL: fixture.url, ...env } });
      const end = await child.exited;
      if (end.signal !== "SIGKILL" && end.code !== 0) throw new Error(`The child ended with ${end.code}:\n${child.output()}`);
      return { wasKilled: end.signal === "SIGKILL", names: child.events.map(({ name }) => name) };
    }

    /** In CI each event comes on one of the two dialects, on the other one in another run. */
    const inTurn = (names: readonly InboxEvent["name"][]): readonly InboxEvent["name"][] =>
      names.filter((name) => hasTurn(`inbox killed at ${name}`, server.dialect === "postgres" ? 0 : 1, 2));

    describe("a consumer killed at any event leaves one effect of each message, in order, and loses none", () => {
      test.each(inTurn(events))("%s", async (name) => {
        await feedEverything();
        for (const nth of killedTwice.has(name) ? [1, 3] : [1]) {
          const { wasKilled } = await run({ KILL_AT: name, KILL_NTH: String(nth) });
          expect(wasKilled).toBe(true); // A kill that never came proves nothing.
        }
        const last = await run({});
        expect(last.names).toContain("quiet");
        await audit();
      });
    });

    describe("a consumer killed at any event of a batch leaves one effect of each message, in order, and loses none", () => {
      test.each(inTurn(batchEvents))("%s", async (name) => {
        for (let n = 0; n < 3; n++) await feed(`many ${n}`, "counted.v1", n === 0 ? "mixed" : null);
        await feedDeliveries();
        const { wasKilled, names } = await run({ BATCHES: "1", KILL_AT: name });
        expect(wasKilled).toBe(true); // A kill that never came proves nothing.
        expect(names).toContain("inbox.batchBegun");
        const last = await run({ BATCHES: "1" });
        expect(last.names).toContain("quiet");
        await audit(takenTogether);
      });
    });

    describe("a process killed at any event of a request leaves one effect and one answer, or neither and the next one works", () => {
      test.each(requestEvents)("%s", async (name) => {
        for (const id of ["r1", "r2", "r1"]) await feed(id);
        const killed = await startChild(requests, { env: { DATABASE_URL: fixture.url, KILL_AT: name } });
        expect((await killed.exited).signal).toBe("SIGKILL"); // A kill that never came proves nothing.
        const before = (await fixture.effects()).length;
        expect(await fixture.count("inbox_result", "result is not null")).toBe(before);
        const next = await startChild(requests, { env: { DATABASE_URL: fixture.url } });
        expect(await next.exited).toMatchObject({ code: 0 });
        const answers = next.events.flatMap((event) => (event.name === "answered" ? [event["result"]] : []));
        expect(answers).toHaveLength(3);
        expect(answers[0]).toEqual(answers[2]);
        expect(await fixture.effects()).toEqual(["r1", "r2"]);
        expect(await fixture.count("inbox_result")).toBe(2);
        expect(await fixture.openTransactions()).toBe(0);
      });
    });

    test("a message that kills its process is put aside after poisonAttempts starts, and its neighbours are handled", async () => {
      for (let n = 0; n < 3; n++) await feed(`before ${n}`);
      await feed("killer", "placed.v1", "k");
      await feed("behind", "placed.v1", "k");
      for (let n = 0; n < 3; n++) await feed(`after ${n}`);
      let deaths = 0;
      for (let wasKilled = true; wasKilled; deaths += wasKilled ? 1 : 0) {
        expect(deaths).toBeLessThan(10);
        ({ wasKilled } = await run({ SUICIDE: "killer" }));
      }
      expect(deaths).toBe(3);
      expect([...(await fixture.effects())].sort()).toEqual(["after 0", "after 1", "after 2", "before 0", "before 1", "before 2"]);
      expect(await fixture.letters()).toEqual(["killer dead poison", "behind held null"]);
      expect(await fixture.count("inbox_attempt")).toBe(0);
    });
  }),
);
