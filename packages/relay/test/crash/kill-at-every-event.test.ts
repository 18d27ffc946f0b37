/**
 * A relay is killed with -9 at every event it can report, that is: between every two of its steps. A second one finishes, and the
 * auditor judges. A run in which the kill did not happen fails: it would have proved nothing.
 */
import type { RelayEvent } from "@waybill/core";
import { forEachDatabase } from "@waybill/testing";
import { afterEach, describe, expect, test } from "vitest";
import { decodeRanges, encodeRanges } from "../../src/mysql/encoded-ranges.ts";
import { connectApplication, type DialectSql, inBoth } from "../application.ts";
import { type CrashRun, crashRun, named } from "./crash-run.ts";

/** What has to be prepared so that an event comes. */
type Scenario =
  | "work"
  | "stop"
  | "held"
  | "lineage"
  | "wentBack"
  | "stolen"
  | "removed"
  | "ranges"
  | "partitions"
  | "solo"
  | "throws"
  | "history"
  | "historyBusy"
  | "partitionsOver"
  | "pinned"
  | "hintLost"
  | "defaultUsed"
  | "partitionsMany"
  | "tooLong"
  | "delayed"
  | "delayedRefused"
  | "doubtful";

/** What is repeated is in the ledger twice, which nothing else may be: `unconfirmed.test.ts` has those. */
type Listed = Exclude<RelayEvent["name"], `relay.unconfirmed${string}`>;

/** Every event of a relay: one that is added does not compile before it is listed here. */
const scenarios: Readonly<Record<Listed, Scenario>> = {
  "relay.started": "work",
  "relay.leaseAcquiring": "work",
  "relay.leaseAcquired": "work",
  "relay.leaseRenewed": "work",
  "relay.batchReading": "work",
  "relay.batchRead": "work",
  "relay.batchApplied": "work",
  "relay.lookingUp": "work",
  "relay.lookedUp": "work",
  "relay.publishing": "work",
  "relay.published": "work",
  "relay.retrying": "work",
  "relay.parked": "work",
  "relay.parkedReading": "work",
  "relay.topicBraked": "work",
  "relay.topicReleased": "work",
  "relay.breakerOpened": "work",
  "relay.breakerClosed": "work",
  "relay.topicStopped": "work",
  "relay.topicResumed": "work",
  "relay.takenApart": "work",
  "relay.spilling": "work",
  "relay.spilled": "work",
  "relay.spillReading": "work",
  "relay.spillRead": "work",
  "relay.spillDeleting": "work",
  "relay.spillDeleted": "work",
  "relay.cursorSaving": "work",
  "relay.cursorSaved": "work",
  "relay.deadLettering": "work",
  "relay.deadLettered": "work",
  "relay.holding": "work",
  "relay.held": "work",
  "relay.releasedReading": "work",
  "relay.releasedFound": "work",
  "relay.releasedPublished": "work",
  "relay.releasedFinished": "work",
  "relay.holesLooking": "work",
  "relay.holesProved": "work",
  "relay.holesForgotten": "work",
  "relay.fencing": "work",
  "relay.fenced": "work",
  "relay.holesTooLong": "tooLong",
  "relay.historyRemoving": "history",
  "relay.historyRemoved": "history",
  "relay.historyNotRemoved": "historyBusy",
  "relay.partitionMade": "partitionsOver",
  "relay.partitionEmptied": "partitionsOver",
  "relay.partitionDropped": "partitionsOver",
  "relay.ledgerMeasured": "history",
  "relay.historyPinned": "pinned",
  "relay.hintListening": "work",
  "relay.hintLost": "hintLost",
  "relay.defaultPartitionUsed": "defaultUsed",
  "relay.partitionsMany": "partitionsMany",
  "relay.delayedMoving": "delayed",
  "relay.delayedCommitting": "delayed",
  "relay.delayedMoved": "delayed",
  "relay.delayedNotMoved": "delayedRefused",
  "relay.settingsDoubtful": "doubtful",
  "relay.draining": "stop",
  "relay.leaseReleasing": "stop",
  "relay.leaseReleased": "stop",
  "relay.stopped": "stop",
  "relay.standby": "held",
  "relay.configDiffers": "held",
  "relay.lineageChanged": "lineage",
  "relay.subscriptionStopping": "wentBack",
  "relay.subscriptionStopped": "wentBack",
  "relay.leaseLost": "stolen",
  "relay.rowMissing": "removed",
  "relay.rangesFull": "ranges",
  "relay.partitionsNotKept": "partitions",
  "relay.soloPublishing": "solo",
  "relay.soloDeathCounted": "solo",
  "relay.soloEnded": "solo",
  "relay.transportBroken": "throws",
  "relay.restarting": "throws",
};

/** Ids of a transaction that is gone are proved dead on PostgreSQL, and taken by a fence on MySQL; partitions are PostgreSQL's. */
const onlyOn: ReadonlyMap<RelayEvent["name"], "postgres" | "mysql"> = new Map([
  ["relay.holesProved", "postgres"],
  ["relay.holesForgotten", "postgres"],
  ["relay.partitionsNotKept", "postgres"],
  ["relay.settingsDoubtful", "postgres"],
  ["relay.fencing", "mysql"],
  ["relay.fenced", "mysql"],
  ["relay.holesTooLong", "mysql"],
  ["relay.hintListening", "postgres"],
  ["relay.hintLost", "postgres"],
  ["relay.partitionMade", "postgres"],
  ["relay.partitionEmptied", "postgres"],
  ["relay.partitionDropped", "postgres"],
  ["relay.defaultPartitionUsed", "postgres"],
  ["relay.partitionsMany", "postgres"],
] as const);

const isAll = process.env["WAYBILL_TEST_ALL"] === "1";
const occurrences = isAll ? [1, 2, 3] : [1];

/**
 * Each event costs some seconds on each database. Unless all is asked for, each comes on one database of those that have it; `WAYBILL_TEST_TURN`
 * says on which. Half of it, as an even turn brings another MySQL than an odd one. With a turn only every second event comes, the others with the next:
 * a run must end in time, and runs in a row come to all of them.
 */
const turn = Math.floor((Number(process.env["WAYBILL_TEST_TURN"]) || 0) / 2);
const hasItsTurn = (event: number, server: number, servers: number): boolean =>
  isAll ||
  ((event + turn) % servers === server && (process.env["WAYBILL_TEST_TURN"] === undefined || Math.floor(event / servers) % 2 === turn % 2));
/** Events that come once in the life of a process, or of a scenario. */
const once: ReadonlySet<string> = new Set([
  "relay.started",
  "relay.topicReleased",
  "relay.breakerOpened",
  "relay.breakerClosed",
  "relay.topicStopped",
  "relay.topicResumed",
  "relay.takenApart",
  "relay.draining",
  "relay.leaseReleasing",
  "relay.leaseReleased",
  "relay.stopped",
  "relay.lineageChanged",
  "relay.subscriptionStopping",
  "relay.subscriptionStopped",
  "relay.leaseLost",
  "relay.rowMissing",
  "relay.rangesFull",
  "relay.partitionsNotKept",
  "relay.holesTooLong",
  "relay.historyRemoving",
  "relay.historyRemoved",
  "relay.historyNotRemoved",
  "relay.ledgerMeasured",
  "relay.partitionDropped",
  "relay.partitionEmptied",
  "relay.historyPinned",
  "relay.hintListening",
  "relay.hintLost",
  "relay.defaultPartitionUsed",
  "relay.partitionsMany",
  "relay.delayedMoving",
  "relay.delayedCommitting",
  "relay.delayedMoved",
  "relay.delayedNotMoved",
  "relay.settingsDoubtful",
  "relay.soloDeathCounted",
  "relay.soloEnded",
  "relay.transportBroken",
  "relay.restarting",
  "relay.standby",
]);

let run: CrashRun;
afterEach(() => run.close());

/** Dead letters and held messages from an earlier relay, redriven: the next one finds them released. */
async function leaveReleasedLetters(): Promise<void> {
  for (const note of ["poison", "behind it", "last"]) await run.write("reject", "earlier", note);
  await run.write("stops", "earlier", "poison");
  const earlier = await run.startRelay({ isStrict: true });
  await Promise.all([
    earlier.waitFor(named("relay.held"), { deadlineMs: 30_000 }),
    earlier.waitFor((event) => event["name"] === "relay.deadLettered" && event["sequence"] === "4", { deadlineMs: 30_000 }),
  ]);
  earlier.tell("stop");
  await earlier.exited;
  await run.redrive();
}

async function writeWork(): Promise<void> {
  for (let round = 0; round < 5; round += 1) {
    for (const key of ["a", "b", "c"]) await run.write("orders", key, `order ${round}`);
    await run.write("orders", "a", "taken back", "rollback");
    await run.write("flaky", `f${round % 2}`, `flaky ${round}`);
    await run.write("reject", "poisoned", round === 1 ? "poison" : `fine ${round}`);
    await run.write("slow", `s${round % 3}`, `slow ${round}`);
    await run.write("stops", `t${round}`, "behind what stops");
    await run.write("whole", `w${round}`, round === 2 ? "poison" : "beside it");
  }
  for (let count = 0; count < 13; count += 1) await run.write("braked", `k${count}`, "refused at first");
  await run.write("orders", "large", "x".repeat(50_000));
}

const subscriptionAt: DialectSql = {
  postgres: "insert into waybill_subscription (stream, subscription, last_id) values ('default', ?, ?)",
  mysql: "insert into waybill_subscription (stream, subscription, last_id, holes, solo_deaths) values ('default', ?, ?, '[]', '{}')",
};

/** Old rows, passed by the only subscription: nobody misses them. The ledger has come to `highestId` since. */
async function writeOldRows(highestId: number): Promise<void> {
  const old = "('test.old.v1', 'old', '2020-01-01')";
  await run.client.run(`insert into waybill_outbox (type, topic, created_at) values ${`${old},`.repeat(9)} ${old}`);
  if (highestId > 10) await run.client.run("select setval('waybill_outbox_id_seq', ?)", [highestId]);
  await run.client.run(subscriptionAt, ["default", highestId]);
}

/** Prepares the scenario. Answers what to do to a relay that runs, so that the event comes. */
async function prepare(scenario: Scenario): Promise<(child: Awaited<ReturnType<CrashRun["startRelay"]>>) => Promise<void>> {
  switch (scenario) {
    case "work":
      await leaveReleasedLetters();
      await writeWork();
      return async () => undefined;
    case "stop":
      await writeWork();
      return async (child) => {
        await child.waitFor(named("relay.published"));
        child.tell("stop");
      };
    case "held": {
      const holder = await run.startRelay({ transportName: "another" });
      await holder.waitFor(named("relay.batchApplied"));
      await writeWork();
      return async (child) => {
        await child.exited;
        holder.tell("stop");
        await holder.exited;
      };
    }
    case "lineage": {
      const earlier = await run.startRelay();
      await run.write("orders", "a", "before");
      await earlier.waitFor(named("relay.published"));
      earlier.tell("stop");
      await earlier.exited;
      await run.client.run("update waybill_subscription set server_identity = 'another/0'");
      await writeWork();
      return async () => undefined;
    }
    case "wentBack": {
      await writeWork();
      await run.client.run({
        postgres: "insert into waybill_subscription (stream, subscription, last_id) values ('default', 'default', 5000)",
        mysql:
          "insert into waybill_subscription (stream, subscription, last_id, holes, solo_deaths) values ('default', 'default', 5000, '[]', '{}')",
      });
      return async (child) => {
        await child.exited;
        // Somebody decided that everything is to be read again.
        await run.client.run(
          inBoth(
            (own) =>
              `update waybill_subscription set state = 'active', state_reason = null, last_id = 0, owner = null, epoch = epoch + 1, lease_until = ${own.longAgo}`,
          ),
        );
      };
    }
    case "stolen":
      await writeWork();
      return async (child) => {
        await child.waitFor(named("relay.cursorSaved"));
        await run.client.run({
          postgres: "update waybill_subscription set epoch = epoch + 1, owner = gen_random_uuid(), lease_until = clock_timestamp()",
          mysql: "update waybill_subscription set epoch = epoch + 1, owner = uuid(), lease_until = utc_timestamp(6)",
        });
      };
    case "removed": {
      await run.write("orders", "a", "first");
      return async (child) => {
        await child.waitFor(named("relay.published"));
        // Not in the journal: what an operator removes by hand is the operator's.
        await run.client.run({
          postgres: "insert into waybill_outbox (type, topic, key, payload) values ('test.stuck.v1', 'stuck', 's', '{}')",
          mysql: "insert into waybill_outbox (type, topic, `key`, payload) values ('test.stuck.v1', 'stuck', 's', '{}')",
        });
        await child.waitFor(named("relay.parked"));
        await run.client.run("delete from waybill_outbox where topic = 'stuck'");
      };
    }
    case "ranges":
      // As after a crash that left more holes than there is room for.
      await run.write("orders", "a", "first");
      await run.client.run({
        postgres: "select setval('waybill_outbox_id_seq', 300000)",
        mysql: "insert into waybill_outbox (id, type, topic) values (300000, '', '')",
      });
      await run.client.run(
        {
          postgres: `insert into waybill_subscription (stream, subscription, last_id, hole_lo, hole_hi)
                     select 'default', 'default', 300000, ids, ids
                     from (select array_agg(i) as ids from generate_series(1::bigint, 240000, 2) as i where ? = '') as odd`,
          mysql:
            "insert into waybill_subscription (stream, subscription, last_id, holes, solo_deaths) values ('default', 'default', 300000, ?, '{}')",
        },
        [run.client.dialect === "postgres" ? "" : `[${Array.from({ length: 12_000 }, () => "1,1").join(",")}]`],
      );
      await run.write("orders", "a", "second");
      return async () => undefined;
    case "partitions":
      // Somebody left a table where the next partition belongs.
      await writeWork();
      await run.client.run("select setval('waybill_outbox_id_seq', 1500000)");
      await run.client.run("create table waybill_outbox_p3000001 ()");
      return async () => undefined;
    case "solo":
      await writeWork();
      await run.client.run({
        postgres: `insert into waybill_subscription (stream, subscription, owner, epoch, solo_id, last_id, hole_lo, hole_hi)
                   values ('default', 'default', gen_random_uuid(), 7, 3, 10, '{1}', '{10}')`,
        mysql: `insert into waybill_subscription (stream, subscription, owner, epoch, solo_id, last_id, holes, solo_deaths)
                values ('default', 'default', uuid(), 7, 3, 10, '[1,10]', '{}')`,
      });
      return async () => undefined;
    case "history":
      await writeOldRows(10);
      await writeWork();
      return async () => undefined;
    case "partitionsOver":
      // The first partition is over, and there is room for one more only.
      await writeOldRows(1_500_000);
      await writeWork();
      return async () => undefined;
    case "hintLost":
      await writeWork();
      return async (child) => {
        await child.waitFor(named("relay.hintListening"));
        await run.client.run(
          "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like '%relay hint'",
        );
      };
    case "pinned":
      await writeOldRows(10);
      await run.client.run(subscriptionAt, ["forgotten", 3]);
      await writeWork();
      return async (child) => {
        await child.exited;
        await run.client.run("delete from waybill_subscription where subscription = 'forgotten'");
      };
    case "defaultUsed":
      await run.client.run("drop table waybill_outbox_p1");
      await writeWork();
      return async () => undefined;
    case "partitionsMany":
      await run.client.run(`do $$ begin
        for low in 3000001 .. 3050001 by 1000 loop
          execute format('create table waybill_outbox_p%s partition of waybill_outbox for values from (%s) to (%s)', low, low, low + 1000);
        end loop; end $$`);
      await writeWork();
      return async () => undefined;
    case "historyBusy": {
      // The row is there: to make it takes the lock that the operator holds.
      await run.client.run(subscriptionAt, ["default", 0]);
      await writeWork();
      const operator = await connectApplication(run.url);
      await operator.run("begin");
      await operator.run("select 1 from waybill_stream for update");
      return async (child) => {
        await child.exited;
        await operator.end();
      };
    }
    case "tooLong":
      await run.client.run("insert into waybill_outbox (id, type, topic) values (3000000, '', '')");
      await run.client.run(
        "insert into waybill_subscription (stream, subscription, last_id, holes, solo_deaths) values ('default', 'default', 3000000, '[1,1500000]', '{}')",
      );
      await writeWork();
      return async (child) => {
        await child.exited;
        // Somebody looked: nothing of these ids was ever used. What else is to be read again stays.
        const [saved] = await run.client.run("select holes from waybill_subscription");
        const others = decodeRanges(String(saved?.["holes"])).filter(({ high }) => high > 1_500_000n);
        await run.client.run("update waybill_subscription set holes = ?", [encodeRanges(others)]);
      };
    case "delayed":
      await writeWork();
      for (let count = 0; count < 5; count += 1) await run.delay("waits", `delayed ${count}`);
      return async () => undefined;
    case "delayedRefused":
      await writeWork();
      await run.delay("waits", "until the table is back");
      await run.client.run("alter table waybill_outbox_delayed rename to elsewhere");
      return async (child) => {
        await child.exited;
        await run.client.run("alter table elsewhere rename to waybill_outbox_delayed");
      };
    case "doubtful":
      await run.client.run(`alter database ${new URL(run.url).pathname.slice(1)} set synchronous_commit = off`);
      await writeWork();
      return async () => undefined;
    case "throws":
      await writeWork();
      await run.write("throws", "t", "once");
      return async () => undefined;
  }
}

const dialects: ("postgres" | "mysql")[] = [];
await forEachDatabase((server) => {
  dialects.push(server.dialect);
});
let place = 0;
await forEachDatabase((server) => {
  const own = place++;
  describe(`a relay on ${server.name} killed with -9 loses nothing, and keeps first publications in order`, () => {
    for (const [event, [name, scenario]] of (Object.entries(scenarios) as [RelayEvent["name"], Scenario][]).entries()) {
      const dialect = onlyOn.get(name);
      if ((dialect ?? server.dialect) !== server.dialect) continue;
      const having = dialects.map((_, index) => index).filter((index) => dialect === undefined || dialects[index] === dialect);
      if (!hasItsTurn(event, having.indexOf(own), having.length)) continue;
      for (const nth of once.has(name) ? [1] : occurrences) {
        test(`at ${name}${nth === 1 ? "" : `, time ${nth}`}`, { timeout: 150_000 }, async () => {
          run = await crashRun(server.name);
          const provoke = await prepare(scenario);
          const victim = await run.startRelay({
            isStrict: true,
            repairedKey: "earlier",
            // What somebody is about to remove is to be parked then, and not copied.
            spillAfterMs: scenario === "removed" ? 60_000 : 40,
            kill: { name, nth, signal: "SIGKILL" },
          });
          const provoked = provoke(victim).catch(() => undefined); // the victim may be gone before everything was done to it
          await victim.waitFor(named(name), { deadlineMs: 40_000, what: name });
          expect(await victim.exited, victim.output()).toEqual({ code: null, signal: "SIGKILL" });
          await provoked;

          const finisher = await run.startRelay();
          await run.write("orders", "a", "after the kill");
          await finisher.waitFor(named("relay.leaseAcquired"));
          await run.redrive();
          await run.quiet();
          finisher.tell("stop");
          expect(await finisher.exited, finisher.output()).toEqual({ code: 0, signal: null });
          const twice = await run.client.run(
            "select message_id from waybill_outbox where topic <> '' group by message_id having count(*) > 1",
          );
          expect(twice).toEqual([]);
          expect(await run.verdict(1)).toMatchObject({ verdict: "passed", witnesses: [] });
        });
      }
    }
  });
});
