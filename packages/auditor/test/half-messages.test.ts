import { readFileSync } from "node:fs";
import { forEachDatabase, type TestDatabase, testDatabase } from "@waybill/testing";
import { createConnection } from "mysql2/promise";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { audit } from "../src/audit.ts";
import { AuditInputError } from "../src/audit-input-error.ts";
import { digest } from "../src/digest.ts";
import { readHalfMessages } from "../src/half-messages.ts";

/** The tables of the shipped migration, read as text: the auditor imports nothing of what it judges. Triggers come last, and are not needed. */
const tables = (dialect: "postgres" | "mysql"): string =>
  readFileSync(new URL(`../../half-message/sql/${dialect}/001_half_message.sql`, import.meta.url), "utf8")
    .split("drop trigger", 1)
    .join("");

const half = (id: string, state: string, decidedBy: string | null): string =>
  decidedBy === null
    ? `('payments', '${id}', '${state}', 'f', 1, 1, 'k', null, null, null, now(), ${state === "prepared" ? "now()" : "null"})`
    : `('payments', '${id}', '${state}', 'f', 1, 1, 'k', now(), '${decidedBy}', now(), null, null)`;

await forEachDatabase((server) =>
  describe(`half messages in ${server.name} ${server.version}`, () => {
    let database: TestDatabase;
    let run: (sql: string) => Promise<unknown>;
    let end: () => Promise<void>;
    beforeAll(async () => {
      database = await testDatabase({ server: server.name });
      if (server.dialect === "postgres") {
        const client = new pg.Client({ connectionString: database.url });
        await client.connect();
        run = (sql) => client.query(sql);
        end = () => client.end();
      } else {
        const connection = await createConnection({ uri: database.url, multipleStatements: true });
        await connection.query("set session sql_mode = concat(@@sql_mode, ',ANSI_QUOTES')");
        run = (sql) => connection.query(sql);
        end = () => connection.end();
      }
      await run(tables(server.dialect));
    });
    afterAll(async () => {
      await end?.();
      await database?.drop();
    });

    it("are read as they lie there: what was committed is the ledger, its deliveries are the reader's progress", async () => {
      const fingerprint = server.dialect === "postgres" ? "sha256('f')" : "unhex(sha2('f', 256))";
      const halves = [
        half("acked", "committed", "producer:payments-1"),
        half("open", "committed", "check:2"),
        half("dead", "committed", "operator:anna"),
        half("missing", "committed", "producer:payments-1"),
        half("undone", "rolled_back", "check:1"),
        half("waiting", "prepared", null),
        half("stuck", "suspended", null),
      ].map((values) => values.replace("'f'", fingerprint));
      await run(
        `insert into waybill_half_message (producer, id, state, fingerprint, message_count, prepare_token, prepared_by, decided_at, decided_by, purge_at, check_at, suspend_at)
         values ${halves.join(", ")}`,
      );
      const bodies = ["acked", "open", "dead", "missing", "undone", "waiting"].map(
        (id) => `('payments', '${id}', 0, 'm-${id}', 't', 'payments', 'anna', '{}', '{"größe": "1"}', '["order","books"]')`,
      );
      await run(
        `insert into waybill_half_message_body (producer, id, ordinal, message_id, type, topic, "key", headers, payload, destinations)
         values ${bodies.join(", ")}, ('payments', 'acked', 1, 'm-elsewhere', 't', 'payments', null, '{}', '', '["books"]')`,
      );
      const delivery = (id: string, destination: string, state: string): string =>
        `(7, 'payments', '${id}', 0, 'm-${id}', '${destination}', '${state}', 'explicit', ${state === "acked" ? "now()" : "null"}, ${
          state === "dead" ? "now(), 'rejected'" : "null, null"
        })`;
      const deliveries = [
        delivery("acked", "books", "pending"),
        delivery("acked", "order", "acked"),
        delivery("dead", "order", "dead"),
        delivery("open", "order", "awaiting_ack"),
      ];
      await run(
        `insert into waybill_delivery (code, producer, id, ordinal, message_id, destination, state, ack_mode, acked_at, dead_at, dead_reason)
         values ${deliveries.join(", ")}`,
      );

      const entries = ["acked", "dead", "dead", "open", "undone"].map((id) => `('payments', '${id}', 'committed', 'k')`);
      await run(
        `insert into waybill_decision_log (producer, id, event, actor)
         values ${entries.join(", ")}, ('payments', 'open', 'conflict', 'k'), ('payments', 'stuck', 'suspended', 'k')`,
      );

      const part = await readHalfMessages({ url: database.url }, "order");
      expect(part.halfMessages.map(({ id, state, decidedBy, decisions }) => [id, state, decidedBy, decisions])).toEqual([
        ["acked", "committed", "producer:payments-1", 1],
        ["dead", "committed", "operator:anna", 2],
        ["missing", "committed", "producer:payments-1", 0],
        ["open", "committed", "check:2", 1],
        ["stuck", "suspended", null, 0],
        ["undone", "rolled_back", "check:1", 1],
        ["waiting", "prepared", null, 0],
      ]);
      const row = (id: string, sequence: bigint) => ({
        sequence,
        messageId: `m-${id}`,
        type: "t",
        topic: "payments",
        key: "anna",
        payloadDigest: digest('{"größe": "1"}'),
      });
      expect(part.ledger).toEqual([row("missing", 0n), row("acked", 2n), row("dead", 3n), row("open", 4n)]);
      expect(part.subscriptions).toEqual([
        { subscription: "order", lastId: 4n, openRanges: [{ lo: 4n, hi: 4n }], owner: null, isLeaseValid: false },
      ]);
      expect(part.deadLetters).toMatchObject([{ origin: "relay", reader: "order", messageId: "m-dead", state: "dead" }]);

      const { halfMessages: _, ...rest } = part;
      const received = [{ subscription: "order", messageId: "m-acked", payloadDigest: digest('{"größe": "1"}') }];
      const verdict = audit({ ...rest, intents: [], received, consumers: [], effects: [] });
      expect(verdict.counts).toMatchObject({ committed: 4, published: 1, lost: 2, openRanges: 1 });
    });

    it("cannot be read without their tables", async () => {
      await expect(readHalfMessages({ url: database.url, prefix: "absent_" }, "order")).rejects.toThrow(AuditInputError);
    });
  }),
);
