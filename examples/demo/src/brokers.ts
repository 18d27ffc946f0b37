/** The broker of a run: found, given or started, with topics that nobody else uses. */
import { randomBytes } from "node:crypto";
import { type Received, type Tap, tapKafka, tapRabbitmq } from "@waybill/auditor";
import { openBrokerTopics, provideServer } from "@waybill/testing";
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
    const { url } = server;
    const queues = Object.entries(consumers).map(([topic, consumer]) => `${prefix}${consumer}.${prefix}${topic}`);
    const made = await openBrokerTopics({ url, topics, partitions, queues });
    const isKafka = url.startsWith("kafka:");
    return {
      name: `${isKafka ? "Kafka" : "RabbitMQ"}, ${server.from}`,
      url,
      prefix,
      tap: ({ subscription, topic, onReceived }) =>
        isKafka
          ? tapKafka({ brokers: new URL(url).host.split(","), topics: [`${prefix}${topic}`], subscription, onReceived })
          : tapRabbitmq({ url, exchanges: [`${prefix}${topic}`], subscription, onReceived }),
      async remove() {
        await made.remove();
        await server.stop();
      },
    };
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
