import { throwConfigProblems } from "@waybill/core";
import type { KafkaConnection } from "./connection-options.ts";
import type { ConsumerClient } from "./consumer-client.ts";
import { kafkajsConsumerClient } from "./kafkajs/kafkajs-consumer-client.ts";

/** The client that a connection asks for. Opens nothing yet. */
export function openConsumerClient(connection: KafkaConnection, { patchIdleTimer }: { readonly patchIdleTimer: boolean }): ConsumerClient {
  if (connection.client === "kafkajs") return kafkajsConsumerClient({ connection, patchIdleTimer });
  throwConfigProblems("Kafka", [{ option: "client", problem: "must be kafkajs" }]);
  return kafkajsConsumerClient({ connection, patchIdleTimer });
}
