import { expect, test } from "vitest";
import { readProduceFrame, withRecords } from "./produce-frame.ts";

interface Given {
  readonly key?: number;
  readonly version?: number;
  readonly topics?: readonly string[];
  readonly partitions?: readonly number[];
}

function frame({ key = 0, version = 7, topics = ["Käufe"], partitions = [5] }: Given = {}): Buffer {
  const int16 = (value: number): Buffer => Buffer.from([(value >> 8) & 255, value & 255]);
  const int32 = (value: number): Buffer => Buffer.concat([int16(value >> 16), int16(value)]);
  const text = (value: string): Buffer => Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)]);
  const body = Buffer.concat([
    int16(key),
    int16(version),
    int32(9),
    text("waybill"),
    ...(version >= 3 ? [int16(-1)] : []),
    int16(-1),
    int32(8_000),
    int32(topics.length),
    ...topics.flatMap((topic) => [text(topic), int32(partitions.length), ...partitions.flatMap((id) => [int32(id), int32(0)])]),
  ]);
  return Buffer.concat([int32(body.length), body]);
}

test.each([3, 7, 8])("a Produce request of version %i names its topic and partition, and leaves with other records", (version) => {
  const bytes = frame({ version });
  const read = readProduceFrame(bytes);
  expect(read).toEqual({ kind: "produce", topic: "Käufe", partition: 5, recordsAt: bytes.length - 4 });
  const changed = withRecords(bytes, bytes.length - 4, Buffer.from("records"));
  expect(readProduceFrame(changed)).toEqual(read);
  expect(changed.readInt32BE(0)).toBe(changed.length - 4);
  expect(changed.subarray(4, bytes.length - 4).equals(bytes.subarray(4, -4))).toBe(true);
  expect([changed.readInt32BE(bytes.length - 4), changed.subarray(bytes.length).toString()]).toEqual([7, "records"]);
});

test("a request for several places, for none, or in an older or later form is unreadable", () => {
  expect(readProduceFrame(frame({ version: 2 })).kind).toBe("unreadable");
  expect(readProduceFrame(frame({ topics: ["a", "b"] })).kind).toBe("unreadable");
  expect(readProduceFrame(frame({ topics: [] })).kind).toBe("unreadable");
  expect(readProduceFrame(frame({ partitions: [1, 2] })).kind).toBe("unreadable");
  expect(readProduceFrame(frame({ version: 9 })).kind).toBe("unreadable");
  const cut = frame({ topics: [] }).subarray(0, 25);
  cut.writeInt32BE(cut.length - 4);
  expect(readProduceFrame(cut).kind).toBe("unreadable");
});

test("other requests and bare tokens are none of ours", () => {
  expect(readProduceFrame(frame({ key: 3 })).kind).toBe("other");
  expect(readProduceFrame(Buffer.concat([Buffer.from([0, 0, 0, 4]), Buffer.from("\0user\0password")])).kind).toBe("other");
  expect(readProduceFrame(Buffer.alloc(3)).kind).toBe("other");
});
