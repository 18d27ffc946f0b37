import { connect } from "node:net";

/**
 * What a server says to a start-up packet. `welcome`: it lets the user in without a password. `asks`: it wants one. `refuses`: it
 * speaks the protocol but does not take us now – starting, recovering, full, or no such user. `silent`: nobody, or not PostgreSQL.
 */
export type PostgresGreeting = "welcome" | "asks" | "refuses" | "silent";

/**
 * Sends a start-up packet (protocol 3.0) and reads the answer's first message. It is the proof of life that counts: a TCP connect
 * alone succeeds while the server recovers from a crash.
 */
export function postgresGreeting(address: {
  readonly host: string;
  readonly port: number;
  readonly user?: string;
  readonly deadlineMs?: number;
}): Promise<PostgresGreeting> {
  const { host, port, user = "postgres", deadlineMs = 1_000 } = address;
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let received = Buffer.alloc(0);
    const end = (greeting: PostgresGreeting): void => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(greeting);
    };
    const deadline = setTimeout(() => end("silent"), deadlineMs);
    socket.once("connect", () => socket.write(startupPacket(user)));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      const kind = received[0];
      if (kind === 0x45)
        end("refuses"); // E: an error
      else if (kind !== 0x52)
        end("silent"); // not R: another protocol
      else if (received.length >= 9) end(received.readInt32BE(5) === 0 ? "welcome" : "asks");
    });
    socket.once("error", () => end("silent"));
    socket.once("close", () => end("silent"));
  });
}

function startupPacket(user: string): Buffer {
  const body = Buffer.from(`user\0${user}\0database\0postgres\0\0`, "utf8");
  const packet = Buffer.alloc(8 + body.length);
  packet.writeInt32BE(packet.length, 0);
  packet.writeInt32BE(3 << 16, 4);
  body.copy(packet, 8);
  return packet;
}
