// The transport
export type { KafkaClientName, KafkaConnectionOptions, KafkaSasl, KafkaTls } from "./connection-options.ts";
export type { KafkaUrl } from "./connection-url.ts";
export { parseKafkaUrl } from "./connection-url.ts";
// The look at a cluster
export type { InspectKafkaOptions, KafkaReport } from "./inspect-kafka.ts";
export { inspectKafka } from "./inspect-kafka.ts";
// The source
export { kafkaSource } from "./kafka-source.ts";
export type { KafkaTransportOptions } from "./kafka-transport.ts";
export { kafkaTransport } from "./kafka-transport.ts";
export type { IdleTimerState } from "./kafkajs/idle-timer.ts";
export { idleTimerState } from "./kafkajs/idle-timer.ts";
export type { KafkaPartitioner } from "./partitioning.ts";
export type { KafkaSourceOptions } from "./source-options.ts";
export type { KafkaFinding, KafkaTopicFacts } from "./topic-lint.ts";
