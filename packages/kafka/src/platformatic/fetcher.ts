/**
 * Fetches the partitions of one generation, each from where it is told to.
 *
 *     resume ─▶ waiting ─▶ who leads it? ─▶ one fetch per broker at a time, for all that wait there ─▶ hand-over ─▶ waiting
 *                  ▲                             │                                                        └ rest, refused: no more until resume
 *                  └── a pause, leaders asked ◀──┴── no answer, or an error for this partition
 *
 * A broker that does not answer is asked by nobody else's partitions, and asked again until it does or does not lead any more: whoever
 * watches the partitions decides when that has taken too long. A position that is not in the log is not corrected here: what is handed
 * over begins where the log does, and whoever gets it sees that this is elsewhere.
 *
 * It ends with its generation, and hands over nothing from then on.
 */
import { backoffMs, wait, withDeadline } from "@waybill/core";
import type { KafkaConnection } from "../connection-options.ts";
import type { ConsumerGroupOptions, Handover, Reception, TopicPartition } from "../consumer-client.ts";
import type { BrokerAddress } from "./broker-connection.ts";
import type { Cluster } from "./cluster.ts";
import type { Driver, DriverFetched, DriverFetchedPartition } from "./driver.ts";
import { fetchedRecords } from "./fetched-records.ts";
import { leadersOf, nameOf, placeOf } from "./leaders.ts";
import { askPosition, earliest } from "./positions.ts";

export interface Fetcher {
  /** Begins at `from`, whatever was under way. */
  resume(partition: TopicPartition, from: bigint): void;
  /** True if some partition is to be fetched. */
  readonly isFetching: boolean;
  end(): void;
}

export interface FetcherOptions {
  readonly connection: KafkaConnection;
  readonly cluster: Cluster;
  readonly driver: Driver;
  readonly group: ConsumerGroupOptions;
  readonly onHandover: (handover: Handover) => Reception;
  readonly onAnswer: () => void;
  /** A fault that another try does not mend. */
  readonly onFailed: (error: unknown) => void;
}

/** A partition that is to be fetched; another `resume` makes another one. */
interface Wanted extends TopicPartition {
  position: bigint;
  isUnderWay: boolean;
}

type FetchRequest = Parameters<Driver["fetchV10"]["createRequest"]>;

const outOfRange = 1;
const answerMsMax = 10_000;
const backoff = { firstMs: 100, maxMs: 1_000 } as const;

export function createFetcher(options: FetcherOptions): Fetcher {
  const { cluster, driver, group, connection } = options;
  const { clock, random } = connection;
  const over = new AbortController();
  /** In the order in which they are asked for: who got something goes to the end. */
  const wanted = new Map<string, Wanted>();
  const busy = new Set<string>();
  let leaders: ReadonlyMap<string, BrokerAddress> = new Map();
  let isLookingUp = false;
  let failures = 0;
  let lookedUpMs = Number.NEGATIVE_INFINITY;

  const isWanted = (one: Wanted): boolean => !over.signal.aborted && wanted.get(nameOf(one)) === one;

  /** Sets off whatever can be set off. */
  const goOn = (): void => {
    if (over.signal.aborted) return;
    const byBroker = new Map<string, { readonly address: BrokerAddress; readonly its: Wanted[] }>();
    let isLeaderless = false;
    for (const one of wanted.values()) {
      if (one.isUnderWay) continue;
      const address = leaders.get(nameOf(one));
      if (address === undefined) {
        isLeaderless = true;
        continue;
      }
      const place = placeOf(address);
      const found = byBroker.get(place);
      if (found === undefined) byBroker.set(place, { address, its: [one] });
      else found.its.push(one);
    }
    if (isLeaderless) lookUp();
    for (const [place, { address, its }] of byBroker) {
      if (busy.has(place)) continue;
      busy.add(place);
      for (const one of its) one.isUnderWay = true;
      fetchFrom(address, its)
        .catch((error: unknown) => (over.signal.aborted ? undefined : options.onFailed(error)))
        .finally(() => {
          for (const one of its) one.isUnderWay = false;
          busy.delete(place);
          goOn();
        });
    }
  };

  const lookUp = (): void => {
    if (isLookingUp) return;
    isLookingUp = true;
    const asked = async (): Promise<void> => {
      // One partition may go on failing while others are well.
      const restMs = Math.max(0, lookedUpMs + backoff.firstMs - clock.monotonicMs());
      await wait(clock, Math.max(restMs, failures > 0 ? backoffMs(backoff, failures, random) : 0), over.signal);
      lookedUpMs = clock.monotonicMs();
      failures += 1; // until something is fetched
      try {
        leaders = leadersOf(await cluster.metadata(group.topics));
      } catch {
        // Nobody answers now. They are asked again.
      }
      if (failures > 1) cluster.askElsewhere();
    };
    asked().then(() => {
      isLookingUp = false;
      goOn();
    }, options.onFailed);
  };
  const forgetLeader = (one: TopicPartition): void => {
    leaders = new Map([...leaders].filter(([name]) => name !== nameOf(one)));
  };

  const fetchFrom = async (address: BrokerAddress, its: readonly Wanted[]): Promise<void> => {
    const asked = its.map((one) => [one, one.position] as const);
    let answer: DriverFetched | null = null;
    try {
      const broker = await cluster.broker(address, "fetch");
      const request: FetchRequest = [group.fetchWaitMs, 1, group.fetchBytesMax, 1, 0, -1, topicsOf(asked, group.partitionBytesMax), [], ""];
      const ended = await withDeadline(clock, group.fetchWaitMs + answerMsMax, broker.ask(driver.fetchV10, request));
      if (ended.kind === "late") broker.destroy();
      else if (ended.value.errorCode === 0) answer = ended.value;
    } catch {
      // As if it had not answered.
    }
    if (over.signal.aborted) return;
    if (answer === null) {
      for (const one of its) forgetLeader(one);
      return;
    }
    options.onAnswer();
    for (const [one, from] of asked) {
      const line = answer.responses
        .find(({ topicId }) => topicId === one.topic)
        ?.partitions.find(({ partitionIndex }) => partitionIndex === one.partition);
      if (line?.errorCode === 0) handOver(one, from, line);
      else if (line?.errorCode === outOfRange) await beginAgain(one, from);
      else forgetLeader(one);
    }
  };

  const handOver = (one: Wanted, from: bigint, line: DriverFetchedPartition): void => {
    failures = 0;
    if (!isWanted(one) || one.position !== from) return;
    const { next, records } = fetchedRecords(line, from);
    if (next === from) return;
    wanted.delete(nameOf(one));
    wanted.set(nameOf(one), one);
    passOn(one, { topic: one.topic, partition: one.partition, from, next, records });
  };
  /** The log has nothing there: what it begins with is said instead. */
  const beginAgain = async (one: Wanted, from: bigint): Promise<void> => {
    const low = await askPosition({ cluster, driver, clock, leaders }, one, earliest);
    if (!isWanted(one) || one.position !== from) return;
    if (low === null) return forgetLeader(one);
    passOn(one, { topic: one.topic, partition: one.partition, from: low, next: low, records: [] });
  };
  const passOn = (one: Wanted, handover: Handover): void => {
    one.position = handover.next;
    // A listener that resumes it meanwhile has put another in its place.
    if (options.onHandover(handover) !== "goOn" && isWanted(one)) wanted.delete(nameOf(one));
  };

  return {
    resume({ topic, partition }, from) {
      wanted.set(nameOf({ topic, partition }), { topic, partition, position: from, isUnderWay: false });
      // Not at once: whoever resumes one partition goes on to resume others, and they fit into one fetch.
      queueMicrotask(goOn);
    },
    get isFetching() {
      return wanted.size > 0;
    },
    end() {
      over.abort();
      wanted.clear();
    },
  };
}

function topicsOf(asked: readonly (readonly [Wanted, bigint])[], partitionMaxBytes: number): FetchRequest[6] {
  const byTopic = new Map<string, { partition: number; currentLeaderEpoch: -1; fetchOffset: bigint; partitionMaxBytes: number }[]>();
  for (const [{ topic, partition }, fetchOffset] of asked) {
    const line = { partition, currentLeaderEpoch: -1 as const, fetchOffset, partitionMaxBytes };
    byTopic.set(topic, [...(byTopic.get(topic) ?? []), line]);
  }
  return [...byTopic].map(([topicId, partitions]) => ({ topicId, partitions }));
}
