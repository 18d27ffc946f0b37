/**
 * A message as a Kafka record: CloudEvents 1.0, Kafka binding, binary mode. Attributes travel as `ce_` headers in UTF-8, the value is
 * the stored bytes, the record's key is the message's.
 *
 *     ce_id: 0198…                     ce_source is the stored header ce-source
 *     ce_type: shop.order.placed.v1    ce_partitionkey repeats the key, so that a reader need not know it is text
 *     content-type: application/json   as stored, under their own names: this and all other headers
 *     value: null                      a tombstone; an empty payload is a value of no bytes
 */
import { type OutgoingMessage, sourceHeader, toCloudEvent } from "@waybill/core";
import type { KafkaRecord } from "./producer-client.ts";

/** The latest moment that a date can be. */
const timestampMsMax = 8_640_000_000_000_000;

export const attributePrefix = "ce_";

/** @throws TypeError or RangeError if no record can be made of it, as of a time that is no number */
export function toRecord(message: OutgoingMessage): KafkaRecord {
  const headers = new Map<string, string>();
  for (const [name, value] of message.headers) if (name !== sourceHeader) headers.set(name, value);
  for (const [name, value] of Object.entries(toCloudEvent(message))) headers.set(attributePrefix + name, value);
  return {
    key: message.key === null ? null : Buffer.from(message.key, "utf8"),
    value: message.payload,
    headers,
    // A time before 1970, or after all that a date can be, has no place in a record; `ce_time` carries it.
    timestampMs: Math.min(Math.max(0, Math.floor(message.createdAtMs)), timestampMsMax),
  };
}
