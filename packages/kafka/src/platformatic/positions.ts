/** Where logs begin and end, asked of their leaders. */
import { type Clock, withDeadline } from "@waybill/core";
import type { TopicPartition } from "../consumer-client.ts";
import type { BrokerAddress } from "./broker-connection.ts";
import type { Cluster } from "./cluster.ts";
import type { Driver } from "./driver.ts";
import { nameOf, placeOf } from "./leaders.ts";

/** What is asked for, in place of a time. `latest`: the end of what a reader of committed records can read. */
export const earliest = -2n;
export const latest = -1n;

const askDeadlineMs = 5_000;

export interface PositionsOf {
  readonly cluster: Cluster;
  readonly driver: Driver;
  readonly clock: Clock;
  readonly leaders: ReadonlyMap<string, BrokerAddress>;
}

/** By `nameOf`. What no leader says is left out. */
export async function askPositions(
  { cluster, driver, clock, leaders }: PositionsOf,
  partitions: readonly TopicPartition[],
  at: typeof earliest | typeof latest,
): Promise<ReadonlyMap<string, bigint>> {
  const byBroker = new Map<string, { readonly address: BrokerAddress; readonly its: TopicPartition[] }>();
  for (const one of partitions) {
    const address = leaders.get(nameOf(one));
    if (address === undefined) continue;
    const found = byBroker.get(placeOf(address));
    if (found === undefined) byBroker.set(placeOf(address), { address, its: [one] });
    else found.its.push(one);
  }
  const positions = new Map<string, bigint>();
  const askOne = async ({ address, its }: { readonly address: BrokerAddress; readonly its: readonly TopicPartition[] }): Promise<void> => {
    const topics = [...new Set(its.map(({ topic }) => topic))].map((name) => ({
      name,
      partitions: its
        .filter(({ topic }) => topic === name)
        .map(({ partition }) => ({ partitionIndex: partition, currentLeaderEpoch: -1 as const, timestamp: at })),
    }));
    try {
      const broker = await cluster.broker(address, "ask");
      const ended = await withDeadline(clock, askDeadlineMs, broker.ask(driver.listOffsetsV4, [-1, 1, topics]));
      if (ended.kind === "late") return broker.destroy();
      for (const { name: topic, partitions: told } of ended.value.topics) {
        for (const { partitionIndex: partition, errorCode, offset } of told)
          if (errorCode === 0 && offset >= 0n) positions.set(nameOf({ topic, partition }), offset);
      }
    } catch {
      // Not told: left out.
    }
  };
  await Promise.all([...byBroker.values()].map(askOne));
  return positions;
}

/** The same for one partition. Null: nobody says. */
export async function askPosition(of: PositionsOf, partition: TopicPartition, at: typeof earliest | typeof latest): Promise<bigint | null> {
  return (await askPositions(of, [partition], at)).get(nameOf(partition)) ?? null;
}
