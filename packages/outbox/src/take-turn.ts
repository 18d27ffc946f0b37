/**
 * Upkeep and the moving of delayed messages take turns at the row of their stream, in short steps, and nobody waits for it in the database: there a queue
 * would hold connections. Moving has a step whenever something is due. Upkeep comes once a minute, so it asks several times before it says
 * `busy`; otherwise a stream with many delayed messages would get no partitions, and keep its history.
 */
import { type Clock, wait } from "@waybill/core";

const triesMax = 25;
const betweenTriesMs = 40;

/** Tries a step until nobody else has the row, for about a second. `busy`: somebody still has. */
export async function takeTurn<T>(clock: Clock, step: () => Promise<T | "busy">): Promise<T | "busy"> {
  for (let tries = 1; ; tries += 1) {
    const taken = await step();
    if (taken !== "busy" || tries === triesMax || !(await wait(clock, betweenTriesMs))) return taken;
  }
}
