/**
 * Which partition a key goes to. The same key must go where every other producer of the topic sends it, or it has no order.
 *
 *     murmur2   Kafka's Java clients, and most others' "murmur2" or "java compatible" setting
 *     crc32     librdkafka's default ("consistent_random"), and what is built on it
 */
import { crc32 } from "node:zlib";
import { partitionOfKey } from "@waybill/core";

export type KafkaPartitioner = "murmur2" | "crc32";

/** 0 to `partitions` - 1. */
export function partitionOf(partitioner: KafkaPartitioner, key: string, partitions: number): number {
  return partitioner === "murmur2" ? partitionOfKey(key, partitions) : crc32(Buffer.from(key, "utf8")) % partitions;
}
