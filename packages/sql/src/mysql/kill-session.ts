/**
 * Ends a session on the server whose client has given up in the middle of a statement.
 *
 * MySQL and MariaDB look at a client's socket only between statements: one that waits for a row, or runs long, goes on for whoever is gone, and
 * keeps the locks of its whole transaction until it ends by itself. So the session is killed over a connection of its own, as the servers' own
 * client does when it is interrupted. A user may always kill its own sessions.
 *
 *     lost in a statement ──▶ connect ──▶ is it ours? ──▶ KILL        not ours, no connection, or late: nothing; the server's own limits end it
 *
 * What waits for a semi-synchronous replica is left alone: its row is stored, and killed it would be seen before a replica has it, so that a failover
 * could take back what was read. A COMMIT is not even asked about. A statement with a commit of its own may begin that wait between our question
 * and the kill; for that there is no remedy here.
 *
 * A session's number is one server's. Behind a proxy or balancer the connection may lead to another one, where the number is somebody else's: so
 * the session must also be seen to come from our own port, or from the socket. Best effort, and over in two seconds.
 */
import type { Clock } from "@waybill/core";
import type { Driver, DriverOptions } from "./driver.ts";

export interface KilledSession {
  /** The session's number, as the handshake told it. */
  readonly threadId: number;
  /** The port of our end of its connection; null: it came through the server's socket. */
  readonly localPort: number | null;
}

const deadlineMs = 2_000;

/** Which session of ours this is, or no row: it has ended, is somebody else's or must not be killed. `?` its number, and how its `host` ends. */
const askSession = `
  select id
  from information_schema.processlist
  where id = ? and user = substring_index(user(), '@', 1) and host like ? and id <> connection_id()
    and coalesce(state, '') not like '%semi-sync%'`;

/** Resolves when it is over, whatever came of it. Never rejects. */
export function killSession(driver: Driver, options: DriverOptions, { threadId, localPort }: KilledSession, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const client = driver.createConnection({ ...options, connectTimeout: deadlineMs });
    const over = (): void => {
      timer.cancel();
      client.destroy();
      client.stream.destroy();
      resolve();
    };
    const timer = clock.setTimer(deadlineMs, over);
    client.on("error", over);
    client.on("end", over);
    const hostEnd = localPort === null ? "localhost" : `%:${localPort}`;
    client.query({ sql: askSession, values: [threadId, hostEnd] }, (error, rows) => {
      const isOurs = (error === null || error === undefined) && Array.isArray(rows) && rows.length === 1;
      if (!isOurs) return over();
      client.query({ sql: "kill ?", values: [threadId] }, over);
    });
  });
}
