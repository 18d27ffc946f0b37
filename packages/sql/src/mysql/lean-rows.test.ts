import { describe, expect, it } from "vitest";
import type { RowFields } from "../row-fields.ts";
import { readLean } from "./lean-rows.ts";

/** A row packet: its columns, each behind its length, after the packet's header. */
const packet = (...columns: readonly (Buffer | null)[]) => {
  const lengthOf = (bytes: Buffer): Buffer => {
    const { length } = bytes;
    if (length <= 250) return Buffer.from([length]);
    if (length < 65_536) return Buffer.from([252, length & 0xff, length >> 8]);
    return Buffer.from([253, length & 0xff, (length >> 8) & 0xff, length >> 16]);
  };
  const body = columns.flatMap((column) => (column === null ? [Buffer.from([251])] : [lengthOf(column), column]));
  const buffer = Buffer.concat([Buffer.from([0, 0, 0, 1]), ...body, Buffer.from("behind")]);
  return { buffer, offset: 4, end: buffer.length - 6 };
};
const eof = { buffer: Buffer.from([5, 0, 0, 2, 0xfe, 0, 0, 2, 0]), offset: 4, end: 9 };
const texts = (fields: RowFields): readonly (string | null)[] => fields.ends.map((_, column) => fields.text(column));

/** The driver's command: asks for `row`, and hands it what comes until it answers nothing more. */
const command = () => {
  const own = {
    got: 0,
    row(packet: unknown): unknown {
      own.got += 1;
      return packet === eof ? null : own.row;
    },
  };
  return own;
};
const run = (own: { row: (packet: unknown, connection: unknown) => unknown }, packets: readonly unknown[]): void => {
  let next: unknown = own.row;
  for (const one of packets) next = (next as (packet: unknown, connection: unknown) => unknown).call(own, one, {});
  expect(next).toBeNull();
};

describe("rows of mysql2", () => {
  it("go to the reader, and their end to the driver", () => {
    const own = command();
    const lean = readLean(own, texts);
    const long = "x".repeat(70_000);
    run(own, [packet(Buffer.from("1"), null, Buffer.from("")), packet(Buffer.from("y".repeat(300)), Buffer.from(long), null), eof]);
    expect(lean.rows([])).toEqual([
      ["1", null, ""],
      ["y".repeat(300), long, null],
    ]);
    expect(own.got).toBe(1);
  });

  it("fail with what the reader throws once all have come", () => {
    const own = command();
    const lean = readLean(own, () => {
      throw new RangeError("no");
    });
    run(own, [packet(Buffer.from("1")), packet(Buffer.from("2")), eof]);
    expect(() => lean.rows([])).toThrow(RangeError);
  });

  it.each([
    ["a command without the method that we stand in for", {}],
    ["no command", undefined],
  ])("come from the driver's own if there is %s", (_, own) => {
    const lean = readLean(own, texts);
    expect(
      lean.rows([
        [Buffer.from("1"), null, Buffer.from("ü")],
        [Buffer.alloc(0), null, null],
      ]),
    ).toEqual([
      ["1", null, "ü"],
      ["", null, null],
    ]);
  });

  it.each([
    ["a packet that ends within a column", { ...packet(Buffer.from("abc")), end: 6 }],
    ["a packet of another shape", { bytes: Buffer.from("abc") }],
  ])("are left to the driver if %s comes", (_, odd) => {
    const own = command();
    const lean = readLean(own, texts);
    run(own, [odd, eof]);
    expect(own.got).toBe(2);
    expect(lean.rows([[Buffer.from("the driver's")]])).toEqual([["the driver's"]]);
  });
});
