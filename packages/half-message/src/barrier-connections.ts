/**
 * A few connections for the barrier alone, so that answering a check never waits for the application's pool, and never takes more than
 * these of the server. Opened when first needed, opened again when lost; callers on one connection take turns.
 */
import { type Clock, waybillError, withDeadline } from "@waybill/core";
import type { Connection, Database } from "@waybill/sql";

export interface BarrierConnections {
  /** The connection with the fewest at it. Throws WAYBILL_DATABASE, WAYBILL_DEADLINE. */
  use<T>(deadlineMs: number, work: (connection: Connection) => Promise<T>): Promise<T>;
  /** Closes them. Who comes later is refused. Never rejects. */
  close(): Promise<void>;
}

interface Place {
  opening: Promise<Connection> | null;
  users: number;
}

export function barrierConnections(database: Database, count: number, clock: Clock): BarrierConnections {
  const places = Array.from({ length: count }, (): Place => ({ opening: null, users: 0 }));
  let isClosed = false;

  const open = (place: Place, deadlineMs: number): Promise<Connection> => {
    const opening = database.connect({ purpose: "barrier", deadlineMs });
    opening.catch(() => {
      if (place.opening === opening) place.opening = null;
    });
    return opening;
  };

  const connect = async (place: Place, deadlineMs: number): Promise<Connection> => {
    const opening = (place.opening ??= open(place, deadlineMs));
    const opened = await withDeadline(clock, deadlineMs, opening);
    // It goes on under its own deadline, and stays in its place: given up, it would open for nobody, and be one too many.
    if (opened.kind === "late") throw deadline(deadlineMs);
    if (!opened.value.lost.aborted) return opened.value;
    // Lost while idle: the next one is new.
    if (place.opening === opening) place.opening = null;
    return connect(place, deadlineMs);
  };

  return {
    async use(deadlineMs, work) {
      if (isClosed) throw closed();
      const place = places.reduce((least, one) => (one.users < least.users ? one : least));
      place.users += 1;
      try {
        return await work(await connect(place, deadlineMs));
      } finally {
        place.users -= 1;
      }
    },

    async close() {
      isClosed = true;
      await Promise.all(
        places.map(async ({ opening }) => {
          try {
            await (await opening)?.close();
          } catch {
            // It never opened, which is closed enough.
          }
        }),
      );
    },
  };
}

function deadline(deadlineMs: number): Error {
  const operation = "a connection for the barrier";
  return waybillError("WAYBILL_DEADLINE", `Gave up waiting for ${operation} after ${deadlineMs} ms. Try again.`, { operation, deadlineMs });
}

function closed(): Error {
  const problem = "is closed; close it when nothing uses it any more";
  return waybillError("WAYBILL_CONFIG_INVALID", `The barrier ${problem}.`, { problems: [{ option: "barrier", problem }] });
}
