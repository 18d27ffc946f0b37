import type { KafkaConnection } from "./connection-options.ts";
import type { ConsumerClient } from "./consumer-client.ts";
import { kafkajsConsumerClient } from "./kafkajs/kafkajs-consumer-client.ts";
import { platformaticConsumerClient } from "./platformatic/platformatic-consumer-client.ts";

/** The client that a connection asks for. Opens nothing yet. */
export function openConsumerClient(connection: KafkaConnection, { patchIdleTimer }: { readonly patchIdleTimer: boolean }): ConsumerClient {
  switch (connection.client) {
    case "kafkajs":
      return kafkajsConsumerClient({ connection, patchIdleTimer });
    case "platformatic":
      return platformaticConsumerClient(connection);
  }
}
