/** The producing half behind our port: producers, and connections of its own that ask about topics and send nothing. */
import { isWaybillError, withDeadline } from "@waybill/core";
import type { KafkaConnection } from "../connection-options.ts";
import { type KafkaProducerClient, type KafkaTopicDescription, kafkaErrorCodes } from "../producer-client.ts";
import { type Cluster, openCluster } from "./cluster.ts";
import { checkNode } from "./driver.ts";
import { failureOf } from "./failure.ts";
import { platformaticProducer } from "./platformatic-producer.ts";

/** @throws WAYBILL_CONFIG_INVALID if this Node cannot run the library; that it is missing or too old is told by the first call */
export function platformaticProducerClient(connection: KafkaConnection): KafkaProducerClient {
  checkNode();
  const { clock } = connection;
  let seeds = Math.floor(connection.random.fraction() * connection.brokers.length);
  let asking: Cluster | null = null;
  let isClosed = false;

  return {
    async describeTopic(topic, { deadlineMs }) {
      if (isClosed) return { kind: "unreachable", reason: "unreachable" };
      const own = (asking ??= openCluster(connection, seeds++));
      const described = await withDeadline(clock, deadlineMs, describe(own, topic));
      const description: KafkaTopicDescription = described.kind === "late" ? { kind: "unreachable", reason: "deadline" } : described.value;
      if (description.kind === "unreachable") {
        // Whatever ails it, the next question goes over a fresh connection.
        own.destroy();
        if (asking === own) asking = null;
      }
      return description;
    },
    producer: () => platformaticProducer(connection, seeds++),
    close() {
      isClosed = true;
      asking?.destroy();
      asking = null;
      return Promise.resolve();
    },
  };
}

async function describe(cluster: Cluster, topic: string): Promise<KafkaTopicDescription> {
  try {
    const found = (await cluster.metadata([topic])).topics.find(({ name }) => name === topic);
    if (found === undefined) return { kind: "refused", code: kafkaErrorCodes.UNKNOWN_TOPIC_OR_PARTITION };
    if (found.errorCode !== 0) return { kind: "refused", code: found.errorCode };
    if (found.partitions.length === 0) return { kind: "refused", code: kafkaErrorCodes.LEADER_NOT_AVAILABLE };
    return { kind: "found", partitions: found.partitions.length };
  } catch (error) {
    if (isWaybillError(error)) throw error;
    const failure = failureOf(error);
    if (failure.kind === "notAuthenticated") return { kind: "unreachable", reason: failure.kind };
    return { kind: "unreachable", reason: "unreachable", ...("cause" in failure ? { cause: failure.cause } : {}) };
  }
}
