/**
 * Brokers that speak just enough of Kafka's protocol to be produced to, and do what a real one cannot be made to do on demand:
 * answer for a partition that was not asked about, or for none; move a leader between two bytes; store and say nothing.
 *
 *     ApiVersions 0–2   Metadata 1   Produce 3–7, uncompressed record batches        anything else: the connection is closed
 *
 * It is a protocol, not a Kafka: no replicas, no groups, nothing on disk. What is stored is kept in `stored`, in its order.
 */
import { createServer, type Server, type Socket } from "node:net";
import { kafkaReader, kafkaWriter } from "./fake-kafka-wire.ts";

export interface FakeKafkaRecord {
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly headers: ReadonlyMap<string, string>;
  readonly timestampMs: number;
}

/** What of a Produce request concerns one partition. */
export interface FakeProduce {
  /** The broker that was asked, from 0. */
  readonly node: number;
  readonly topic: string;
  readonly partition: number;
  readonly acks: number;
  /** -1: the producer is not idempotent. */
  readonly producerId: bigint;
  readonly records: readonly FakeKafkaRecord[];
}

export type FakeProduceAnswer =
  /** As a broker would: stored by the leader, 6 from any other. */
  | "store"
  /** Refused with this code; with `stores`, stored all the same. */
  | { readonly code: number; readonly stores?: boolean }
  /** No answer, ever; the connection stays open. */
  | { readonly silent: true; readonly stores?: boolean }
  /** Stored, and left out of the response. */
  | { readonly leftOut: true; readonly stores?: boolean }
  /** A broker's answer, of which so many bytes arrive; then the connection is reset. */
  | { readonly breaksOffAfter: number; readonly stores?: boolean };

export interface FakeKafkaOptions {
  /** The lowest and highest version of Produce that it says it knows. Default 3 and 7. */
  readonly produceVersions?: readonly [min: number, max: number];
  /** Topic → the node that leads each of its partitions, from 0: `{ orders: [0, 1] }`. */
  readonly topics: Readonly<Record<string, readonly number[]>>;
  /** Default: stores. May move leaders before it answers. */
  readonly onProduce?: (request: FakeProduce) => FakeProduceAnswer | Promise<FakeProduceAnswer>;
  /** Told of every Metadata request, before it is answered. */
  readonly onMetadata?: (request: { readonly node: number; readonly topics: readonly string[] }) => void | Promise<void>;
}

export interface FakeKafka {
  /** `host:port` of each broker. */
  readonly addresses: readonly string[];
  readonly stored: readonly FakeProduce[];
  /** Every Produce request, stored or not. */
  readonly asked: readonly FakeProduce[];
  setLeader(topic: string, partition: number, node: number): void;
  /** From now on the topic has so many partitions; new ones are led by node 0. */
  setPartitions(topic: string, partitions: number): void;
  /** From now on Metadata says that `node` listens where `at` does, as after a restart that mixed them up. */
  setAddress(node: number, at: number): void;
  /** Closes every connection, and the ports. */
  stop(): Promise<void>;
}

const apiKeys = { produce: 0, metadata: 3, apiVersions: 18 } as const;
const notLeader = 6;
const unknownTopic = 3;
const unsupportedVersion = 35;

/** Starts as many brokers as the topics' leaders need, on free ports of 127.0.0.1. */
export async function startFakeKafka(options: FakeKafkaOptions): Promise<FakeKafka> {
  const { produceVersions = [3, 7] } = options;
  const leaders = new Map(Object.entries(options.topics).map(([topic, nodes]) => [topic, [...nodes]]));
  const nodes = Math.max(...[...leaders.values()].flat()) + 1;
  const stored: FakeProduce[] = [];
  const asked: FakeProduce[] = [];
  const sockets = new Set<Socket>();
  const ports: number[] = [];
  /** Whose port Metadata gives for a node. */
  const advertised: number[] = [];

  const apiVersions = (version: number): Buffer => {
    const body = kafkaWriter();
    body.int16(version > 2 ? unsupportedVersion : 0).array(
      [
        [apiKeys.produce, ...produceVersions],
        [apiKeys.metadata, 1, 7],
        [apiKeys.apiVersions, 0, 2],
      ],
      (row, each) => each.forEach((number) => void row.int16(number)),
    );
    return (version > 0 && version <= 2 ? body.int32(0) : body).bytes();
  };

  const metadata = async (node: number, version: number, body: Buffer): Promise<Buffer> => {
    const read = kafkaReader(body);
    const topics: string[] = [];
    for (let left = read.int32(); left > 0; left -= 1) topics.push(read.string() ?? "");
    await options.onMetadata?.({ node, topics });
    const answer = kafkaWriter();
    if (version >= 3) answer.int32(0); // throttled for no time
    answer.array([...advertised.entries()], (row, [id, at]) =>
      row
        .int32(id)
        .string("127.0.0.1")
        .int32(ports[at] ?? 0)
        .string(null),
    );
    if (version >= 2) answer.string(null); // the cluster's id
    return answer
      .int32(0)
      .array(topics, (row, topic) => {
        const its = leaders.get(topic) ?? [];
        row
          .int16(its.length === 0 ? unknownTopic : 0)
          .string(topic)
          .int8(0);
        row.array([...its.entries()], (line, [partition, leader]) => {
          line.int16(0).int32(partition).int32(leader);
          if (version >= 7) line.int32(0); // its epoch
          line.array([leader], (list, id) => list.int32(id)).array([leader], (list, id) => list.int32(id));
          if (version >= 5) line.array([], () => undefined); // replicas that are offline
        });
      })
      .bytes();
  };

  const produce = async (node: number, version: number, body: Buffer): Promise<Answer> => {
    const read = kafkaReader(body);
    read.string(); // transactional id
    const acks = read.int16();
    read.int32(); // timeout
    const requests: FakeProduce[] = [];
    for (let topicsLeft = read.int32(); topicsLeft > 0; topicsLeft -= 1) {
      const topic = read.string() ?? "";
      for (let left = read.int32(); left > 0; left -= 1) {
        const partition = read.int32();
        requests.push({ node, topic, partition, acks, ...read.recordBatch() });
      }
    }
    const lines: { readonly topic: string; readonly partition: number; readonly code: number; readonly offset: bigint }[] = [];
    let isSilent = false;
    let breaksOffAfter: number | null = null;
    for (const request of requests) {
      asked.push(request);
      const answer = (await options.onProduce?.(request)) ?? "store";
      const leads = leaders.get(request.topic)?.[request.partition] === node;
      const stores = answer === "store" ? leads : answer.stores === true || "leftOut" in answer;
      const offset = BigInt(stored.filter(({ topic, partition }) => topic === request.topic && partition === request.partition).length);
      if (stores) stored.push(request);
      if (answer === "store") lines.push({ ...request, code: leads ? 0 : notLeader, offset: leads ? offset : -1n });
      else if ("code" in answer) lines.push({ ...request, code: answer.code, offset: -1n });
      else if ("silent" in answer) isSilent = true;
      else if ("breaksOffAfter" in answer) {
        lines.push({ ...request, code: 0, offset });
        ({ breaksOffAfter } = answer);
      }
    }
    if (isSilent || acks === 0) return { bytes: null, breaksOffAfter };
    const bytes = kafkaWriter()
      .array(lines, (row, { topic, partition, code, offset }) =>
        row.string(topic).array([partition], (line, id) => {
          line.int32(id).int16(code).int64(offset).int64(-1n);
          if (version >= 5) line.int64(0n);
        }),
      )
      .int32(0)
      .bytes();
    return { bytes, breaksOffAfter };
  };

  const answer = async (node: number, frame: Buffer): Promise<Answer> => {
    const read = kafkaReader(frame);
    const key = read.int16();
    const version = read.int16();
    const correlation = read.int32();
    if (key === apiKeys.apiVersions) return whole(withHeader(correlation, apiVersions(version)));
    read.string(); // client id
    const body = read.rest();
    if (key === apiKeys.metadata) return whole(withHeader(correlation, await metadata(node, version, body)));
    if (key !== apiKeys.produce) throw new Error(`the fake Kafka does not know request ${key}`);
    const answered = await produce(node, version, body);
    return answered.bytes === null ? answered : { ...answered, bytes: withHeader(correlation, answered.bytes) };
  };

  const serve = (node: number, socket: Socket): void => {
    sockets.add(socket);
    let received = Buffer.alloc(0);
    let turn: Promise<unknown> = Promise.resolve();
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        const frame = received.subarray(4, 4 + received.readInt32BE(0));
        received = received.subarray(4 + frame.length);
        // Answers come in the order of the requests, as from a real broker.
        turn = turn.then(async () => {
          const { bytes, breaksOffAfter } = await answer(node, frame);
          if (bytes === null || socket.destroyed) return;
          if (breaksOffAfter === null) socket.write(bytes);
          else socket.write(bytes.subarray(0, breaksOffAfter), () => socket.resetAndDestroy());
        });
        turn.catch(() => socket.destroy());
      }
    });
  };

  const servers: Server[] = [];
  for (let node = 0; node < nodes; node += 1) {
    const server = createServer((socket) => serve(node, socket));
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
    servers.push(server);
    ports.push((server.address() as { port: number }).port);
    advertised.push(node);
  }
  return {
    addresses: ports.map((port) => `127.0.0.1:${port}`),
    stored,
    asked,
    setLeader(topic, partition, node) {
      const its = leaders.get(topic);
      if (its === undefined) throw new RangeError(`There is no topic ${topic}.`);
      its[partition] = node;
    },
    setPartitions(topic, partitions) {
      const its = leaders.get(topic) ?? [];
      leaders.set(
        topic,
        Array.from({ length: partitions }, (_, partition) => its[partition] ?? 0),
      );
    },
    setAddress(node, at) {
      advertised[node] = at;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

/** `bytes` null: no answer. */
interface Answer {
  readonly bytes: Buffer | null;
  /** Null: all of it arrives. */
  readonly breaksOffAfter: number | null;
}

const whole = (bytes: Buffer): Answer => ({ bytes, breaksOffAfter: null });

function withHeader(correlation: number, body: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeInt32BE(4 + body.length, 0);
  header.writeInt32BE(correlation, 4);
  return Buffer.concat([header, body]);
}
