/**
 * Relays of one subscription beside each other: the one that has the lease dies, is stopped, or is frozen for longer than its lease, and
 * another goes on. What the frozen one does when it thaws must change nothing. The auditor judges each run.
 */
import type { Child, ChildEvent } from "@waybill/testing";
import { createLeaseRecord, forEachDatabaseInTurn, judgeLease, readLeaseWrites, waitUntil } from "@waybill/testing";
import { afterEach, describe, expect, test } from "vitest";
import { type CrashRun, crashRun, named } from "./crash-run.ts";

const isCampaign = process.env["WAYBILL_TEST_ALL"] === "1";
const leaseMs = 1_000;
/** CI runs this beside other tests on a slow machine, where a process alone may wait for seconds: there the times only say that it comes at all. */
const slackMs = process.env["CI"] === "true" ? 20_000 : 0;

let run: CrashRun;
afterEach(() => run.close());

async function begin(server: string): Promise<void> {
  run = await crashRun(server);
  await createLeaseRecord(run.client);
}

const epochOf = (child: Child): number => Number(child.events.findLast(named("relay.leaseAcquired"))?.["epoch"] ?? 0);
const published = (event: ChildEvent): boolean => event["name"] === "relay.published" && event["confirmed"] !== 0;

/** A relay that has the lease, and one that waits for it. */
async function startPair(): Promise<{ active: Child; standby: Child }> {
  const active = await run.startRelay({ leaseMs });
  await active.waitFor(published);
  return { active, standby: await startStandby() };
}

async function startStandby(): Promise<Child> {
  const standby = await run.startRelay({ leaseMs });
  await standby.waitFor(named("relay.standby"));
  return standby;
}

/** Milliseconds from now until another relay has the lease, and until it has published something. */
async function goesOn(child: Child): Promise<{ acquiredMs: number; publishedMs: number }> {
  const from = child.events.length;
  const nowMs = performance.now();
  await child.waitFor(named("relay.leaseAcquired"), { from, what: "the lease is taken over" });
  const acquiredMs = performance.now() - nowMs;
  await child.waitFor(published, { from, what: "the other publishes" });
  return { acquiredMs, publishedMs: performance.now() - nowMs };
}

/** Everything is published; whoever is left ends well, and the auditor and the row's history find nothing. */
async function endsWell(faults: number, takeovers: number, ...left: readonly Child[]): Promise<void> {
  await run.quiet();
  for (const child of left) child.kill("SIGTERM");
  for (const child of left) expect(await child.exited, child.output()).toEqual({ code: 0, signal: null });
  const lease = judgeLease(await readLeaseWrites(run.client));
  expect(lease.zombieWrites).toEqual([]);
  const effort = { takeoversMin: takeovers, committedMin: 20 };
  expect(await run.verdict(faults, effort, lease.takeovers)).toMatchObject({ verdict: "passed", witnesses: [], reasons: [] });
}

/** Messages that a relay has begun to send. */
const begunBy = (child: Child): number =>
  child.events.filter(named("relay.publishing")).reduce((sum, event) => sum + Number(event["messages"]), 0);

/** Where a relay is frozen, and for which times. */
const freezes = [
  { place: "before it sends a batch", kill: "relay.publishing", nths: [3, 20] },
  { place: "between read and publish", kill: "relay.batchApplied", nths: [1, 20] },
  { place: "in the middle of a call", kill: null, nths: [7, 29] },
] as const;

async function databaseNowMs(): Promise<number> {
  const [row] = await run.client.run({
    postgres: "select extract(epoch from clock_timestamp()) * 1000 as now_ms",
    mysql: "select unix_timestamp(now(6)) * 1000 as now_ms",
  });
  return Number(row?.["now_ms"]);
}

await forEachDatabaseInTurn("takeover", (server) => {
  describe(`two relays on one subscription of ${server.name}, under load`, () => {
    test("the other publishes within lease + 2 s after kill -9", { timeout: isCampaign ? 180_000 : 120_000 }, async () => {
      await begin(server.name);
      const load = await run.load();
      let { active, standby } = await startPair();
      const times = isCampaign ? 10 : 3;
      for (let time = 0; time < times; time += 1) {
        const other = goesOn(standby);
        active.kill("SIGKILL");
        const { publishedMs } = await other;
        expect(await active.exited).toEqual({ code: null, signal: "SIGKILL" });
        expect(publishedMs).toBeLessThan(leaseMs + 2_000 + slackMs);
        active = standby;
        standby = await startStandby();
      }
      await load.stop();
      await endsWell(times, times, active, standby);
    });

    test("the other publishes within 1 s after SIGTERM, and the first exits 0", { timeout: isCampaign ? 180_000 : 120_000 }, async () => {
      await begin(server.name);
      const load = await run.load();
      let { active, standby } = await startPair();
      const times = isCampaign ? 10 : 3;
      for (let time = 0; time < times; time += 1) {
        const other = goesOn(standby);
        active.kill("SIGTERM");
        const { publishedMs } = await other;
        expect(await active.exited, active.output()).toEqual({ code: 0, signal: null });
        expect(publishedMs).toBeLessThan(1_000 + slackMs);
        active = standby;
        standby = await startStandby();
      }
      await load.stop();
      await endsWell(times, times, active, standby);
    });
  });

  describe(`a relay on ${server.name} frozen for longer than its lease`, () => {
    for (const { place, kill, nths } of freezes) {
      for (const nth of isCampaign ? Array.from({ length: 20 }, (_, at) => 1 + at * 9) : nths) {
        test(`${place}, time ${nth}: writes and publishes nothing when it thaws`, { timeout: 60_000 }, async () => {
          await begin(server.name);
          for (let count = 0; count < (isCampaign ? 200 : 30); count += 1)
            await run.write("orders", `backlog ${count % 3}`, `order ${count}`);
          const load = await run.load();
          const zombie = await run.startRelay({
            leaseMs,
            kill: kill === null ? null : { name: kill, nth, signal: "SIGSTOP", hasWork: kill === "relay.batchApplied" },
            freezeAtMessage: kill === null ? nth : null,
          });
          await zombie.waitFor(named("relay.leaseAcquired"));
          const other = await run.startRelay({ leaseMs });
          await goesOn(other);
          const frozenAt = zombie.events.length;
          const frozenEpoch = epochOf(zombie);
          expect(zombie.events.at(-1)?.["name"]).toBe(kill ?? "relay.publishing");
          if (kill === null) expect(begunBy(zombie)).toBeGreaterThan(nth); // else nothing was left to hold back
          // The other has come past everything the zombie had in its hands, and said so in the table.
          await other.waitFor(named("relay.cursorSaved"));

          const before = await run.published();
          zombie.kill("SIGCONT");
          const lost = await zombie.waitFor(named("relay.leaseLost"), { from: frozenAt, what: "the zombie notices" });
          expect(lost).toMatchObject({ epoch: String(frozenEpoch), reason: "expired" });
          await zombie.waitFor(named("relay.standby"), { from: frozenAt, what: "the zombie stands by" });
          const since = (await run.published()).slice(before.length);
          expect(since.filter(({ relay }) => relay === zombie.pid)).toEqual([]);
          expect((await readLeaseWrites(run.client)).at(-1)?.epoch).toBeGreaterThan(frozenEpoch);
          const goingOn = other.events.length;
          await other.waitFor(published, { from: goingOn, what: "the other goes on" });
          await load.stop();
          await endsWell(1, 1, zombie, other);
        });
      }
    }

    test("five times in a row, under load: no write of a zombie, and nothing lost or turned round", {
      timeout: isCampaign ? 300_000 : 60_000,
    }, async () => {
      await begin(server.name);
      const load = await run.load();
      const { active, standby } = await startPair();
      const times = isCampaign ? 40 : 5;
      for (let time = 0; time < times; time += 1) {
        const [frozen, other] = epochOf(active) > epochOf(standby) ? [active, standby] : [standby, active];
        const taken = goesOn(other);
        frozen.kill("SIGSTOP");
        const from = frozen.events.length;
        const frozenAtMs = await databaseNowMs();
        await taken;
        await waitUntil(async () => (await databaseNowMs()) > frozenAtMs + 2.5 * leaseMs, { what: "two and a half leases have passed" });
        const before = (await run.published()).length;
        frozen.kill("SIGCONT");
        await frozen.waitFor(named("relay.leaseLost"), { from, what: "the zombie notices" });
        await frozen.waitFor(named("relay.standby"), { from, what: "the zombie stands by" });
        const since = (await run.published()).slice(before).filter(({ relay }) => relay === frozen.pid);
        // It may have been frozen between asking and writing: what was in its hands then is written late.
        expect(since.length).toBeLessThanOrEqual(1);
      }
      await load.stop();
      await endsWell(times, times, active, standby);
    });
  });

  describe(`relays on ${server.name} that start at the same time`, () => {
    test("of five on 5 000 rows one publishes, and each row once", { timeout: 60_000 }, async () => {
      await begin(server.name);
      await run.client.run({
        postgres: "insert into business select gen_random_uuid()::text from generate_series(1, 5000)",
        mysql:
          "insert into business with recursive n as (select 1 as i union all select i + 1 from n where i < 1000) select uuid() from n, (select i from n limit 5) as five",
      });
      await run.client.run({
        postgres: `insert into waybill_outbox (message_id, type, topic, key, payload)
                 select message_id::uuid, 'test.orders.v1', 'orders', 'key ' || abs(hashtext(message_id)) % 50, '{}' from business`,
        mysql: `insert into waybill_outbox (message_id, type, topic, \`key\`, payload)
              select message_id, 'test.orders.v1', 'orders', concat('key ', crc32(message_id) % 50), '{}' from business`,
      });
      const children = await Promise.all(Array.from({ length: 5 }, () => run.startRelay({ leaseMs: 10_000 })));
      await Promise.all(
        children.map((child) => child.waitFor((event) => event["name"] === "relay.leaseAcquired" || event["name"] === "relay.standby")),
      );
      await run.quiet();
      const holders = children.filter((child) => epochOf(child) > 0);
      expect(holders).toHaveLength(1);
      for (const child of children) child.kill("SIGTERM");
      for (const child of children) expect(await child.exited, child.output()).toEqual({ code: 0, signal: null });
      const publications = await run.published();
      expect(publications).toHaveLength(5_000);
      expect(new Set(publications.map(({ relay }) => relay))).toEqual(new Set([holders[0]?.pid]));
      const verdict = await run.verdict(0, { committedMin: 5_000 });
      expect(verdict).toMatchObject({ verdict: "passed", witnesses: [], counts: { published: 5_000, repeated: 0 } });
      expect(judgeLease(await readLeaseWrites(run.client)).zombieWrites).toEqual([]);
    });
  });
});
