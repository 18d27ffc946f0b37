import { connect } from "node:net";

/**
 * What a broker answers to ApiVersions. It does so only when it takes requests; a TCP connect alone succeeds long before.
 * `metadataVersion` is the level that the cluster has agreed on, null if it says none.
 */
export type KafkaGreeting = { readonly kind: "welcome"; readonly metadataVersion: number | null } | { readonly kind: "silent" };

/** Sends an ApiVersions request (version 3, which every broker from 2.4 on knows) and reads the answer. */
export function kafkaGreeting(address: {
  readonly host: string;
  readonly port: number;
  readonly deadlineMs?: number;
}): Promise<KafkaGreeting> {
  const { host, port, deadlineMs = 1_000 } = address;
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let received = Buffer.alloc(0);
    const end = (greeting: KafkaGreeting): void => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(greeting);
    };
    const deadline = setTimeout(() => end({ kind: "silent" }), deadlineMs);
    socket.once("connect", () => socket.write(apiVersionsRequest()));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) end(greetingOf(received.subarray(4)));
    });
    socket.once("error", () => end({ kind: "silent" }));
    socket.once("close", () => end({ kind: "silent" }));
  });
}

const apiVersions = 18;
const correlation = 0x57_42; // any number; the answer must bring it back

function apiVersionsRequest(): Buffer {
  const head = Buffer.alloc(10);
  head.writeInt16BE(apiVersions, 0);
  head.writeInt16BE(3, 2);
  head.writeInt32BE(correlation, 4);
  head.writeInt16BE(-1, 8); // no client id
  const name = Buffer.from("waybill", "latin1");
  const compact = Buffer.concat([Buffer.from([name.length + 1]), name]);
  const body = Buffer.concat([head, Buffer.from([0]), compact, compact, Buffer.from([0])]); // software name and version; no tagged fields
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length, 0);
  return Buffer.concat([size, body]);
}

/** The finalized features are the third tagged field of the answer, behind the list of request types. */
const finalizedFeatures = 2;

function greetingOf(answer: Buffer): KafkaGreeting {
  try {
    const read = reader(answer);
    if (read.int32() !== correlation || read.int16() !== 0) return { kind: "silent" };
    for (let left = read.varint() - 1; left > 0; left -= 1) {
      read.skip(6);
      read.skipTags();
    }
    read.skip(4); // throttle time
    let metadataVersion: number | null = null;
    for (let left = read.varint(); left > 0; left -= 1) {
      const tag = read.varint();
      const field = reader(read.bytes(read.varint()));
      if (tag !== finalizedFeatures) continue;
      for (let features = field.varint() - 1; features > 0; features -= 1) {
        const name = field.bytes(field.varint() - 1).toString("latin1");
        const level = field.int16();
        field.skip(2);
        field.skipTags();
        if (name === "metadata.version") metadataVersion = level;
      }
    }
    return { kind: "welcome", metadataVersion };
  } catch (error) {
    if (error instanceof RangeError) return { kind: "silent" }; // shorter than it says: another protocol
    throw error;
  }
}

function reader(buffer: Buffer): {
  int16(): number;
  int32(): number;
  varint(): number;
  bytes(length: number): Buffer;
  skip(length: number): void;
  skipTags(): void;
} {
  let at = 0;
  const read = {
    int16(): number {
      at += 2;
      return buffer.readInt16BE(at - 2);
    },
    int32(): number {
      at += 4;
      return buffer.readInt32BE(at - 4);
    },
    varint(): number {
      let value = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = buffer.readUInt8(at);
        at += 1;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) return value;
      }
    },
    bytes(length: number): Buffer {
      if (length < 0 || at + length > buffer.length) throw new RangeError("beyond the end");
      at += length;
      return buffer.subarray(at - length, at);
    },
    skip(length: number): void {
      at += length;
    },
    skipTags(): void {
      for (let left = read.varint(); left > 0; left -= 1) {
        read.varint();
        read.bytes(read.varint());
      }
    },
  };
  return read;
}
