import type { KafkaConnection } from "./connection-options.ts";
import { kafkajsProducerClient } from "./kafkajs/kafkajs-producer-client.ts";
import { platformaticProducerClient } from "./platformatic/platformatic-producer-client.ts";
import type { KafkaProducerClient } from "./producer-client.ts";

/** The client that a connection asks for. Opens nothing yet. */
export function openProducerClient(
  connection: KafkaConnection,
  { patchIdleTimer }: { readonly patchIdleTimer: boolean },
): KafkaProducerClient {
  switch (connection.client) {
    case "kafkajs":
      return kafkajsProducerClient({ connection, patchIdleTimer });
    case "platformatic":
      return platformaticProducerClient(connection);
  }
}
