import { namespace } from "@waybill/sql";
import { expect, it } from "vitest";
import { createLedger, createOutbox } from "./index.ts";
import { ledgerTables } from "./ledger-tables.ts";

it("the first stream lies in waybill_outbox, any other beside it under its name", () => {
  const { outbox, sequence, ids, stream, partition } = ledgerTables(namespace("postgres"), "default");
  expect([outbox, sequence, ids, stream, partition(3_000_001n)]).toEqual([
    '"waybill_outbox"',
    '"waybill_outbox_id_seq"',
    '"waybill_outbox_id"',
    '"waybill_stream"',
    '"waybill_outbox_p3000001"',
  ]);
  const audit = ledgerTables(namespace("postgres", { schema: "app", prefix: "acme_" }), "audit");
  expect([audit.outbox, audit.stream]).toEqual(['"app"."acme_audit_outbox"', '"app"."acme_stream"']);
});

it("names that are no identifiers, or too long for a partition's name, are refused", () => {
  const code = "WAYBILL_IDENTIFIER_INVALID";
  expect(() => createOutbox({ stream: "a; drop table orders" })).toThrow(
    expect.objectContaining({ code, facts: { what: "stream" } }) as Error,
  );
  expect(() => createOutbox({ schema: "a.b" })).toThrow(expect.objectContaining({ code, facts: { what: "schema" } }) as Error);
  expect(() => createOutbox({ prefix: "p".repeat(37) })).toThrow(expect.objectContaining({ code, facts: { what: "prefix" } }) as Error);
  expect(() => createLedger({ space: namespace("postgres"), stream: "s".repeat(30) })).toThrow(
    expect.objectContaining({ code, facts: { what: "stream" } }) as Error,
  );
  expect(ledgerTables(namespace("postgres", { prefix: "p".repeat(36) }), "default").partition(2n ** 63n - 1n)).toHaveLength(65);
});

it("on MySQL the names are quoted its way, and keys are locked in one table for all ledgers", () => {
  const audit = ledgerTables(namespace("mysql", { schema: "app" }), "audit");
  expect([audit.outbox, audit.outboxName, audit.ids, audit.keyLocks]).toEqual([
    "`app`.`waybill_audit_outbox`",
    "waybill_audit_outbox",
    "`app`.`waybill_audit_outbox_id`",
    "`app`.`waybill_key_lock`",
  ]);
});
