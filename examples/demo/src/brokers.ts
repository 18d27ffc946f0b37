/** The broker of a run: found, given or started, with topics that nobody else uses. */
import { randomBytes } from "node:crypto";
import { type Received, type Tap, tapKafka, tapRabbitmq } from "@waybill/auditor";
import { provideServer } from "@waybill/testing";
import { connect } from "amqplib";
import { Kafka, logLevel } from "kafkajs";
import type { BrokerChoice } from "./options.ts";

export interface Broker {
  /** What it is, in words. */
  readonly name: string;
  /** As a relay's `--transport` and a service's `BROKER_URL` take it. */
  readonly url: string;
  /** Stands before the topics of this run, its queues and consumer groups. */
  readonly prefix: string;
  tap(options: { readonly subscription: string; readonly topic: string; readonly onReceived: (record: Received) => void }): Promise<Tap>;
  /** Removes what this run left there, and the broker if it is ours. */
  remove(): Promise<void>;
}

const partitions = 4;

/** Makes the topics, named without prefix; `consumers` says who consumes each. */
export async function openBroker(choice: Exclude<BrokerChoice, "http">, consumers: Readonly<Record<string, string>>): Promise<Broker> {
  const server = await serverOf(choice);
  const prefix = `demo-${randomBytes(4).toString("hex")}-`;
  const topics = Object.keys(consumers).map((topic) => `${prefix}${topic}`);
  try {
    if (server.url.startsWith("kafka:")) return await openKafka(server, prefix, topics);
    const queues = Object.entries(consumers).map(([topic, consumer]) => `${prefix}${consumer}.${prefix}${topic}`);
    return openRabbitmq(server, prefix, topics, queues);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

interface Server {
  readonly url: string;
  readonly from: string;
  stop(): Promise<void>;
}

async function serverOf(choice: Exclude<BrokerChoice, "http">): Promise<Server> {
  if ("url" in choice) return { url: choice.url, from: "the broker given", stop: async () => undefined };
  const provided = await provideServer({ kind: choice.server });
  if (provided.kind === "skipped") throw new Error(`No ${choice.server} to run on: ${provided.reason}. ${provided.advice}`);
  return provided;
}

async function openKafka(server: Server, prefix: string, topics: readonly string[]): Promise<Broker> {
  const { host } = new URL(server.url);
  const brokers = host.split(",");
  const kafka = new Kafka({ brokers, clientId: "waybill-demo", logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: partitions })), waitForLeaders: true });
  return {
    name: `Kafka, ${server.from}`,
    url: server.url,
    prefix,
    tap: ({ subscription, topic, onReceived }) => tapKafka({ brokers, topics: [`${prefix}${topic}`], subscription, onReceived }),
    async remove() {
      await admin.deleteTopics({ topics: [...topics] }).catch(() => undefined); // a broker of ours is removed as a whole
      await admin.disconnect();
      await server.stop();
    },
  };
}

function openRabbitmq(server: Server, prefix: string, exchanges: readonly string[], queues: readonly string[]): Broker {
  const { url } = server;
  return {
    name: `RabbitMQ, ${server.from}`,
    url,
    prefix,
    tap: ({ subscription, topic, onReceived }) => tapRabbitmq({ url, exchanges: [`${prefix}${topic}`], subscription, onReceived }),
    async remove() {
      const connection = await connect(url);
      connection.on("error", () => undefined); // what could not be removed shows at the broker
      const channel = await connection.createChannel();
      for (const queue of queues) await channel.deleteQueue(queue);
      for (const exchange of exchanges) await channel.deleteExchange(exchange);
      await connection.close();
      await server.stop();
    },
  };
}
