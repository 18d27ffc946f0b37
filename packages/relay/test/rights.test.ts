import { readdir, readFile } from "node:fs/promises";
import { openDatabase } from "@waybill/sql";
import { forEachDatabase } from "@waybill/testing";
import { describe, expect, onTestFinished } from "vitest";
import { itOn, row } from "./relay-fixture.ts";

/** The rights that the migrations ask for in their comments, for the relay's role alone, and those that READMEs name. */
async function rightsOfRelay(dialect: string): Promise<readonly string[]> {
  const folders = ["outbox", "relay"].map((name) => new URL(`../../${name}/sql/${dialect}/`, import.meta.url));
  const files = await Promise.all(
    folders.map(async (folder) => Promise.all((await readdir(folder)).map((name) => readFile(new URL(name, folder), "utf8")))),
  );
  const grants = files.flat().flatMap((text) => [...text.matchAll(/^-- +(grant .*waybill_relay);$/gm)].map(([, grant]) => String(grant)));
  return [
    ...grants.map((grant) => grant.replace(" to app,", " to")),
    "grant select, insert, update, delete on waybill_dead_letter to waybill_relay",
    "grant select on waybill_migration to waybill_relay",
  ];
}

await forEachDatabase((server) =>
  describe(`the rights of a relay that owns no table, on ${server.name}`, () => {
    const it = itOn(server);

    it("it publishes, moves delayed messages and does what upkeep it may, under one lease", async ({ fixture }) => {
      const role = `waybill_test_${Math.random().toString(36).slice(2, 10)}`;
      await fixture.run({ postgres: `create role ${role} login password 'secret'`, mysql: `create user ${role} identified by 'secret'` });
      for (const grant of await rightsOfRelay(server.dialect)) await fixture.run(grant.replace("waybill_relay", role));
      const url = new URL(fixture.url);
      url.username = role;
      url.password = "secret";
      const database = openDatabase({ url: url.href });
      const relay = fixture.start({ database });
      onTestFinished(async () => {
        await relay.stop();
        await database.close();
        if (server.dialect === "postgres") await fixture.run(`drop owned by ${role}`);
        await fixture.run({ postgres: `drop role ${role}`, mysql: `drop user ${role}` });
      });

      await fixture.append(row("k"));
      const past = { postgres: "clock_timestamp()", mysql: "utc_timestamp(6)" }[server.dialect];
      await fixture.run(`insert into waybill_outbox_delayed (due_at, type, topic) values (${past}, 'shop.reminder.v1', 'orders')`);
      await relay.hasPublished(2);
      await fixture.run(
        `insert into waybill_confirmation (message_id, consumer, stream, within_ms, due_at, type, topic)
         values ('00000000-0000-4000-8000-000000000001', 'inventory', 'default', 60000, ${past}, 'shop.reminder.v1', 'orders'),
                ('00000000-0000-4000-8000-000000000002', 'inventory', 'elsewhere', 60000, ${past}, 'shop.reminder.v1', 'orders')`,
      );
      await fixture.run("update waybill_confirmation set repeats = 5 where stream = 'elsewhere'");
      await relay.hasPublished(3);
      await fixture.run(`update waybill_confirmation set stream = 'default' where stream = 'elsewhere'`);
      await relay.seen("relay.unconfirmedGivenUp");
      const measured = await relay.seen("relay.ledgerMeasured");
      expect(measured.defaultRows).toBe(server.dialect === "postgres" ? 0 : null);
      expect(relay.eventsOf("relay.leaseAcquired")).toHaveLength(1);
      expect(relay.eventsOf("relay.delayedNotMoved")).toEqual([]);
      expect(relay.eventsOf("relay.unconfirmedNotRepeated")).toEqual([]);
    });
  }),
);
