/** The producing half of kafkajs behind our port: producers, and an admin connection that asks about topics and teaches nobody. */
import { withDeadline } from "@waybill/core";
import type { KafkaConnection } from "../connection-options.ts";
import { type KafkaProducerClient, type KafkaTopicDescription, kafkaErrorCodes } from "../producer-client.ts";
import type { DriverAdmin } from "./driver.ts";
import { type ClientFailure, failureOf } from "./failure.ts";
import { kafkajsProducer } from "./kafkajs-producer.ts";
import { type Link, openLink } from "./link.ts";

export interface KafkajsProducerClientOptions {
  readonly connection: KafkaConnection;
  /** Default true: see `idle-timer.ts`. */
  readonly patchIdleTimer?: boolean;
}

export function kafkajsProducerClient({ connection, patchIdleTimer = true }: KafkajsProducerClientOptions): KafkaProducerClient {
  const { clock } = connection;
  let links = Math.floor(connection.random.fraction() * connection.brokers.length);
  let admin: { readonly linking: Promise<Link<DriverAdmin> | ClientFailure>; destroy(): void } | null = null;
  let isClosed = false;

  const openAdmin = (): NonNullable<typeof admin> => {
    const destroyed = new AbortController();
    const linking = openLink<DriverAdmin>({
      connection,
      patchIdleTimer,
      firstSeed: links++,
      leaving: (frame) => frame,
      signal: destroyed.signal,
      open: (kafka) => kafka.admin({ retry: { retries: 0 } }),
    });
    return { linking, destroy: () => destroyed.abort() };
  };

  const describe = async (topic: string, own: NonNullable<typeof admin>): Promise<KafkaTopicDescription> => {
    const linked = await own.linking;
    if (linked.kind !== "linked") return undescribed(linked);
    try {
      const { topics } = await linked.client.fetchTopicMetadata({ topics: [topic] });
      const found = topics.find(({ name }) => name === topic);
      if (found !== undefined && found.partitions.length > 0) return { kind: "found", partitions: found.partitions.length };
      return { kind: "refused", code: kafkaErrorCodes.UNKNOWN_TOPIC_OR_PARTITION };
    } catch (error) {
      return undescribed(failureOf(error));
    }
  };

  return {
    async describeTopic(topic, { deadlineMs }) {
      if (isClosed) return { kind: "unreachable", reason: "unreachable" };
      const own = (admin ??= openAdmin());
      const described = await withDeadline(clock, deadlineMs, describe(topic, own));
      const description: KafkaTopicDescription = described.kind === "late" ? { kind: "unreachable", reason: "deadline" } : described.value;
      if (description.kind === "unreachable") {
        // Whatever ails it, the next question goes over a fresh connection.
        own.destroy();
        if (admin === own) admin = null;
      }
      return description;
    },
    producer: () => kafkajsProducer({ connection, patchIdleTimer, firstSeed: links++ }),
    close() {
      isClosed = true;
      admin?.destroy();
      admin = null;
      return Promise.resolve();
    },
  };
}

function undescribed(failure: ClientFailure): KafkaTopicDescription {
  switch (failure.kind) {
    case "answered":
      return { kind: "refused", code: failure.code };
    case "notAuthenticated":
      return { kind: "unreachable", reason: "notAuthenticated" };
    case "unreachable":
    case "timedOut":
    case "clientFailed":
      return { kind: "unreachable", reason: "unreachable", cause: failure.cause };
  }
}
