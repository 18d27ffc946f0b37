import { RowFields } from "@waybill/sql";
import { describe, expect, it } from "vitest";
import type { LedgerRow } from "./ledger.ts";
import { ledgerRowReader, storedPayload, textForm } from "./ledger-row.ts";

type Column = string | Uint8Array | null;

/** id, message_id, type, topic, key, headers, created_ms, payload, payload_bytes, left_bytes */
const columns = (over: Readonly<Record<number, Column>> = {}): Column[] => {
  const row: Column[] = ["41", "m41", "shop.order.placed.v1", "orders", "k", '{"a":"b"}', "1700000000123", "{}", null, null];
  return row.map((column, place) => (place in over ? (over[place] as Column) : column));
};

const fieldsOf = (row: readonly Column[]): RowFields => {
  const fields = new RowFields();
  fields.fill(row.map((column) => (column === null ? null : Buffer.from(column as string))));
  return fields;
};

const read = (over: Readonly<Record<number, Column>> = {}): LedgerRow => ledgerRowReader(textForm)(fieldsOf(columns(over)));

describe("a row of the ledger", () => {
  it("is read from its bytes", () => {
    expect(read()).toEqual({
      id: 41n,
      messageId: "m41",
      type: "shop.order.placed.v1",
      topic: "orders",
      key: "k",
      headers: '{"a":"b"}',
      payload: Buffer.from("{}"),
      isText: true,
      leftBytes: null,
      createdAtMs: 1_700_000_000_123,
    });
  });

  it.each(["0", "1", "999999999999999", "9007199254740993", "9223372036854775807", "-5"])("has the exact id %s", (id) =>
    expect(read({ 0: id }).id).toBe(BigInt(id)),
  );

  it.each(["-62167219200000", "253402300799999", "0"])("has the time %s", (time) =>
    expect(read({ 6: time }).createdAtMs).toBe(Number(time)),
  );

  it("keeps text and bytes apart, and both from a tombstone", () => {
    expect(read({ 7: "" })).toMatchObject({ payload: Buffer.alloc(0), isText: true });
    expect(read({ 7: null, 8: Uint8Array.from([0, 255]) })).toMatchObject({ payload: Buffer.from([0, 255]), isText: false });
    expect(read({ 7: null })).toMatchObject({ payload: null, isText: false });
    expect(read({ 7: null, 9: "20000" })).toMatchObject({ payload: null, leftBytes: 20_000 });
  });

  it("keeps its payload when the next row has come over it", () => {
    const reader = ledgerRowReader(textForm);
    const fields = fieldsOf(columns({ 7: "first" }));
    const first = reader(fields);
    fields.bytes.fill(0x78);
    expect(storedPayload(first)).toBe("first");
  });

  it("has its own texts, whatever the rows before it had", () => {
    const reader = ledgerRowReader(textForm);
    // Same length, same ends, same middle: one slot for all of them. And some that are too long to be remembered.
    const texts = Array.from(
      { length: 500 },
      (_, index) => `ü-${String(index).padStart(3, "0")}-${index % 7 === 0 ? "x".repeat(300) : ""}ü`,
    );
    for (const text of [...texts, ...texts, ""]) {
      const row = reader(fieldsOf(columns({ 2: text, 3: text, 4: text, 5: text })));
      expect([row.type, row.topic, row.key, row.headers]).toEqual([text, text, text, text]);
    }
    expect(reader(fieldsOf(columns({ 4: null, 5: null })))).toMatchObject({ key: null, headers: null });
  });

  it("is copied as what it was stored as: text, bytes, nothing", () => {
    expect(storedPayload(read({ 7: "ü" }))).toBe("ü");
    expect(storedPayload(read({ 7: "" }))).toBe("");
    expect(storedPayload(read({ 7: null, 8: "{}" }))).toEqual(Buffer.from("{}"));
    expect(storedPayload(read({ 7: null }))).toBeNull();
  });
});
