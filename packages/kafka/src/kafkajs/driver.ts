/**
 * What we use of kafkajs, typed by shape, so that our declarations need no types of its own, and loaded only when something is sent:
 * whoever uses the other client needs no kafkajs.
 */
import type { Socket } from "node:net";
import { waybillError } from "@waybill/core";

export interface DriverPartition {
  readonly partitionId: number;
}

/** `leader` -1: none. */
export interface DriverPartitionState extends DriverPartition {
  readonly leader: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
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

/** A header is bytes, several of one name are a list, and a name that `Object.prototype` knows brings in what stands there. */
export interface DriverFetchedMessage {
  readonly offset: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestamp: string;
  readonly headers?: Readonly<Record<string, unknown>>;
}

export interface DriverBatch {
  readonly topic: string;
  readonly partition: number;
  /** Where this was fetched from. */
  readonly fetchedOffset: string;
  /** Never empty. */
  readonly messages: readonly DriverFetchedMessage[];
  lastOffset(): string;
}

export interface DriverOffsets {
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
  }[];
}

export interface DriverBatchCall {
  readonly batch: DriverBatch;
  resolveOffset(offset: string): void;
  /** Sends exactly these, once, under the generation of the moment. */
  commitOffsetsIfNecessary(offsets: DriverOffsets): Promise<void>;
}

/** What the payloads of the events hold that we listen to. */
export interface DriverConsumerEvents {
  readonly "consumer.group_join": { readonly memberAssignment: Readonly<Record<string, readonly number[]>> };
  readonly "consumer.rebalancing": object;
  readonly "consumer.heartbeat": object;
  readonly "consumer.fetch_start": { readonly nodeId: string };
  readonly "consumer.fetch": { readonly nodeId: string };
  readonly "consumer.start_batch_process": {
    readonly topic: string;
    readonly partition: number;
    readonly batchSize: number;
    readonly lastOffset: string;
  };
  readonly "consumer.crash": { readonly error: unknown };
}

export interface DriverConsumer {
  connect(): Promise<void>;
  subscribe(options: { readonly topics: string[]; readonly fromBeginning: true }): Promise<void>;
  run(options: {
    readonly autoCommit: false;
    readonly eachBatchAutoResolve: false;
    readonly eachBatch: (call: DriverBatchCall) => Promise<void>;
  }): Promise<void>;
  pause(partitions: { readonly topic: string; readonly partitions: number[] }[]): void;
  resume(partitions: { readonly topic: string; readonly partitions: number[] }[]): void;
  seek(position: { readonly topic: string; readonly partition: number; readonly offset: string }): void;
  on<Name extends keyof DriverConsumerEvents>(
    name: Name,
    listener: (event: { readonly payload: DriverConsumerEvents[Name] }) => void,
  ): () => void;
  disconnect(): Promise<void>;
}

export interface DriverConsumerOptions {
  readonly groupId: string;
  readonly sessionTimeout: number;
  readonly rebalanceTimeout: number;
  readonly heartbeatInterval: number;
  readonly maxWaitTimeInMs: number;
  readonly maxBytesPerPartition: number;
  readonly maxBytes: number;
  readonly allowAutoTopicCreation: false;
  /** How old what it knows of partitions and leaders may become. */
  readonly metadataMaxAge: number;
  readonly retry: {
    readonly retries: number;
    readonly initialRetryTime: number;
    readonly maxRetryTime: number;
    readonly restartOnFailure: () => Promise<false>;
  };
}

export interface DriverAdmin {
  connect(): Promise<void>;
  /** `offset` -1: none. */
  fetchOffsets(options: {
    readonly groupId: string;
    readonly topics: string[];
  }): Promise<
    readonly { readonly topic: string; readonly partitions: readonly { readonly partition: number; readonly offset: string }[] }[]
  >;
  fetchTopicOffsets(topic: string): Promise<readonly { readonly partition: number; readonly low: string; readonly high: string }[]>;
  fetchTopicMetadata(options: { readonly topics: string[] }): Promise<{
    readonly topics: readonly { readonly name: string; readonly partitions: readonly DriverPartitionState[] }[];
  }>;
  describeCluster(): Promise<{ readonly clusterId: string; readonly brokers: readonly unknown[] }>;
  describeConfigs(options: {
    readonly resources: { readonly type: number; readonly name: string; readonly configNames: string[] }[];
    readonly includeSynonyms: false;
  }): Promise<{
    readonly resources: readonly {
      readonly configEntries: readonly { readonly configName: string; readonly configValue: string | null }[];
    }[];
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
  consumer(options: DriverConsumerOptions): DriverConsumer;
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
