import type { RequestListener } from "node:http";
import type { OnEvent, Source } from "@waybill/core";
import { httpReceiver } from "@waybill/http";
import { kafkaSource, parseKafkaUrl } from "@waybill/kafka";
import { rabbitmqSource, topicQueues } from "@waybill/rabbitmq";
import type { Configuration } from "./configuration.ts";

/** Where the inventory service's messages come from, and payments. A service with one broker needs one of the three. */
export interface MessageSource {
  readonly source: Source;
  /** Takes `POST /messages`; null where messages come from a broker. */
  readonly listener: RequestListener | null;
}

/** @throws WAYBILL_CONFIG_INVALID for a broker's URL that cannot be used */
export function messageSource(configuration: Configuration, onEvent?: OnEvent): MessageSource {
  const { brokerUrl, signingSecrets, topicPrefix, halfMessages } = configuration;
  const options = onEvent === undefined ? {} : { onEvent };
  if (brokerUrl === null) {
    const receiver = httpReceiver({ secrets: signingSecrets, insecureUnsigned: signingSecrets.length === 0, ...options });
    return { source: receiver, listener: receiver.listener };
  }
  const url = brokerUrl.reveal();
  const topics = [`${topicPrefix}stock`, ...(halfMessages === null ? [] : [`${topicPrefix}payments`])];
  if (url.startsWith("kafka:")) {
    const { connection } = parseKafkaUrl(url);
    const source = kafkaSource({
      ...connection,
      groupId: `${topicPrefix}order`,
      topics,
      // The partitions of a process that was killed rest for so long, until the group gives them to another.
      sessionTimeoutMs: 6_000,
      heartbeatMs: 1_500,
      ...options,
    });
    return { source, listener: null };
  }
  return {
    source: rabbitmqSource({ url, queues: topicQueues({ consumer: `${topicPrefix}order`, topics }), ...options }),
    listener: null,
  };
}
