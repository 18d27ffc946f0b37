import { randomUUID } from "node:crypto";
import { Kafka, logLevel, type SASLOptions } from "kafkajs";
import { AuditInputError } from "../audit-input-error.ts";
import { digest } from "../digest.ts";
import type { Received } from "../history.ts";
import type { Tap, TapOptions } from "../tap.ts";
import { until } from "../until.ts";

export interface KafkaTapOptions extends TapOptions {
  /** `host:port` each. */
  readonly brokers: readonly string[];
  /** They must exist. */
  readonly topics: readonly string[];
  readonly sasl?: SASLOptions;
  readonly ssl?: boolean;
}

/**
 * Reads topics of Kafka from their beginning, in a consumer group of its own that commits nothing. The record's own topic and key count, not
 * what its headers say about them.
 */
export async function tapKafka(options: KafkaTapOptions): Promise<Tap> {
  const { subscription, topics, onReceived } = options;
  const kafka = new Kafka({
    brokers: [...options.brokers],
    clientId: "waybill-auditor",
    logLevel: logLevel.NOTHING,
    retry: { retries: 20, maxRetryTime: 2_000 },
    ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
    ...(options.sasl === undefined ? {} : { sasl: options.sasl }),
  });
  const received: Received[] = [];
  /** `topic partition` → offset after the last record read. A restarted consumer begins anew: what was read is passed over. */
  const next = new Map<string, bigint>();
  const admin = kafka.admin();
  const consumer = kafka.consumer({ groupId: `waybill-auditor-${randomUUID()}`, sessionTimeout: 30_000, maxWaitTimeInMs: 200 });
  await admin.connect();
  await consumer.connect();
  await consumer.subscribe({ topics: [...topics], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, resolveOffset }) => {
      for (const { key, value, headers, offset } of batch.messages) {
        const place = `${batch.topic} ${batch.partition}`;
        if (BigInt(offset) >= (next.get(place) ?? 0n)) {
          const record: Received = {
            subscription,
            messageId: textOf(headers?.["ce_id"]) ?? "none",
            payloadDigest: digest(value),
            topic: batch.topic,
            key: key === null ? null : key.toString("utf8"),
          };
          received.push(record);
          next.set(place, BigInt(offset) + 1n);
          onReceived?.(record);
        }
        resolveOffset(offset);
      }
    },
  });

  const isReadTo = (ends: readonly { readonly place: string; readonly low: bigint; readonly high: bigint }[]): boolean =>
    ends.every(({ place, low, high }) => high <= low || (next.get(place) ?? 0n) >= high);
  return {
    received,
    async readToEnd({ deadlineMs = 60_000 } = {}) {
      const ends = (
        await Promise.all(
          topics.map(async (topic) =>
            (
              await admin.fetchTopicOffsets(topic)
            ).map(({ partition, low, high }) => ({
              place: `${topic} ${partition}`,
              low: BigInt(low),
              high: BigInt(high),
            })),
          ),
        )
      ).flat();
      if (!(await until(() => isReadTo(ends), deadlineMs)))
        throw new AuditInputError("kafka", `was not read to its end in ${deadlineMs} ms`);
    },
    async close() {
      await Promise.allSettled([consumer.disconnect(), admin.disconnect()]);
    },
  };
}

function textOf(header: Buffer | string | (Buffer | string)[] | undefined): string | null {
  const one = Array.isArray(header) ? header[0] : header;
  return one === undefined ? null : one.toString();
}
