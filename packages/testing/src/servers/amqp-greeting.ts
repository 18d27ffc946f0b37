import { connect } from "node:net";

/** `welcome`: a server that speaks AMQP 0-9-1. `silent`: nobody, another protocol, or a node that does not take clients yet. */
export type AmqpGreeting = { readonly kind: "welcome"; readonly version: string } | { readonly kind: "silent" };

/** A frame that carries a method: 1 byte of type, 2 of channel, 4 of length. The server's first one is `connection.start`. */
const methodFrame = 1;
const headerBytes = 7;

/**
 * Sends AMQP's protocol header and reads the server's first frame, with its version in it. A TCP connect alone succeeds while the node
 * still boots.
 */
export function amqpGreeting(address: {
  readonly host: string;
  readonly port: number;
  readonly deadlineMs?: number;
}): Promise<AmqpGreeting> {
  const { host, port, deadlineMs = 1_000 } = address;
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let received = Buffer.alloc(0);
    const end = (greeting: AmqpGreeting): void => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(greeting);
    };
    const deadline = setTimeout(() => end({ kind: "silent" }), deadlineMs);
    socket.once("connect", () => socket.write(Buffer.from([...Buffer.from("AMQP"), 0, 0, 9, 1])));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received[0] !== methodFrame) return end({ kind: "silent" });
      if (received.length < headerBytes || received.length < headerBytes + received.readUInt32BE(3)) return;
      end({ kind: "welcome", version: versionIn(received) });
    });
    socket.once("error", () => end({ kind: "silent" }));
    socket.once("close", () => end({ kind: "silent" }));
  });
}

/** Server properties are a table: a name, `S` for text, its length in 4 bytes, the text. */
function versionIn(frame: Buffer): string {
  const name = Buffer.from("\x07versionS", "latin1");
  const at = frame.indexOf(name);
  if (at === -1 || at + name.length + 4 > frame.length) return "unknown";
  const start = at + name.length + 4;
  return frame.toString("utf8", start, start + frame.readUInt32BE(start - 4));
}
