import { RowFields } from "@waybill/sql";
import { describe, expect, it } from "vitest";
import type { LedgerRow } from "../ledger.ts";
import { ledgerRowReader } from "../ledger-row.ts";
import { binaryForm, hexForm } from "./row-forms.ts";

const int8 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};
const int4 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const text = (value: string): Buffer => Buffer.from(value);
const uuid = "0192a4b6-f00f-7abc-8def-00ff80017f10";
const epochMs = Date.UTC(2000, 0, 1);

const inBinary = (over: Readonly<Record<number, Buffer | null>> = {}): LedgerRow => {
  const row: (Buffer | null)[] = [
    int8(41n),
    Buffer.from(uuid.replaceAll("-", ""), "hex"),
    text("t"),
    text("orders"),
    text("k"),
    null,
    int8(0n),
    text("{}"),
    null,
    null,
  ];
  const fields = new RowFields();
  fields.fill(row.map((column, place) => (place in over ? (over[place] ?? null) : column)));
  return ledgerRowReader(binaryForm)(fields);
};

describe("a row of PostgreSQL in binary form", () => {
  it("is read from its bytes", () => {
    expect(inBinary()).toEqual({
      id: 41n,
      messageId: uuid,
      type: "t",
      topic: "orders",
      key: "k",
      headers: null,
      payload: Buffer.from("{}"),
      isText: true,
      leftBytes: null,
      createdAtMs: epochMs,
    });
  });

  it.each([0n, 1n, -5n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)])(
    "has the exact id %s",
    (id) => expect(inBinary({ 0: int8(id) }).id).toBe(id),
  );

  it.each([
    ["an instant", 836_190_245_678_000n, epochMs + 836_190_245_678],
    ["one before 2000", -1_500_000n, epochMs - 1_500],
    ["infinity", 2n ** 63n - 1n, Date.parse("9999-12-31T23:59:59.999Z")],
    ["-infinity", -(2n ** 63n), Date.parse("0000-01-01T00:00:00.000Z")],
  ])("has the time of %s", (_, microseconds, ms) => expect(inBinary({ 6: int8(microseconds) }).createdAtMs).toBe(ms));

  it("keeps text and bytes apart, and both from a tombstone", () => {
    expect(inBinary({ 7: Buffer.alloc(0) })).toMatchObject({ payload: Buffer.alloc(0), isText: true });
    expect(inBinary({ 7: null, 8: Buffer.from([0, 255]) })).toMatchObject({ payload: Buffer.from([0, 255]), isText: false });
    expect(inBinary({ 7: null })).toMatchObject({ payload: null, isText: false });
    expect(inBinary({ 7: null, 9: int4(20_000) })).toMatchObject({ payload: null, leftBytes: 20_000 });
  });

  it.each([
    [0, "41"],
    [1, uuid],
    [6, "1700000000123"],
    [9, "20000"],
  ])("is refused where column %i comes as text", (place, given) => {
    expect(() => inBinary({ [place]: text(given) })).toThrow(RangeError);
  });
});

it("bytes of a row as text are in hex", () => {
  const fields = new RowFields();
  fields.fill(["41", uuid, "t", "orders", null, null, "0", null, "00ff", null].map((column) => (column === null ? null : text(column))));
  expect(ledgerRowReader(hexForm)(fields)).toMatchObject({ id: 41n, payload: Buffer.from([0, 255]), isText: false });
});
