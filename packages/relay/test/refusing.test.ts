import { deadLetterMigrations } from "@waybill/dead-letter";
import { outboxMigrations } from "@waybill/outbox";
import { migrateUp, namespace, sqlMigrations } from "@waybill/sql";
import { describe, expect } from "vitest";
import { itOn, type RelayFixture, row, type StartedRelay } from "./relay-fixture.ts";

const it = itOn();

const rejectsWith = (relay: StartedRelay, code: string, facts: object = {}): Promise<void> =>
  expect(relay.ended).rejects.toMatchObject({ code, facts: expect.objectContaining(facts) });

/** A cursor that was saved after a few messages. */
async function published(fixture: RelayFixture): Promise<void> {
  await fixture.append(row("k"), row("k"), row("k"));
  const relay = fixture.start();
  await relay.hasPublished(3);
  await relay.stop();
}

describe("a relay stops for an operator", () => {
  it("when a set of migrations is missing, and says which", async ({ fixture }) => {
    const place = { prefix: "other_" };
    await rejectsWith(fixture.start(place), "WAYBILL_SCHEMA_MISMATCH", { set: "outbox", found: null });
    await migrateUp(fixture.database, namespace("postgres", place), [sqlMigrations, outboxMigrations, deadLetterMigrations]);
    await rejectsWith(fixture.start(place), "WAYBILL_SCHEMA_MISMATCH", { set: "relay", found: null });
  });

  it("when the tables are of a newer version, or were made from other files", async ({ fixture }) => {
    await fixture.run(
      'insert into waybill_migration select (jsonb_populate_record(m, \'{"number": 99, "name": "099_later.sql"}\')).* from waybill_migration m where set_name = \'relay\' and number = 1',
    );
    await rejectsWith(fixture.start(), "WAYBILL_SCHEMA_MISMATCH", { set: "relay" });
    await fixture.run("delete from waybill_migration where number = 99");
    await fixture.run("update waybill_migration set checksum = repeat('0', 64) where set_name = 'relay'");
    await rejectsWith(fixture.start(), "WAYBILL_MIGRATION_CHANGED", { set: "relay" });
  });

  for (const [what, prepare] of Object.entries({
    "that was used before": published,
    "that was never used": async () => undefined,
  }))
    it(`but not because the server takes no writes for a while, for a subscription ${what}`, async ({ fixture }) => {
      await prepare(fixture);
      const name = new URL(fixture.url).pathname.slice(1);
      await fixture.run(`alter database ${name} set default_transaction_read_only = on`);
      const relay = fixture.start();
      await relay.seen("relay.restarting", { when: ({ code }) => code === "WAYBILL_READ_ONLY" });
      expect(relay.relay.health()).toMatchObject({ state: "failing", lastError: "WAYBILL_READ_ONLY" });
      await fixture.run(`alter database ${name} reset default_transaction_read_only`);
      await relay.seen("relay.leaseAcquired");
    });

  for (const [what, change] of Object.entries({
    "step by more than one": "alter table waybill_outbox alter column id set increment by 2",
    "are cached": "alter sequence waybill_outbox_id_seq cache 20",
  }))
    it(`when ids ${what}`, async ({ fixture }) => {
      await fixture.run(change);
      await rejectsWith(fixture.start(), "WAYBILL_LEDGER_UNSAFE");
    });
});
