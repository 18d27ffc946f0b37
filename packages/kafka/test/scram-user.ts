/** Makes a SCRAM-SHA-512 user on a broker. No client library of ours can, so this is the request by hand (AlterUserScramCredentials 0). */
import { pbkdf2Sync, randomBytes } from "node:crypto";
import { connect } from "node:net";

const iterations = 4_096;
const sha512 = 2;

export async function addScramUser({
  port,
  username,
  password,
}: {
  readonly port: number;
  readonly username: string;
  readonly password: string;
}): Promise<void> {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 64, "sha512");
  const header = Buffer.from([0, 51, 0, 0, 0, 0, 0, 7, 255, 255, 0]); // key, version, correlation, no client id, no tags
  const count = Buffer.alloc(4);
  count.writeInt32BE(iterations);
  const body = Buffer.concat([
    Buffer.from([1, 2]), // no deletions, one upsertion
    compact(Buffer.from(username)),
    Buffer.from([sha512]),
    count,
    compact(salt),
    compact(salted),
    Buffer.from([0, 0]), // no tags
  ]);
  const size = Buffer.alloc(4);
  size.writeInt32BE(header.length + body.length);
  const answer = await new Promise<Buffer>((resolve, reject) => {
    let received = Buffer.alloc(0);
    const socket = connect({ host: "127.0.0.1", port }, () => socket.write(Buffer.concat([size, header, body])));
    socket.once("error", reject).once("close", () => reject(new Error("the broker closed the connection")));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return;
      resolve(received);
      socket.destroy();
    });
  });
  // size, correlation, tags, throttle; then one result: its user and error code
  const code = answer.readInt16BE(4 + 4 + 1 + 4 + 1 + 1 + username.length);
  if (code !== 0) throw new Error(`the broker made no user: code ${code}`);
}

/** Bytes behind their length plus one. */
function compact(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([bytes.length + 1]), bytes]);
}
