import { newMessageId, systemClock, systemRandom } from "@waybill/core";
import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDeliveryStore } from "../src/create-delivery-store.ts";
import { createHalfMessageStore } from "../src/create-store.ts";
import type { Request } from "../src/store.ts";
import { createWriter } from "../src/writer.ts";
import { type HalfMessageFixture, halfMessageFixture, type Replica } from "./half-message-fixture.ts";

const everything = process.env.WAYBILL_TEST_ALL === "1";
const rounds = everything ? 1_000 : 150;
const atOnce = 25;

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    let one: Replica;
    let other: Replica;
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
      one = await fixture.replica();
      other = await fixture.replica();
    });
    afterAll(() => fixture.close());

    test(
      `${rounds} times a commit, a rollback and a check's answer at once: one decides, and whoever contradicts is refused and in the log`,
      async () => {
        const { database, space } = fixture;
        const deliveries = createDeliveryStore({
          random: systemRandom,
          space,
          rulesOf: () => ({ ack: "implicit", ordering: "key", giveUpAfterMs: 60_000 }),
        });
        const store = createHalfMessageStore({ space, deliveries, random: { fraction: () => 0.5 }, retentionMs: 60_000 });
        const writer = createWriter({ store, units: database, connections: 2, clock: systemClock });
        const schedule = {
          pendingDelaysMs: [10_000],
          unansweredBackoff: { firstMs: 5_000, maxMs: 60_000 },
          suspendedCheckMs: 0,
          unfencedGraceMs: 60_000,
          leaseMs: 60_000,
        };
        const winners = { producer: 0, check: 0 };
        for (let done = 0; done < rounds; done += atOnce) {
          const ids = Array.from({ length: atOnce }, newMessageId);
          await Promise.all(ids.map((id) => one.prepare(id, { check: { afterMs: 100 } })));
          for (const id of ids) await one.operate(id, "check-now");
          const claimed = new Map((await store.claimChecks(database, "payments", 100, 60_000)).map((check) => [check.id, check]));
          await Promise.all(
            ids.map(async (id, index) => {
              const check = claimed.get(id);
              if (check === undefined) throw new Error("A check that is due was not claimed.");
              const to = index % 2 === 0 ? "committed" : "rolled_back";
              const answer = {
                token: check.token,
                barrier: null,
                decision: to,
                isBinding: true,
                reason: null,
                mayBeUnderWay: false,
                retryAfterMs: null,
              } as const;
              const asked: Request = {
                producer: "payments",
                id,
                wish: { kind: "check", answer, schedule },
                actor: `check:${check.checkNumber}`,
                reason: null,
                checkNumber: check.checkNumber,
                body: null,
              };
              const [commit, rollback, checked] = await Promise.all([one.commit(id), other.rollback(id), writer.judge(asked)]);
              const changes = [commit.body.changed === true, rollback.body.changed === true, checked.verdict.kind === "decide"];
              expect(changes.filter((isChange) => isChange)).toHaveLength(1);
              expect([commit.status, rollback.status].sort((a, b) => a - b)).toEqual([200, 409]);
              winners[changes[2] === true ? "check" : "producer"] += 1;
            }),
          );
          const where = `id in (${ids.map((id) => `'${id}'`).join(", ")})`;
          expect(await fixture.count("decision_log", `${where} and event in ('committed', 'rolled_back')`)).toBe(atOnce);
          const committed = await fixture.count("half_message", `${where} and state = 'committed'`);
          expect(await fixture.count("delivery", where)).toBe(committed);
          expect(await fixture.count("half_message", `${where} and (check_at is not null or check_token is not null)`)).toBe(0);
          // One of commit and rollback always contradicts what stands; a check contradicts, agrees, or decided.
          expect(await fixture.count("decision_log", `${where} and event = 'conflict'`)).toBeGreaterThanOrEqual(atOnce);
        }
        expect(winners.producer).toBeGreaterThan(0);
      },
      everything ? 900_000 : 60_000,
    );
  }),
);
