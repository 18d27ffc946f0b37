// The source

export type { RabbitmqConnectionOptions, RabbitmqTlsOptions } from "./address.ts";
export type { RabbitmqSourceOptions } from "./rabbitmq-source.ts";
export { rabbitmqSource } from "./rabbitmq-source.ts";
export type { TopicQueuesOptions } from "./topic-queues.ts";
export { topicQueues } from "./topic-queues.ts";
export type { RabbitmqBinding, RabbitmqQueue, TopologyMode } from "./topology.ts";
