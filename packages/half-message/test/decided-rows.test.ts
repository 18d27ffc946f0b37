import { newMessageId, newToken, systemRandom } from "@waybill/core";
import { committedValue, type OwnedTx, openDatabase, tableOf } from "@waybill/sql";
import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDeliveryStore } from "../src/create-delivery-store.ts";
import { createHalfMessageStore } from "../src/create-store.ts";
import type { Wish } from "../src/decision.ts";
import type { HalfMessageStore, Judged, NewHalfMessage, Request } from "../src/store.ts";
import { type HalfMessageFixture, halfMessageFixture } from "./half-message-fixture.ts";

const schedule = {
  pendingDelaysMs: [1_000],
  unansweredBackoff: { firstMs: 1_000, maxMs: 1_000 },
  suspendedCheckMs: 1_000,
  unfencedGraceMs: 1_000,
  leaseMs: 60_000,
};

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    let store: HalfMessageStore;
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
      const rulesOf = () => ({ ack: "implicit", ordering: "key", giveUpAfterMs: 60_000 }) as const;
      const deliveries = createDeliveryStore({ random: systemRandom, space: fixture.space, rulesOf });
      store = createHalfMessageStore({ space: fixture.space, deliveries, random: systemRandom, retentionMs: 60_000 });
    });
    afterAll(() => fixture.close());

    const tables = ["half_message", "half_message_body"];
    const halfMessage = (id: string): NewHalfMessage => {
      const message = { messageId: id, type: "a", topic: "payments", key: id, businessKey: null, delayMs: 0, headers: {} };
      return {
        producer: "payments",
        id,
        fingerprint: "ab".repeat(32),
        barrier: null,
        orderKey: null,
        traceparent: null,
        preparedBy: "payments-1",
        checkAfterMs: 0,
        suspendAfterMs: 60_000,
        messages: [{ ...message, payload: Buffer.from("x"), destinations: ["kafka"] }],
      };
    };
    const prepare = async (id: string): Promise<void> => {
      const operation = "prepare";
      committedValue(operation, await fixture.database.unitOfWork((tx) => store.prepare(tx, [halfMessage(id)]), { operation }));
    };
    const requestOf = (id: string, wish: Wish): Request => {
      return { producer: "payments", id, wish, actor: "producer:payments-1", reason: null, checkNumber: null, body: null };
    };
    const judge = async (id: string, wish: Wish): Promise<Judged> => {
      const operation = "judge";
      const work = (tx: OwnedTx): ReturnType<HalfMessageStore["judge"]> => store.judge(tx, [requestOf(id, wish)]);
      const [judged] = committedValue(operation, await fixture.database.unitOfWork(work, { operation, byIndex: true })).judged;
      if (judged === null || judged === undefined) throw new Error("Nothing was judged.");
      return judged;
    };

    test.runIf(server.dialect === "postgres")("no plan that was made while the tables were small reads them as a whole", async () => {
      for (const table of tables) await fixture.database.execute(`vacuum analyze ${tableOf(fixture.space, table)}`, []);
      const scans = "select coalesce(sum(seq_scan), 0)::text as scans from pg_stat_xact_user_tables where relname in ($1, $2)";
      const names = tables.map((table) => `waybill_${table}`);
      const ids = Array.from({ length: 12 }, newMessageId);
      for (const id of ids) await prepare(id);
      // One session, which keeps the plans.
      const own = openDatabase({ url: fixture.url, connections: 1 });
      const operation = "judge";
      for (const id of ids) {
        const outcome = await own.unitOfWork(
          async (tx) => {
            await store.judge(tx, [requestOf(id, { kind: "commit", fingerprint: null, mayCreate: false })]);
            return (await tx.query(scans, names))[0]?.["scans"];
          },
          { operation, byIndex: true },
        );
        expect(committedValue(operation, outcome)).toBe("0");
      }
      await own.close();
    });

    test("what a decision answers is the row as it stands", async () => {
      const claimOf = async (id: string): Promise<string> => {
        const claimed = await store.claimChecks(fixture.database, "payments", 10, 60_000);
        return claimed.find((check) => check.id === id)?.token ?? newToken();
      };
      const wishes: readonly ((id: string) => Promise<Wish>)[] = [
        async () => ({ kind: "commit", fingerprint: null, mayCreate: false }),
        async () => ({ kind: "rollback" }),
        async () => ({ kind: "force", to: "committed" }),
        async (id) => {
          const rest = { isBinding: false, barrier: null, reason: null, mayBeUnderWay: false, retryAfterMs: null };
          return { kind: "check", answer: { ...rest, decision: "committed", token: await claimOf(id) }, schedule };
        },
      ];
      for (const wishFor of wishes) {
        const id = newMessageId();
        await prepare(id);
        const { verdict, after } = await judge(id, await wishFor(id));
        expect(verdict.kind).toBe("decide");
        const stands = await store.read(fixture.database, "payments", id);
        expect({ ...after, nowMs: 0 }).toEqual({ ...stands, nowMs: 0 });
      }
    });
  }),
);
