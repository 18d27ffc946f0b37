/** The topics of one run at a broker that others may use, too: made for it, looked at, and removed with everything that was bound to them. */
import { connect } from "amqplib";
import { Kafka, logLevel } from "kafkajs";

export interface BrokerTopicsOptions {
  /** `kafka://host:port,host:port` or `amqp://user:password@host:port`. A secret as a whole. */
  readonly url: string;
  /** Their whole names. On Kafka they are made; on RabbitMQ they are exchanges, which relays and consumers declare. */
  readonly topics: readonly string[];
  /** Kafka: of each topic. */
  readonly partitions: number;
  /** RabbitMQ: the queues of the run's consumers. */
  readonly queues: readonly string[];
  /** Kafka: the groups of the run's consumers. Default: none, and nothing can be waiting. */
  readonly groups?: readonly string[];
}

export interface BrokerTopics {
  /** Messages that the run's consumers have not settled. Rejects if the broker cannot be asked, or a queue was never there. */
  waiting(): Promise<number>;
  /** Removes what was made for the run. What cannot be removed stays, under names that nobody uses again. */
  remove(): Promise<void>;
}

/** Rejects if the broker is away or makes no topic. */
export function openBrokerTopics(options: BrokerTopicsOptions): Promise<BrokerTopics> {
  return options.url.startsWith("kafka:") ? openOnKafka(options) : Promise.resolve(openOnRabbitmq(options));
}

async function openOnKafka({ url, topics, partitions, groups = [] }: BrokerTopicsOptions): Promise<BrokerTopics> {
  const kafka = new Kafka({ brokers: new URL(url).host.split(","), clientId: "waybill-testing", logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: partitions })), waitForLeaders: true });
  return {
    async waiting() {
      let waiting = 0n;
      for (const groupId of groups) {
        const settled = new Map<string, bigint>();
        for (const { topic, partitions: all } of await admin.fetchOffsets({ groupId, topics: [...topics] })) {
          for (const { partition, offset } of all) settled.set(`${topic} ${partition}`, BigInt(offset));
        }
        for (const topic of topics) {
          for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
            const from = settled.get(`${topic} ${partition}`) ?? -1n;
            waiting += BigInt(high) - (from < 0n ? BigInt(low) : from);
          }
        }
      }
      return Number(waiting);
    },
    async remove() {
      await admin.deleteTopics({ topics: [...topics] }).catch(() => undefined); // a broker of ours is removed as a whole
      await admin.disconnect();
    },
  };
}

function openOnRabbitmq({ url, topics, queues }: BrokerTopicsOptions): BrokerTopics {
  const onChannel = async <Answer>(
    work: (channel: Awaited<ReturnType<Awaited<ReturnType<typeof connect>>["createChannel"]>>) => Promise<Answer>,
  ): Promise<Answer> => {
    const connection = await connect(url, { timeout: 10_000 });
    connection.on("error", () => undefined); // what was asked rejects
    try {
      const channel = await connection.createChannel();
      channel.on("error", () => undefined);
      return await work(channel);
    } finally {
      await connection.close().catch(() => undefined); // it is closed already
    }
  };
  return {
    waiting: () =>
      onChannel(async (channel) => {
        let waiting = 0;
        for (const queue of queues) waiting += (await channel.checkQueue(queue)).messageCount;
        return waiting;
      }),
    remove: () =>
      onChannel(async (channel) => {
        for (const queue of queues) await channel.deleteQueue(queue);
        for (const exchange of topics) await channel.deleteExchange(exchange);
      }),
  };
}
