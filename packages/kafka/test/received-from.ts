import type { ReceivedMessage } from "@waybill/core";
import type { FakeProduce } from "@waybill/testing";
import { receivedRecord } from "../src/received-record.ts";

/** The messages of what a fake broker was sent. */
export function receivedFrom({ topic, records }: FakeProduce): readonly ReceivedMessage[] {
  return records.map(({ key, value, headers, timestampMs }, index) => {
    const pairs = [...headers].map(([name, text]) => [name, Buffer.from(text)] as const);
    const record = { offset: BigInt(index), key: key === null ? null : Buffer.from(key), value, headers: pairs, timestampMs };
    return receivedRecord(record, topic).message;
  });
}
