/**
 * A broker on the wire, for what a real one cannot be made to do: frames that lie about their size, a queue that has messages and
 * delivers none. It speaks just enough AMQP 0-9-1 to let a consumer in, by the driver's own codec.
 *
 *     header ─▶ start ─▶ tune ─▶ open ─▶ channels: every request is answered as a broker with one ready queue would
 */
import { createRequire } from "node:module";
import { createServer, type Socket } from "node:net";
import { dirname, join } from "node:path";

interface Codec {
  readonly encodeMethod: (id: number, channel: number, fields: object) => Buffer;
  readonly [method: string]: unknown;
}
const require = createRequire(import.meta.url);
// By its path: the driver exports it to nobody.
const defs = require(join(dirname(require.resolve("amqplib")), "lib", "defs.js")) as Codec;
const method = (name: string): number => defs[name] as number;

export interface FakeBroker {
  readonly url: string;
  /** Connections so far. */
  readonly connections: number;
  /** Consumers that were registered so far, over all connections. */
  readonly consumers: number;
  stop(): Promise<void>;
}

export interface FakeBrokerOptions {
  /** Messages that each look at a queue finds ready. */
  readonly ready: number;
  /** So many connections are closed with this reply code in the very packet that opens them. */
  readonly closesAtOnce?: { readonly times: number; readonly code: number };
  /** Told of each consumer; may write what it likes. */
  readonly onConsume?: (socket: Socket, channel: number, consumerTag: string) => void;
}

interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

const methodFrame = 1;
const headerBytes = 7;

export async function startFakeBroker({ ready, closesAtOnce, onConsume }: FakeBrokerOptions): Promise<FakeBroker> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let consumers = 0;

  const closeAtOnce = (socket: Socket): void => {
    const close = { replyCode: closesAtOnce?.code, replyText: "shutting down", classId: 0, methodId: 0 };
    const frames = [
      defs.encodeMethod(method("ConnectionOpenOk"), 0, { knownHosts: "" }),
      defs.encodeMethod(method("ConnectionClose"), 0, close),
    ];
    socket.write(Buffer.concat(frames));
  };

  const answer = (socket: Socket, { channel, payload }: Frame): void => {
    const id = payload.readUInt32BE(0);
    const reply = (name: string, fields: object): void => void socket.write(defs.encodeMethod(method(name), channel, fields));
    switch (id) {
      case method("ConnectionStartOk"):
        return reply("ConnectionTune", { channelMax: 100, frameMax: 131_072, heartbeat: 5 });
      case method("ConnectionOpen"):
        if (connections <= (closesAtOnce?.times ?? 0)) return closeAtOnce(socket);
        return reply("ConnectionOpenOk", { knownHosts: "" });
      case method("ConnectionClose"):
        return reply("ConnectionCloseOk", {});
      case method("ChannelOpen"):
        return reply("ChannelOpenOk", { channelId: Buffer.alloc(0) });
      case method("ChannelClose"):
        return reply("ChannelCloseOk", {});
      case method("BasicQos"):
        return reply("BasicQosOk", {});
      case method("QueueDeclare"):
        return reply("QueueDeclareOk", { queue: "q", messageCount: ready, consumerCount: 1 });
      case method("BasicConsume"): {
        // class, method, ticket, queue, consumer tag: the two names with their lengths before them
        const tagAt = 6 + 1 + payload.readUInt8(6);
        const consumerTag = payload.toString("utf8", tagAt + 1, tagAt + 1 + payload.readUInt8(tagAt));
        consumers += 1;
        reply("BasicConsumeOk", { consumerTag });
        return onConsume?.(socket, channel, consumerTag);
      }
    }
  };

  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
    let rest = Buffer.alloc(0);
    let isGreeted = false;
    const beat = setInterval(() => socket.write(Buffer.from([8, 0, 0, 0, 0, 0, 0, 206])), 1_000);
    socket.once("close", () => clearInterval(beat));
    socket.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      if (!isGreeted) {
        if (rest.length < 8) return;
        rest = rest.subarray(8);
        isGreeted = true;
        const start = {
          versionMajor: 0,
          versionMinor: 9,
          serverProperties: {},
          mechanisms: Buffer.from("PLAIN"),
          locales: Buffer.from("en_US"),
        };
        socket.write(defs.encodeMethod(method("ConnectionStart"), 0, start));
      }
      while (rest.length >= headerBytes) {
        const size = rest.readUInt32BE(3);
        if (rest.length < headerBytes + size + 1) return;
        const frame = { type: rest.readUInt8(0), channel: rest.readUInt16BE(1), payload: rest.subarray(headerBytes, headerBytes + size) };
        rest = rest.subarray(headerBytes + size + 1);
        if (frame.type === methodFrame) answer(socket, frame);
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as { port: number };
  return {
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    get connections() {
      return connections;
    },
    get consumers() {
      return consumers;
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** The head of a frame that says it has so many bytes. */
export function frameHead(type: number, channel: number, size: number): Buffer {
  const head = Buffer.alloc(headerBytes);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(size, 3);
  return head;
}
