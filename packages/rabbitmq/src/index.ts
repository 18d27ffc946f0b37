export type { RabbitmqConnectionOptions, RabbitmqTlsOptions } from "./address.ts";
export type { DestinationOptions, RabbitmqDestination } from "./destination.ts";
export type { RabbitmqTransport, RabbitmqTransportOptions } from "./rabbitmq-transport.ts";
// Where messages go out
export { rabbitmqTransport } from "./rabbitmq-transport.ts";
// What the broker must have
export type { RabbitmqBinding, RabbitmqQueue, TopologyMode } from "./topology.ts";
