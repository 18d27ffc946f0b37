/**
 * A member of a consumer group, on the lower half of @platformatic/kafka. The library's consumer is not used: it commits, rejoins and
 * moves its positions by itself. What a member is, is little enough to be done here:
 *
 *     topics there? ─▶ join ─▶ (as leader: share out) ─▶ sync ─▶ joined ─▶ heartbeats ──"sharing out anew"──▶ rebalancing
 *           ▲                                              │        └ a fetcher of this generation's own           │
 *           └──────────────────────────────────────────────┴──────── commits under way have ended ◀────────────────┘
 *
 * - A generation is inert the moment another begins, or the consumer ends: its fetcher hands over nothing, its commits send nothing.
 * - Commits go to the coordinator over the connection that heartbeats and joins use, once each. A join waits for them, because
 *   whoever gets our partitions begins behind what they say.
 * - The coordinator may move, die and freeze: it is found again, and membership goes on where it was, for as long as a session lasts.
 *   Whatever else goes wrong ends this consumer, for the source builds another.
 * - A member that leads the group looks every minute whether topics have more partitions, and has the group shared out anew then.
 */
import { wait, withDeadline } from "@waybill/core";
import type { KafkaConnection } from "../connection-options.ts";
import type {
  ConsumerClient,
  ConsumerGroupOptions,
  ConsumerListener,
  Generation,
  OffsetToCommit,
  OpenConsumer,
  PartitionPosition,
  TopicPartition,
} from "../consumer-client.ts";
import { type Cluster, openCluster } from "./cluster.ts";
import { type ConsumerError, consumerError, consumerErrorOf, refusedWith } from "./consumer-error.ts";
import { type Coordinator, createCoordinator } from "./coordinator.ts";
import { checkNode, type Driver, loadDriver } from "./driver.ts";
import { createFetcher, type Fetcher } from "./fetcher.ts";
import { assignmentStrategy, decodeShare, decodeTopics, encodeShare, encodeTopics, shareOut } from "./group-protocol.ts";
import { leadersOf, nameOf } from "./leaders.ts";
import { askPositions, earliest, latest } from "./positions.ts";

/** @throws WAYBILL_CONFIG_INVALID if this Node cannot run the library; that it is missing or too old is told as a crash */
export function platformaticConsumerClient(connection: KafkaConnection): ConsumerClient {
  checkNode();
  let seeds = Math.floor(connection.random.fraction() * connection.brokers.length);
  return { open: (group, listener) => openConsumer(connection, group, listener, seeds++) };
}

const answerMsMax = 5_000;
const findMsMax = 10_000;
const commitMsMax = 10_000;
const lastCommitMsMax = 3_000;
const leaveMsMax = 2_000;
const partitionsEveryMs = 60_000;

const codes = {
  illegalGeneration: 22,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  memberIdRequired: 79,
} as const;

/** How a member's time in one generation ends. */
type Turn = "again" | "over";

function openConsumer(
  connection: KafkaConnection,
  group: ConsumerGroupOptions,
  listener: ConsumerListener,
  firstSeed: number,
): OpenConsumer {
  const { clock } = connection;
  const cluster = openCluster(connection, firstSeed);
  const over = new AbortController();
  const commits = new Set<Promise<void>>();
  let coordinator: Coordinator | null = null;
  let memberId = "";
  let generation: Generation | null = null;
  let fetcher: Fetcher | null = null;
  let isDone = false;
  let leave: (() => Promise<unknown>) | null = null;

  const endGeneration = (): void => {
    fetcher?.end();
    fetcher = null;
    generation = null;
  };
  const end = (): void => {
    isDone = true;
    endGeneration();
    over.abort();
  };
  const crash = (error: ConsumerError): void => {
    if (isDone) return;
    end();
    listener.crashed(error);
  };

  const run = async (): Promise<void> => {
    const driver = await loadDriver();
    const keeper = createCoordinator({ cluster, driver, clock, groupId: group.groupId, signal: over.signal });
    coordinator = keeper;
    leave = () => keeper.tellAside(driver.leaveGroupV2, [group.groupId, [{ memberId }]]);
    while (!isDone) {
      const partitions = await partitionsOf(cluster, group.topics);
      const joined = await join(driver, keeper);
      if (joined === null) continue;
      const share = await sync(driver, keeper, joined, partitions);
      if (share === null || isDone) continue;
      begin(driver, keeper, joined.generationId, share);
      const turn = await stay(driver, keeper, joined, partitions);
      if (turn === "over") return;
      listener.rebalancing();
      fetcher?.end();
      await withDeadline(clock, lastCommitMsMax, Promise.allSettled(commits));
    }
  };

  /** Null: to be tried again. */
  const join = async (driver: Driver, keeper: Coordinator): Promise<Joined | null> => {
    const { groupId, sessionTimeoutMs, rebalanceTimeoutMs } = group;
    const protocols = [{ name: assignmentStrategy, metadata: encodeTopics(group.topics) }];
    const answer = await keeper.ask(
      driver.joinGroupV4,
      [groupId, sessionTimeoutMs, rebalanceTimeoutMs, memberId, null, "consumer", protocols],
      // It is answered when all others have joined, or their time is over.
      { answerMs: rebalanceTimeoutMs + answerMsMax, allMs: findMsMax },
    );
    if (answer.errorCode === codes.memberIdRequired) memberId = answer.memberId;
    else if (answer.errorCode === codes.unknownMemberId) memberId = "";
    else if (answer.errorCode === 0) {
      memberId = answer.memberId;
      const members = answer.members.map((member) => ({ memberId: member.memberId, topics: decodeTopics(member.metadata) }));
      return { generationId: answer.generationId, isLeader: answer.leader === answer.memberId, members };
    } else if (answer.errorCode !== codes.rebalanceInProgress && answer.errorCode !== codes.illegalGeneration)
      throw refusedWith(answer.errorCode);
    return null;
  };

  /** Null: to be joined again. */
  const sync = async (
    driver: Driver,
    keeper: Coordinator,
    { generationId, isLeader, members }: Joined,
    partitions: ReadonlyMap<string, number>,
  ): Promise<readonly TopicPartition[] | null> => {
    let shares: readonly { readonly memberId: string; readonly assignment: Buffer }[] = [];
    if (isLeader) {
      const topics = [...new Set(members.flatMap((member) => member.topics))];
      const known = topics.every((topic) => partitions.has(topic)) ? partitions : await partitionsOf(cluster, topics);
      shares = [...shareOut(members, known)].map(([id, share]) => ({ memberId: id, assignment: encodeShare(share) }));
    }
    const answer = await keeper.ask(driver.syncGroupV2, [group.groupId, generationId, memberId, null, null, null, shares], {
      answerMs: group.rebalanceTimeoutMs + answerMsMax,
      allMs: findMsMax,
    });
    if (answer.errorCode === 0) return decodeShare(answer.assignment);
    if (answer.errorCode === codes.unknownMemberId) memberId = "";
    else if (answer.errorCode !== codes.rebalanceInProgress && answer.errorCode !== codes.illegalGeneration)
      throw refusedWith(answer.errorCode);
    return null;
  };

  const begin = (driver: Driver, keeper: Coordinator, generationId: number, partitions: readonly TopicPartition[]): void => {
    endGeneration();
    const itsFetcher = createFetcher({
      connection,
      cluster,
      driver,
      group,
      onHandover: (handover) => (fetcher === itsFetcher && !isDone ? listener.received(handover) : "refused"),
      onAnswer: () => fetcher === itsFetcher && !isDone && listener.alive("fetch"),
      onFailed: (error) => crash(consumerErrorOf(error)),
    });
    const isCurrent = (): boolean => generation === own && !isDone;
    const commit = async (offsets: readonly OffsetToCommit[]): Promise<void> => {
      if (!isCurrent()) throw consumerError("generationOver");
      const topics = topicsOf(offsets);
      const answer = await keeper.tell(driver.offsetCommitV6, [group.groupId, generationId, memberId, null, topics], commitMsMax);
      const told = answer.topics.flatMap(({ name: topic, partitions: lines }) =>
        lines.map(({ partitionIndex: partition, errorCode }) => ({ topic, partition, errorCode })),
      );
      for (const one of offsets) {
        const line = told.find(({ topic, partition }) => topic === one.topic && partition === one.partition);
        if (line === undefined) throw consumerError("partitionMissing");
        if (line.errorCode !== 0) throw refusedWith(line.errorCode);
      }
    };
    const own: Generation = {
      partitions,
      async positions() {
        if (!isCurrent()) throw consumerError("generationOver");
        return positionsOf(driver, keeper, cluster, connection, group, partitions);
      },
      resume(partition, from) {
        if (isCurrent()) itsFetcher.resume(partition, from);
      },
      commit(offsets) {
        const committing = commit(offsets);
        const settled = committing.catch(() => undefined).finally(() => commits.delete(settled));
        commits.add(settled);
        return committing;
      },
    };
    fetcher = itsFetcher;
    generation = own;
    listener.joined(own);
  };

  /** Sends heartbeats for as long as the generation lasts. */
  const stay = async (
    driver: Driver,
    keeper: Coordinator,
    { generationId, isLeader }: Joined,
    partitions: ReadonlyMap<string, number>,
  ): Promise<Turn> => {
    let countedMs = clock.monotonicMs();
    while (!isDone) {
      await wait(clock, group.heartbeatMs, over.signal);
      if (isDone) return "over";
      const answer = await keeper.ask(driver.heartbeatV2, [group.groupId, generationId, memberId, null], {
        answerMs: answerMsMax,
        allMs: group.sessionTimeoutMs,
      });
      if (isDone) return "over";
      if (answer.errorCode === codes.unknownMemberId) memberId = "";
      if (
        answer.errorCode === codes.rebalanceInProgress ||
        answer.errorCode === codes.illegalGeneration ||
        answer.errorCode === codes.unknownMemberId
      )
        return "again";
      if (answer.errorCode !== 0) throw refusedWith(answer.errorCode);
      listener.alive("heartbeat");
      // Where every partition rests nothing is fetched, and that is no silence of a broker's.
      if (fetcher?.isFetching !== true) listener.alive("fetch");
      if (isLeader && clock.monotonicMs() - countedMs > partitionsEveryMs) {
        countedMs = clock.monotonicMs();
        const counted = await partitionsOf(cluster, group.topics).catch(() => partitions);
        if ([...counted].some(([topic, count]) => partitions.get(topic) !== count)) return isDone ? "over" : "again";
      }
    }
    return "over";
  };

  const running = run().catch((error: unknown) => crash(consumerErrorOf(error)));
  return {
    async close({ deadlineMs }) {
      end();
      if (leave !== null && memberId !== "" && coordinator !== null) {
        const left = leave().catch(() => undefined); // if nobody hears it, the session ends by itself
        await withDeadline(clock, Math.min(deadlineMs, leaveMsMax), left);
      }
      cluster.destroy();
      await withDeadline(clock, deadlineMs, running);
    },
  };
}

interface Joined {
  readonly generationId: number;
  readonly isLeader: boolean;
  /** Told to the leader only. */
  readonly members: readonly { readonly memberId: string; readonly topics: readonly string[] }[];
}

/** Rejects with an error of the consumer, if there is a topic that is missing or refused. */
async function partitionsOf(cluster: Cluster, topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const told = (await cluster.metadata(topics)).topics;
  for (const { errorCode } of told) if (errorCode !== 0) throw refusedWith(errorCode);
  return new Map(told.map(({ name, partitions }) => [name, partitions.length]));
}

async function positionsOf(
  driver: Driver,
  keeper: Coordinator,
  cluster: Cluster,
  { clock }: KafkaConnection,
  { groupId, topics }: ConsumerGroupOptions,
  partitions: readonly TopicPartition[],
): Promise<readonly PartitionPosition[]> {
  if (partitions.length === 0) return [];
  try {
    const of = { cluster, driver, clock, leaders: leadersOf(await cluster.metadata(topics)) };
    const [lows, highs] = await Promise.all([askPositions(of, partitions, earliest), askPositions(of, partitions, latest)]);
    const asked = [...new Set(partitions.map(({ topic }) => topic))].map((name) => ({
      name,
      partitionIndexes: partitions.filter(({ topic }) => topic === name).map(({ partition }) => partition),
    }));
    const answer = await keeper.ask(driver.offsetFetchV5, [[{ groupId, topics: asked }], false], {
      answerMs: answerMsMax,
      allMs: answerMsMax,
    });
    if (answer.errorCode !== 0) throw refusedWith(answer.errorCode);
    const committed = new Map<string, bigint>();
    for (const { name: topic, partitions: told } of answer.topics) {
      for (const { partitionIndex: partition, committedOffset, errorCode } of told)
        if (errorCode === 0) committed.set(nameOf({ topic, partition }), committedOffset);
    }
    return partitions.flatMap(({ topic, partition }) => {
      const name = nameOf({ topic, partition });
      const [low, high, next] = [lows.get(name), highs.get(name), committed.get(name)];
      // A partition of which something is not told is left out, and the others can begin.
      if (low === undefined || high === undefined || next === undefined) return [];
      return { topic, partition, committed: next >= 0n ? next : null, low, high };
    });
  } catch (error) {
    throw consumerErrorOf(error);
  }
}

function topicsOf(offsets: readonly OffsetToCommit[]): Parameters<Driver["offsetCommitV6"]["createRequest"]>[4] {
  return [...new Set(offsets.map(({ topic }) => topic))].map((name) => ({
    name,
    partitions: offsets
      .filter(({ topic }) => topic === name)
      .map(({ partition, next }) => ({
        partitionIndex: partition,
        committedOffset: next,
        committedLeaderEpoch: -1,
        committedMetadata: null,
      })),
  }));
}
