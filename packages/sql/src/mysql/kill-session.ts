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

/**
 * All sessions that our user may see. Not `information_schema.processlist`: MySQL refuses it with error 3854 while any session runs a statement with a character
 * beyond the BMP. Not `performance_schema.processlist`: MariaDB has none, and MySQL's is empty where that schema is off. What the sessions run comes
 * along, a hundred characters each; it is not looked at.
 */
const showSessions = "show processlist";

/** A row of it, as far as it is looked at. */
interface SeenSession {
  readonly Id: number | string;
  readonly User: string;
  readonly Host: string;
  readonly State: string | null;
}

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
    client.query({ sql: showSessions }, (error, rows) => {
      if ((error !== null && error !== undefined) || !Array.isArray(rows)) return over();
      const sessions = rows as readonly SeenSession[];
      const withId = (id: number | null): SeenSession | undefined => sessions.find(({ Id }) => Number(Id) === id);
      if (!mayKill(withId(threadId), withId(client.threadId), localPort)) return over();
      client.query({ sql: "kill ?", values: [threadId] }, over);
    });
  });
}

/** Whether the session is there, of the user that asks, from our own end and in no wait that must not end. */
function mayKill(session: SeenSession | undefined, asking: SeenSession | undefined, localPort: number | null): boolean {
  if (session === undefined || asking === undefined || session === asking || session.User !== asking.User) return false;
  const isFromUs = localPort === null ? session.Host === "localhost" : session.Host.endsWith(`:${localPort}`);
  return isFromUs && session.State?.includes("semi-sync") !== true;
}
