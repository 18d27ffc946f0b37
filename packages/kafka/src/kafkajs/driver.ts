/**
 * What we use of kafkajs, typed by shape, so that our declarations need no types of its own, and loaded only when something is sent:
 * whoever uses the other client needs no kafkajs.
 */
import type { Socket } from "node:net";
import { waybillError } from "@waybill/core";

export interface DriverPartition {
  readonly partitionId: number;
}

export interface DriverMessage {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly partition: number;
  readonly timestamp: string;
  readonly headers: Record<string, string>;
}

/** One line per partition that the response names. */
export interface DriverReceipt {
  readonly topicName: string;
  readonly partition: number;
  readonly errorCode: number;
  /** Up to Produce v2 it is called `offset`. */
  readonly baseOffset?: string;
  readonly offset?: string;
}

export interface DriverProducer {
  connect(): Promise<void>;
  send(record: {
    readonly topic: string;
    readonly acks: -1;
    readonly timeout: number;
    readonly messages: DriverMessage[];
  }): Promise<readonly DriverReceipt[]>;
}

export interface DriverAdmin {
  connect(): Promise<void>;
  fetchTopicMetadata(options: { readonly topics: string[] }): Promise<{
    readonly topics: readonly { readonly name: string; readonly partitions: readonly DriverPartition[] }[];
  }>;
}

export type DriverPartitioner = () => (choice: {
  readonly partitionMetadata: readonly DriverPartition[];
  readonly message: { readonly partition?: number };
}) => number;

export interface DriverProducerOptions {
  readonly createPartitioner: DriverPartitioner;
  readonly idempotent: false;
  readonly allowAutoTopicCreation: false;
  readonly retry: { readonly retries: 0 };
}

export interface DriverSocketRequest {
  readonly host: string;
  readonly port: number;
  readonly onConnect: () => void;
}

export type DriverSasl =
  | { mechanism: "plain" | "scram-sha-256" | "scram-sha-512"; username: string; password: string }
  | { mechanism: "oauthbearer"; oauthBearerProvider: () => Promise<{ value: string }> };

export interface DriverOptions {
  readonly brokers: string[];
  readonly clientId: string;
  readonly socketFactory: (request: DriverSocketRequest) => Socket;
  readonly sasl?: DriverSasl;
  readonly connectionTimeout: number;
  readonly authenticationTimeout: number;
  readonly requestTimeout: number;
  readonly enforceRequestTimeout: boolean;
  readonly retry: { readonly retries: 0 };
  readonly logCreator: () => () => void;
}

export interface DriverKafka {
  producer(options: DriverProducerOptions): DriverProducer;
  admin(options: { readonly retry: { readonly retries: 0 } }): DriverAdmin;
}

export interface Driver {
  readonly Kafka: new (options: DriverOptions) => DriverKafka;
}

/**
 * Loads the library.
 *
 * @throws WAYBILL_CONFIG_INVALID if `kafkajs` is not installed
 */
export async function loadDriver(): Promise<Driver> {
  try {
    const loaded = (await import("kafkajs")) as unknown as Driver & { readonly default?: Driver };
    return loaded.default ?? loaded;
  } catch (error) {
    const problem = "the library cannot be loaded; install it beside Waybill: npm install kafkajs@2.2.4";
    throw waybillError("WAYBILL_CONFIG_INVALID", `Kafka: ${problem}.`, { problems: [{ option: "kafkajs", problem }] }, error);
  }
}
