import { connect } from "node:net";

/**
 * What a server says before anybody logs in. `mysql` and `mariadb` greet with their version. `refuses`: it speaks the protocol but does
 * not take us now – full, or it has blocked this host. `silent`: nobody, or another protocol.
 */
export type MysqlGreeting =
  | { readonly kind: "mysql" | "mariadb"; readonly version: string }
  | { readonly kind: "refuses" }
  | { readonly kind: "silent" };

/** 3 bytes of length, 1 of sequence, then 10 for a greeting or 255 for an error. */
const kindAt = 4;

/** Reads a server's first packet (protocol 10). A TCP connect alone succeeds before the server takes anybody. */
export function mysqlGreeting(address: {
  readonly host: string;
  readonly port: number;
  readonly deadlineMs?: number;
}): Promise<MysqlGreeting> {
  const { host, port, deadlineMs = 1_000 } = address;
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let received = Buffer.alloc(0);
    const end = (greeting: MysqlGreeting): void => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(greeting);
    };
    const deadline = setTimeout(() => end({ kind: "silent" }), deadlineMs);
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      const kind = received[kindAt];
      if (kind === 0xff) return end({ kind: "refuses" });
      if (kind !== undefined && kind !== 10) return end({ kind: "silent" });
      const versionEnd = received.indexOf(0, kindAt + 1);
      if (versionEnd !== -1) end(greetingOf(received.toString("latin1", kindAt + 1, versionEnd)));
    });
    socket.once("error", () => end({ kind: "silent" }));
    socket.once("close", () => end({ kind: "silent" }));
  });
}

/** MariaDB may put `5.5.5-` before its own version, for clients that know no two-digit one. */
function greetingOf(told: string): MysqlGreeting {
  const version = shortVersion(told.replace(/^5\.5\.5-/, ""));
  return { kind: /mariadb/i.test(told) ? "mariadb" : "mysql", version };
}

/** `10.11.19` of `10.11.19-MariaDB-0+deb12u1`. */
export function shortVersion(told: string): string {
  return /^\d+(\.\d+)*/.exec(told)?.[0] ?? told;
}
