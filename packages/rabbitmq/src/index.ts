export type { RabbitmqConnectionOptions, RabbitmqTlsOptions } from "./address.ts";
export type { DestinationOptions, RabbitmqDestination } from "./destination.ts";
// The look at a broker
export type { InspectRabbitmqOptions, RabbitmqFinding, RabbitmqReport } from "./inspect-rabbitmq.ts";
export { inspectRabbitmq } from "./inspect-rabbitmq.ts";
// Where messages come in
export type { RabbitmqSourceOptions } from "./rabbitmq-source.ts";
export { rabbitmqSource } from "./rabbitmq-source.ts";
export type { RabbitmqTransport, RabbitmqTransportOptions } from "./rabbitmq-transport.ts";
// Where messages go out
export { rabbitmqTransport } from "./rabbitmq-transport.ts";
export type { TopicQueuesOptions } from "./topic-queues.ts";
// What the broker must have
export { topicQueues } from "./topic-queues.ts";
export type { RabbitmqBinding, RabbitmqQueue, TopologyMode } from "./topology.ts";
