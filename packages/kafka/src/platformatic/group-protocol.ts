/**
 * What members of a consumer group tell each other through their leader, and how it shares out. Brokers pass these bytes on unread.
 *
 * Name, bytes and rule are those of kafkajs, so that members on either library can be in one group while a service moves from one to the other.
 */
import type { TopicPartition } from "../consumer-client.ts";

export const assignmentStrategy = "RoundRobinAssigner";

export interface GroupMember {
  readonly memberId: string;
  readonly topics: readonly string[];
}

/** Every topic's partitions go round the members that want the topic, in the order of their ids. */
export function shareOut(
  members: readonly GroupMember[],
  partitionsOf: ReadonlyMap<string, number>,
): ReadonlyMap<string, readonly TopicPartition[]> {
  const sorted = [...members].sort((one, other) => (one.memberId < other.memberId ? -1 : 1));
  const shares = new Map<string, TopicPartition[]>(sorted.map(({ memberId }) => [memberId, []]));
  let turn = 0;
  for (const topic of [...partitionsOf.keys()].sort()) {
    const takers = sorted.filter(({ topics }) => topics.includes(topic));
    for (let partition = 0; partition < (partitionsOf.get(topic) ?? 0) && takers.length > 0; partition += 1) {
      shares.get(takers[turn % takers.length]?.memberId ?? "")?.push({ topic, partition });
      turn += 1;
    }
  }
  return shares;
}

export function encodeTopics(topics: readonly string[]): Buffer {
  return Buffer.concat([int16(0), int32(topics.length), ...topics.map(text), int32(0)]);
}

/** @throws RangeError if the bytes are too short */
export function decodeTopics(bytes: Buffer): readonly string[] {
  const read = readerOf(bytes);
  read.int16(); // version
  return Array.from({ length: read.int32() }, () => read.text());
}

export function encodeShare(share: readonly TopicPartition[]): Buffer {
  const byTopic = new Map<string, number[]>();
  for (const { topic, partition } of share) byTopic.set(topic, [...(byTopic.get(topic) ?? []), partition]);
  const lines = [...byTopic].map(([topic, partitions]) => Buffer.concat([text(topic), int32(partitions.length), ...partitions.map(int32)]));
  return Buffer.concat([int16(0), int32(lines.length), ...lines, int32(0)]);
}

/** Nothing, for a member that got nothing. @throws RangeError if the bytes are too short */
export function decodeShare(bytes: Buffer): readonly TopicPartition[] {
  if (bytes.length === 0) return [];
  const read = readerOf(bytes);
  read.int16(); // version
  return Array.from({ length: read.int32() }, () => {
    const topic = read.text();
    return Array.from({ length: read.int32() }, () => ({ topic, partition: read.int32() }));
  }).flat();
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([int16(bytes.length), bytes]);
}

function readerOf(bytes: Buffer): { int16(): number; int32(): number; text(): string } {
  let at = 0;
  const int16Of = (): number => {
    at += 2;
    return bytes.readInt16BE(at - 2);
  };
  return {
    int16: int16Of,
    int32() {
      at += 4;
      return bytes.readInt32BE(at - 4);
    },
    text() {
      const length = int16Of();
      at += length;
      return bytes.toString("utf8", at - length, at);
    },
  };
}
