/**
 * What we use of @platformatic/kafka, typed by shape, so that our declarations need no types of its own, and loaded only when something
 * is sent or consumed.
 *
 * It is its lower half: a connection to one broker, and the requests and answers of the protocol. Its producer and its consumer decide
 * too much by themselves – which broker to ask again, what to keep for later, where to go on – and say too little about it.
 *
 * Requests go out in one fixed version each: the newest that brokers of 2.2 speak and that those of 4 still do. So nothing is negotiated.
 */
import type { Socket } from "node:net";
// oxlint-disable-next-line no-restricted-imports -- not configuration: which Node this is decides whether the library can be loaded at all
import { versions } from "node:process";
import type { ConnectionOptions } from "node:tls";
import { throwConfigProblems, waybillError } from "@waybill/core";
import { libraryProblem, nodeProblem } from "./requirements.ts";

/** A request as the library has encoded it. */
export interface DriverPayload {
  readonly length: number;
}

/** One version of one request. */
export interface DriverApi<Arguments extends readonly unknown[], Answer> {
  readonly api: { readonly key: number; readonly version: number };
  readonly createRequest: (...request: Arguments) => DriverPayload;
  readonly parseResponse: (correlationId: number, apiKey: number, apiVersion: number, reader: never) => Answer;
}

export interface DriverConnectionOptions {
  readonly connectTimeout: number;
  readonly requestTimeout: number;
  readonly maxInflights: number;
  readonly handleBackPressure: false;
  readonly tls?: ConnectionOptions;
  /** `true`: the name that is dialled. */
  readonly tlsServerName?: string | boolean;
  readonly sasl?:
    | { readonly mechanism: string; readonly username: string; readonly password: string }
    | { readonly mechanism: string; readonly token: () => Promise<string> };
}

export interface DriverConnection {
  /** There as soon as `connect` was called. */
  readonly socket?: Socket;
  isConnected(): boolean;
  connect(host: string, port: number, callback: (error: Error | null) => void): void;
  /** Calls back at once where nothing is connected. */
  close(callback: () => void): void;
  on(event: "error" | "close" | "sasl:handshake", listener: () => void): void;
  /**
   * Encodes, writes and waits for the answer. Encoding and writing happen before it returns, if the connection stands and fewer than
   * `maxInflights` requests are under way; if `createPayload` throws, nothing is written.
   */
  send<Answer>(
    apiKey: number,
    apiVersion: number,
    createPayload: () => DriverPayload,
    parseResponse: unknown,
    hasRequestHeaderTaggedFields: false,
    hasResponseHeaderTaggedFields: false,
    callback: (error: Error | null, answer: Answer) => void,
  ): void;
}

export interface DriverMetadata {
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
  readonly topics: readonly {
    readonly errorCode: number;
    readonly name: string;
    readonly partitions: readonly { readonly errorCode: number; readonly partitionIndex: number; readonly leaderId: number }[];
  }[];
}

export interface DriverProduced {
  readonly responses: readonly {
    readonly name: string;
    readonly partitionResponses: readonly { readonly index: number; readonly errorCode: number; readonly baseOffset: bigint }[];
  }[];
}

export interface DriverRecordBatch {
  readonly firstOffset: bigint;
  readonly magic: number;
  readonly attributes: number;
  readonly lastOffsetDelta: number;
  readonly firstTimestamp: bigint;
  readonly maxTimestamp: bigint;
  readonly producerId: bigint;
  readonly records: readonly {
    readonly timestampDelta: bigint;
    readonly offsetDelta: number;
    readonly key: Buffer | null;
    readonly value: Buffer | null;
    readonly headers: readonly (readonly [name: Buffer | null, value: Buffer | null])[];
  }[];
}

export interface DriverFetchedPartition {
  readonly partitionIndex: number;
  readonly errorCode: number;
  readonly abortedTransactions: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[] | null;
  readonly records: readonly DriverRecordBatch[] | null;
}

export interface DriverFetched {
  readonly errorCode: number;
  readonly responses: readonly { readonly topicId: string; readonly partitions: readonly DriverFetchedPartition[] }[];
}

interface CommittedOffset {
  readonly partitionIndex: number;
  readonly committedOffset: bigint;
  readonly committedLeaderEpoch: number;
  readonly committedMetadata: null;
}

type ErrorByPartition = readonly {
  readonly name: string;
  readonly partitions: readonly { readonly partitionIndex: number; readonly errorCode: number }[];
}[];

export interface Driver {
  readonly Connection: new (clientId: string, options: DriverConnectionOptions) => DriverConnection;
  readonly Writer: { create(): { append(bytes: Uint8Array): DriverPayload } };
  readonly crc32c: (bytes: Uint8Array) => number;
  readonly clientSoftwareVersion: string;
  readonly metadataV7: DriverApi<[topics: readonly string[], allowAutoTopicCreation: false], DriverMetadata>;
  /** Its requests are written by us: see `record-batch.ts`. */
  readonly produceV7: Omit<DriverApi<[], DriverProduced>, "createRequest">;
  readonly findCoordinatorV2: DriverApi<
    [keyType: 0, keys: readonly [string]],
    { readonly coordinators: readonly { readonly errorCode: number; readonly host: string; readonly port: number }[] }
  >;
  readonly joinGroupV4: DriverApi<
    [
      groupId: string,
      sessionTimeoutMs: number,
      rebalanceTimeoutMs: number,
      memberId: string,
      groupInstanceId: null,
      protocolType: "consumer",
      protocols: readonly { readonly name: string; readonly metadata: Buffer }[],
    ],
    {
      readonly errorCode: number;
      readonly generationId: number;
      readonly leader: string;
      readonly memberId: string;
      readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[];
    }
  >;
  readonly syncGroupV2: DriverApi<
    [
      groupId: string,
      generationId: number,
      memberId: string,
      groupInstanceId: null,
      protocolType: null,
      protocolName: null,
      assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[],
    ],
    { readonly errorCode: number; readonly assignment: Buffer }
  >;
  readonly heartbeatV2: DriverApi<
    [groupId: string, generationId: number, memberId: string, groupInstanceId: null],
    { readonly errorCode: number }
  >;
  readonly leaveGroupV2: DriverApi<[groupId: string, members: readonly [{ readonly memberId: string }]], { readonly errorCode: number }>;
  readonly offsetCommitV6: DriverApi<
    [
      groupId: string,
      generationId: number,
      memberId: string,
      groupInstanceId: null,
      topics: readonly { readonly name: string; readonly partitions: readonly CommittedOffset[] }[],
    ],
    { readonly topics: ErrorByPartition }
  >;
  readonly offsetFetchV5: DriverApi<
    [
      groups: readonly [
        { readonly groupId: string; readonly topics: readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[] },
      ],
      requireStable: false,
    ],
    {
      readonly errorCode: number;
      readonly topics: readonly {
        readonly name: string;
        readonly partitions: readonly { readonly partitionIndex: number; readonly committedOffset: bigint; readonly errorCode: number }[];
      }[];
    }
  >;
  readonly listOffsetsV4: DriverApi<
    [
      replica: -1,
      isolationLevel: 1,
      topics: readonly {
        readonly name: string;
        readonly partitions: readonly { readonly partitionIndex: number; readonly currentLeaderEpoch: -1; readonly timestamp: bigint }[];
      }[],
    ],
    {
      readonly topics: readonly {
        readonly name: string;
        readonly partitions: readonly { readonly partitionIndex: number; readonly errorCode: number; readonly offset: bigint }[];
      }[];
    }
  >;
  readonly fetchV10: DriverApi<
    [
      maxWaitMs: number,
      minBytes: 1,
      maxBytes: number,
      isolationLevel: 1,
      sessionId: 0,
      sessionEpoch: -1,
      topics: readonly {
        readonly topicId: string;
        readonly partitions: readonly {
          readonly partition: number;
          readonly currentLeaderEpoch: -1;
          readonly fetchOffset: bigint;
          readonly partitionMaxBytes: number;
        }[];
      }[],
      forgotten: readonly never[],
      rackId: "",
    ],
    DriverFetched
  >;
}

/** @throws WAYBILL_CONFIG_INVALID if this Node cannot run the library */
export function checkNode(): void {
  const problem = nodeProblem(versions.node);
  throwConfigProblems("Kafka", problem === null ? [] : [{ option: "client", problem }]);
}

/**
 * Loads the library.
 *
 * @throws WAYBILL_CONFIG_INVALID if this Node cannot run it, or it is not installed, or too old
 */
export async function loadDriver(): Promise<Driver> {
  checkNode();
  let loaded: Driver;
  try {
    loaded = (await import("@platformatic/kafka")) as unknown as Driver;
  } catch (error) {
    const problem = "the library cannot be loaded; install it beside Waybill: npm install @platformatic/kafka@2.12.1";
    throw waybillError("WAYBILL_CONFIG_INVALID", `Kafka: ${problem}.`, { problems: [{ option: "@platformatic/kafka", problem }] }, error);
  }
  const problem = libraryProblem(loaded.clientSoftwareVersion);
  throwConfigProblems("Kafka", problem === null ? [] : [{ option: "@platformatic/kafka", problem }]);
  return loaded;
}
