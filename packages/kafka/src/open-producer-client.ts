import { throwConfigProblems } from "@waybill/core";
import type { KafkaConnection } from "./connection-options.ts";
import { kafkajsProducerClient } from "./kafkajs/kafkajs-producer-client.ts";
import type { KafkaProducerClient } from "./producer-client.ts";

/** The client that a connection asks for. Opens nothing yet. */
export function openProducerClient(
  connection: KafkaConnection,
  { patchIdleTimer }: { readonly patchIdleTimer: boolean },
): KafkaProducerClient {
  if (connection.client === "kafkajs") return kafkajsProducerClient({ connection, patchIdleTimer });
  throwConfigProblems("Kafka", [{ option: "client", problem: "must be kafkajs" }]);
  return kafkajsProducerClient({ connection, patchIdleTimer });
}
