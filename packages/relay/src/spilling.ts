/**
 * Copies what has waited for long out of the ledger into the spill, from the front of each lane, so that the cursor, and with it history and
 * everybody else, goes on without it.
 *
 *     a topic or key has waited spillAfterMs ─▶ lanes busy ─▶ copied inside the database, under the fence ─▶ durable: ids finished, lanes go on
 *                                                                └ a crash before the COMMIT: the ids are in the cursor and read again
 *                                                                  after it: they are looked up, and found in the spill
 *
 * From then on newer messages of such a lane are copied behind them until its copies are gone, also while those are being published: a
 * long spill must not fill the cursor with what came meanwhile. Nothing is copied from a lane that is at something else, or about
 * which a look-up is under way.
 */
import type { Bringing } from "./bringing.ts";
import type { GivingUp } from "./giving-up.ts";
import type { Entry, Lane, Topic } from "./lanes.ts";
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";

const lookMs = 1_000;
/** In one unit of work. */
const messagesMax = 500;
const bytesMax = 8_388_608;

export interface Spilling {
  /** Copies what is due, once a second, until the session ends. */
  run(): Promise<void>;
}

/** Entries from the front of each lane that are copied in one unit. */
interface Round {
  readonly lanes: Lane[];
  readonly entries: Entry[];
}

export function createSpilling(
  session: Session,
  progress: Progress,
  givingUp: GivingUp,
  bringing: Bringing,
  /** Lets go of lanes that wait for their bytes while their topic waits. */
  withdraw: (topic: Topic) => void,
  kick: () => void,
): Spilling {
  const { settings, lanes, spill, cursor, clock } = session;

  const hasWaited = (sinceMs: number): boolean => sinceMs > 0 && clock.monotonicMs() - sinceMs >= settings.spillAfterMs;

  const isDue = (lane: Lane): boolean => {
    if (lane.isBusy || lane.lookUps > 0 || lane.entries.at(-1)?.isSpilled !== false) return false;
    return lane.hasSpilled || hasWaited(lane.topic.waitsSinceMs) || (lane.waitsUntilMs > 0 && hasWaited(lane.waitsSinceMs));
  };

  /** Takes lanes, of one topic, until the unit is full; they are busy from here on. */
  const take = (due: Lane[], topic: Topic): Round => {
    const round: Round = { lanes: [], entries: [] };
    let bytes = 0;
    while (round.entries.length < messagesMax && bytes < bytesMax) {
      const lane = due.pop();
      if (lane === undefined) break;
      if (lane.topic !== topic || !isDue(lane)) continue;
      lane.isBusy = true;
      round.lanes.push(lane);
      for (const [place, entry] of lane.entries.entries()) {
        lane.inHand = place;
        if (entry.isSpilled) continue;
        if (round.entries.length >= messagesMax || (round.entries.length > 0 && bytes + entry.bytes > bytesMax)) break;
        round.entries.push(entry);
        bytes += entry.bytes;
        lane.inHand = place + 1;
      }
    }
    return round;
  };

  const finish = (entry: Entry, isCopied: boolean): void => {
    const { lane } = entry;
    progress.settled(entry);
    if (isCopied) {
      cursor.finish(entry);
      if (lane.key === null) bringing.noteWaiting(entry);
      else lane.hasSpilled = true;
    } else {
      session.report({ name: "relay.rowMissing", messageId: entry.messageId, sequence: entry.id });
      cursor.giveBack(entry);
    }
    lanes.leave(entry);
    session.isDirty = true;
  };

  /** One unit. False: nothing was copied, and it is to be tried again later. */
  const copy = async (topic: Topic, round: Round): Promise<boolean> => {
    const made = bringing.copying(topic.name);
    session.report({ name: "relay.spilling", topic: topic.name, messages: round.entries.length });
    const messages = round.entries.map(({ id, messageId, lane, attempts, mayBeStored }) => ({
      sequence: id,
      messageId,
      topic: topic.name,
      key: lane.key,
      attempts,
      mayBeStored,
    }));
    let copied: ReadonlySet<string> = new Set();
    const isFenced = await givingUp.fenced("spill", async (tx) => {
      copied = new Set((await spill.copy(tx, messages)).map(({ sequence, messageId }) => `${sequence} ${messageId}`));
    });
    made();
    if (session.ended.aborted) return false;
    if (isFenced) for (const entry of round.entries) finish(entry, copied.has(`${entry.id} ${entry.messageId}`));
    for (const lane of round.lanes) {
      lane.isBusy = false;
      lane.inHand = 0;
      lanes.settle(lane);
    }
    if (isFenced) session.report({ name: "relay.spilled", topic: topic.name, messages: round.entries.length });
    return isFenced;
  };

  const look = async (): Promise<void> => {
    for (const topic of lanes.topics.values()) if (hasWaited(topic.waitsSinceMs)) withdraw(topic);
    const due = new Map<Topic, Lane[]>();
    for (const lane of lanes.all()) {
      if (!isDue(lane)) continue;
      const ofTopic = due.get(lane.topic);
      if (ofTopic === undefined) due.set(lane.topic, [lane]);
      else ofTopic.push(lane);
    }
    for (const [topic, found] of due) {
      // Whatever was read first is copied first.
      found.reverse();
      while (found.length > 0) {
        if (session.ended.aborted || session.isDraining) return;
        const round = take(found, topic);
        if (round.entries.length === 0) break;
        if (!(await copy(topic, round))) return;
        for (const lane of round.lanes) if (isDue(lane)) found.push(lane);
      }
      bringing.wake();
      kick();
    }
  };

  return {
    async run() {
      // Who publishes alone copies nothing: it is to find out about each message first.
      const everyMs = Math.min(lookMs, Math.max(10, Math.floor(settings.spillAfterMs / 2)));
      while (await session.pause(everyMs)) {
        if (session.isDraining) return;
        if (!session.isSolo) await look();
      }
    },
  };
}
