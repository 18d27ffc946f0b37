/** Who leads what, out of what brokers say. */
import type { TopicPartition } from "../consumer-client.ts";
import type { BrokerAddress } from "./broker-connection.ts";
import type { DriverMetadata } from "./driver.ts";

/** By `nameOf`. Partitions without a leader that can be dialled are left out. */
export function leadersOf({ brokers, topics }: DriverMetadata): ReadonlyMap<string, BrokerAddress> {
  const addresses = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
  const leaders = new Map<string, BrokerAddress>();
  for (const { name: topic, partitions } of topics) {
    for (const { partitionIndex: partition, leaderId } of partitions) {
      const address = addresses.get(leaderId);
      if (address !== undefined) leaders.set(nameOf({ topic, partition }), address);
    }
  }
  return leaders;
}

export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

export function placeOf({ host, port }: BrokerAddress): string {
  return `${host}:${port}`;
}
