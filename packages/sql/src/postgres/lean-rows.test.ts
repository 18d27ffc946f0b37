import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import type { RowFields } from "../row-fields.ts";
import { type DataStream, tapRows } from "./lean-rows.ts";

const message = (type: string, body: Buffer): Buffer => {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
};
const row = (...columns: readonly (string | null)[]): Buffer => {
  const number = Buffer.alloc(2);
  number.writeInt16BE(columns.length);
  const each = columns.flatMap((column) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(column === null ? -1 : Buffer.byteLength(column));
    return [length, Buffer.from(column ?? "")];
  });
  return message("D", Buffer.concat([number, ...each]));
};
const texts = (fields: RowFields): readonly (string | null)[] => fields.ends.map((_, column) => fields.text(column));

/** A socket, and what its driver has got of it. */
const wire = (listeners = 1) => {
  const stream = new EventEmitter();
  const got: Buffer[] = [];
  for (let place = 0; place < listeners; place += 1) stream.on("data", (chunk: Buffer) => got.push(chunk));
  return { stream, tap: tapRows(stream as unknown as DataStream), got: () => Buffer.concat(got) };
};

const before = message("T", Buffer.from("columns"));
const rows = [row("1", null, ""), row("ü", "x".repeat(3_000), "2")];
const after = Buffer.concat([message("C", Buffer.from("SELECT 2\0")), message("Z", Buffer.from("I"))]);
const stream = Buffer.concat([before, ...rows, after]);

describe("rows of pg", () => {
  it.each([1, 2, 3, 5, 7, 11, 64, 1_000, 100_000])("go to the reader, and everything else to the driver, in chunks of %s bytes", (size) => {
    const { stream: socket, tap, got } = wire();
    const taken = tap?.begin(texts);
    for (let at = 0; at < stream.length; at += size) socket.emit("data", stream.subarray(at, at + size));
    expect(taken?.()).toEqual([
      ["1", null, ""],
      ["ü", "x".repeat(3_000), "2"],
    ]);
    expect(got()).toEqual(Buffer.concat([before, after]));
  });

  it.each([1, 4, 6, 100_000])("go to the driver while no reader is at work, in chunks of %s bytes", (size) => {
    const { stream: socket, tap, got } = wire();
    const taken = tap?.begin(texts);
    tap?.end();
    for (let at = 0; at < stream.length; at += size) socket.emit("data", stream.subarray(at, at + size));
    expect(taken?.()).toEqual([]);
    expect(got()).toEqual(stream);
  });

  it("fail with what the reader throws once all have come", () => {
    const { stream: socket, tap, got } = wire();
    const taken = tap?.begin(() => {
      throw new RangeError("no");
    });
    socket.emit("data", stream);
    expect(() => taken?.()).toThrow(RangeError);
    expect(got()).toEqual(Buffer.concat([before, after]));
  });

  it.each([0, 2])("are left to a driver with %s listeners on its socket", (listeners) => {
    const { stream: socket, tap, got } = wire(listeners);
    expect(tap).toBeNull();
    socket.emit("data", stream);
    expect(got()).toHaveLength(listeners * stream.length);
  });

  it("are left to a driver whose socket is none", () => expect(tapRows({})).toBeNull());
});
