/**
 * Brings a run to rest: no fault any more, transactions that nobody will decide are decided, dead letters are sent again until none is left, and
 * the relays get the time they need – as long as anything moves.
 */
import { readLedgerStanding } from "@waybill/testing";
import type { Destination } from "./destination.ts";
import { redrive } from "./faults.ts";
import type { Place } from "./place.ts";

/** Beyond every backoff, lease and fence of the run, on a machine that has much else to do. */
const stalledAfterMs = 120_000;
const lookEveryMs = 250;
const sayEveryMs = 5_000;

/**
 * Decides prepared transactions older than `olderThanMs` whose writer is gone, one way or the other: their outcome stays unknown in the journal, and
 * what is in the tables tells.
 */
export async function decidePrepared(place: Place, olderThanMs: number): Promise<number> {
  const { preparedPrefix } = place;
  if (preparedPrefix === null) return 0;
  return place.ask(async (session) => {
    const names =
      session.dialect === "postgres"
        ? (await session.run("select gid as name from pg_prepared_xacts where database = current_database()")).map((row) =>
            String(row["name"]),
          )
        : (await session.run("xa recover")).map((row) => String(row["data"]));
    let decided = 0;
    for (const name of names) {
      if (!name.startsWith(preparedPrefix)) continue;
      const [, madeAtMs = "0", id = ""] = /(\d+)-([0-9a-f]+)$/.exec(name) ?? [];
      if (Date.now() - Number(madeAtMs) < olderThanMs) continue;
      const verb = Number.parseInt(id.slice(0, 4), 16) % 2 === 0 ? "commit" : "rollback";
      await session
        .run({ postgres: `${verb} prepared '${name}'`, mysql: `xa ${verb} '${name}'` })
        .then(() => {
          decided += 1;
        })
        .catch(() => undefined); // its writer has just decided it
    }
    return decided;
  });
}

/** Resolves with true when all is published, read and decided; with false when nothing moved for a long while. */
export async function becomesQuiet(
  place: Place,
  destination: Destination,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<boolean> {
  let sign = "";
  let movedMs = performance.now();
  let saidMs = movedMs;
  while (!signal.aborted && performance.now() - movedMs < stalledAfterMs) {
    try {
      await decidePrepared(place, 0);
      await redrive(place);
      const now = await place.ask(readLedgerStanding);
      if (now.isQuiet) return true;
      const nowSign = `${now.sign} ${destination.received.length}`;
      if (nowSign !== sign) movedMs = performance.now();
      sign = nowSign;
      if (performance.now() - saidMs > sayEveryMs) {
        say(`not quiet yet: ${sign}`);
        saidMs = performance.now();
      }
    } catch {
      // The server is still coming up: it has as long as everything else.
    }
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  return false;
}
