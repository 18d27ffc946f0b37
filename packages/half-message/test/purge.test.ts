import { newMessageId, type WaybillEvent } from "@waybill/core";
import { forEachDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPurge, type Purge } from "../src/purge.ts";
import { type HalfMessageFixture, halfMessageFixture, type Replica } from "./half-message-fixture.ts";

const dayMs = 86_400_000;

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    let replica: Replica;
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
      // What the loops of a replica do is done here by hand.
      replica = await fixture.replica({ retentionMs: 50, tombstoneMs: dayMs, purgeEveryMs: dayMs });
    });
    afterAll(() => fixture.close());

    function purge(changes: Partial<Parameters<typeof createPurge>[0]["rules"]> = {}): Purge {
      const clock = { monotonicMs: () => 0, wallMs: () => 0, setTimer: () => ({ cancel: () => undefined }) };
      const rules = {
        clock,
        onEvent: undefined,
        purgeEveryMs: dayMs,
        tombstoneMs: dayMs,
        deadRetentionMs: dayMs,
        logRetentionMs: 50,
        ...changes,
      };
      return createPurge({ rules, database: fixture.database, space: fixture.space });
    }

    const rows = (table: string, id: string): Promise<number> => fixture.count(table, `id = '${id}'`);
    const isDue = (id: string) => async (): Promise<boolean> => {
      const now = fixture.database.dialect === "mysql" ? "utc_timestamp(6)" : "clock_timestamp()";
      return (await fixture.count("half_message", `id = '${id}' and purge_at <= ${now}`)) === 1;
    };

    test("H21 what was rolled back loses its body when its time has come, and its row, which keeps the id spent, later", async () => {
      const [decided, undecided] = [newMessageId(), newMessageId()];
      await replica.prepare(decided);
      await replica.prepare(undecided);
      await replica.rollback(decided);
      await waitUntil(isDue(decided), { what: "its time has come" });
      await purge().step();
      expect([await rows("half_message_body", decided), await rows("half_message", decided)]).toEqual([0, 1]);
      expect(await replica.prepare(decided)).toMatchObject({ status: 409, body: { code: "already_rolled_back" } });
      await purge().step();
      expect(await rows("half_message", decided)).toBe(1);
      // Of the tombstone's whole time nothing but the last moment is left.
      await fixture.rows(`update waybill_half_message set purge_at = decided_at where id = '${decided}'`);
      await purge().step();
      expect(await rows("half_message", decided)).toBe(0);
      expect([await rows("half_message_body", undecided), await rows("half_message", undecided)]).toEqual([1, 1]);
    });

    test("H21 what is not delivered, or died lately, keeps its body; what is delivered goes with its deliveries", async () => {
      const [open, dead, done] = [newMessageId(), newMessageId(), newMessageId()];
      const now = fixture.database.dialect === "mysql" ? "utc_timestamp(6)" : "clock_timestamp()";
      for (const id of [open, dead, done]) {
        await replica.prepare(id);
        await replica.commit(id);
        await waitUntil(isDue(id), { what: "its time has come" });
      }
      await fixture.rows(
        `update waybill_delivery set state = 'pending', acked_at = null, dead_at = null, dead_reason = null where id = '${open}'`,
      );
      await fixture.rows(
        `update waybill_delivery set state = 'dead', acked_at = null, dead_at = ${now}, dead_reason = 'rejected' where id = '${dead}'`,
      );
      await fixture.rows(`update waybill_delivery set state = 'acked', acked_at = ${now} where id = '${done}'`);
      await purge().step();
      for (const id of [open, dead]) expect([await rows("half_message_body", id), await rows("delivery", id)]).toEqual([1, 1]);
      expect([await rows("half_message_body", done), await rows("delivery", done), await rows("half_message", done)]).toEqual([0, 0, 1]);
      await fixture.rows(`update waybill_half_message set purge_at = decided_at where id = '${dead}'`);
      await purge({ deadRetentionMs: 0 }).step();
      expect([await rows("half_message_body", dead), await rows("delivery", dead)]).toEqual([0, 0]);
    });

    test("a kind that cannot be removed is told, and the others are removed all the same", async () => {
      const past = fixture.database.dialect === "mysql" ? "utc_timestamp(6) - interval 1 day" : "clock_timestamp() - interval '1 day'";
      await fixture.rows(`insert into waybill_nonce (key_id, nonce, expires_at) values ('k', 'expired', ${past})`);
      const told: WaybillEvent[] = [];
      await fixture.rows("alter table waybill_decision_log rename to decision_log_away");
      await purge({ onEvent: (event) => told.push(event) }).step();
      await fixture.rows("alter table decision_log_away rename to waybill_decision_log");
      expect(told).toEqual([{ name: "halfMessage.purgeFailed", kind: "log", code: "WAYBILL_DATABASE" }]);
      expect(await fixture.count("nonce", "nonce = 'expired'")).toBe(0);
    });

    test("the log of decisions is never changed, and none of its entries goes before its time", async () => {
      const id = newMessageId();
      await replica.rollback(id);
      await expect(fixture.rows("update waybill_decision_log set reason = 'other'")).rejects.toMatchObject({ code: "WAYBILL_DATABASE" });
      await expect(fixture.rows(`delete from waybill_decision_log where id = '${id}'`)).rejects.toMatchObject({ code: "WAYBILL_DATABASE" });
      const old = fixture.database.dialect === "mysql" ? "utc_timestamp(6) - interval 40 day" : "clock_timestamp() - interval '40 days'";
      await fixture.rows(
        `insert into waybill_decision_log (producer, id, at, event, actor) values ('payments', 'old', ${old}, 'committed', 'a')`,
      );
      await purge({ logRetentionMs: 35 * dayMs }).step();
      expect([await rows("decision_log", "old"), await rows("decision_log", id)]).toEqual([0, 1]);
    });
  }),
);
