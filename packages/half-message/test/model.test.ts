/**
 * The API against a model, in random order: prepares, commits, rollbacks, extensions, checks and their answers, what an operator does, what somebody without
 * the right to it tries, all of it repeated, on two replicas that share one database and crash now and then in the middle of a call.
 *
 * `model-commands.ts` says what each answer must be, `model-invariants.ts` what must hold at rest: I1 to I8.
 */
import { newMessageId } from "@waybill/core";
import { type Database, openDatabase } from "@waybill/sql";
import { type FaultProxy, forEachDatabase, type MemoryTransport, memoryTransport, startFaultProxy } from "@waybill/testing";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HalfMessageFixture, halfMessageFixture, type Replica } from "./half-message-fixture.ts";
import { type Command, certain, commands, type Model, quota, type Real } from "./model-commands.ts";
import { expectInvariants, expectQuota } from "./model-invariants.ts";

const everything = process.env.WAYBILL_TEST_ALL === "1";
const numRuns = everything ? 300 : 25;

/** A replica whose connections can be taken away. */
interface Place {
  readonly replica: Replica;
  readonly database: Database;
  readonly proxy: FaultProxy;
}

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    let transport: MemoryTransport;
    let places: [Place, Place];
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
      transport = memoryTransport();
      // Some are published and nobody hears of it, so that they come again; some are never taken.
      transport.inject({
        kind: "reject",
        times: Number.POSITIVE_INFINITY,
        when: ({ payload }) => Buffer.from(payload ?? "").includes("unwelcome"),
      });
      transport.inject({ kind: "unknown", isStored: true, times: Number.POSITIVE_INFINITY, probability: 0.2, seed: 7 });
      places = [await start(), await start()];
    });
    afterAll(async () => {
      await Promise.all(places.map(end));
      await fixture.close();
    });

    async function start(): Promise<Place> {
      const { hostname, port } = new URL(fixture.url);
      const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      const database = openDatabase({ url: proxy.url(fixture.url), connections: 10 });
      const replica = await fixture.replica({
        database,
        pollMs: 50,
        leaseMs: 500,
        shutdownMs: 50,
        producers: {
          payments: { check: { via: "pull" }, suspendGraceMs: 50 },
          orders: { check: { via: "pull" }, undecidedQuota: quota },
        },
        destinations: {
          kafka: { transport, backoff: { firstMs: 50, maxMs: 100 }, breaker: { failuresMax: 5, firstMs: 50, maxMs: 100 } },
        },
      });
      return { replica, database, proxy };
    }

    async function end({ replica, database, proxy }: Place): Promise<void> {
      await replica.stop();
      await database.close({ deadlineMs: 50 });
      await proxy.stop();
    }

    test(
      "I1 I2 I3 I4 I5 I6 I7 I8 whatever is called in whatever order, and whoever crashes: the answers are those of the model, and the invariants hold",
      async () => {
        const seen: Real["seen"] = { crashed: 0, applied: 0, refusedByQuota: 0 };
        const sums = { suspended: 0, repeated: 0, dead: 0 };
        const real: Real = {
          get replicas() {
            return [places[0].replica, places[1].replica] as const;
          },
          seen,
          async crash(which) {
            const crashed = places[which];
            // What it sends now reaches nobody: to the others it is gone, whatever it was doing.
            crashed.proxy.inject({ kind: "refuse" });
            crashed.proxy.cutAll();
            places[which] = await start();
            await end(crashed);
            seen.crashed += 1;
          },
          async flooded() {
            const ids = Array.from({ length: 2 * quota }, newMessageId);
            const answers = await Promise.all(ids.map((id, nth) => real.replicas[nth % 2 === 0 ? 0 : 1].prepare(id, {}, "orders")));
            await expectQuota(fixture);
            for (const { status, body } of answers) {
              if (status === 201) continue;
              expect([status, body["code"]]).toEqual([429, "undecided_quota"]);
              seen.refusedByQuota += 1;
            }
            await Promise.all(ids.flatMap((id, nth) => (answers[nth]?.status === 201 ? [real.replicas[0].rollback(id, "orders")] : [])));
          },
        };
        let runs = 0;
        const run = async (drawn: Iterable<Command>): Promise<void> => {
          runs += 1;
          const model: Model = { run: `run${runs}`, halves: new Map() };
          await fc.asyncModelRun(() => ({ model, real }), drawn);
          const counted = await expectInvariants(fixture, transport, real.replicas[0], model);
          for (const name of ["suspended", "repeated", "dead"] as const) sums[name] += counted[name];
          await finish(model, real);
        };
        await run(certain());
        await fc.assert(fc.asyncProperty(fc.commands([...commands], { maxCommands: 40, size: "max" }), run), {
          numRuns,
          endOnFailure: true,
        });
        // A campaign in which something never happened shows nothing of it.
        for (const [name, times] of Object.entries({ ...seen, ...sums })) expect([name, times > 0]).toEqual([name, true]);
      },
      everything ? 900_000 : 180_000,
    );

    /** Leaves nothing undecided: the next run's claims are to find its own checks. */
    async function finish({ halves }: Model, { replicas }: Real): Promise<void> {
      for (const [id, { state, local }] of halves) {
        if (state === "undecided") await (local === "committed" ? replicas[0].commit(id) : replicas[0].rollback(id));
      }
    }
  }),
);
