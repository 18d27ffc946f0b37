/**
 * A holder of load L that was away for longer than its lease and comes back not knowing it.
 *
 *     holder    reads ─▶ away ······································ back ─▶ finds its lease gone ─▶ stands by
 *     the other                    takes over ─▶ all that the holder had read is published ─▶ …
 *
 * So whatever the broker gets a second time after it came back is a zombie's. It may have handed calls over before it went away, and no more than that
 * may come. What it wrote to the database shows in the lease record, which is judged when the load ends.
 */
import { readRetention } from "@waybill/relay";
import { waitUntil } from "@waybill/testing";
import { spaceOf } from "./delivery.ts";
import type { Load, LoadPart, Told } from "./load.ts";
import type { Rig } from "./rig.ts";

/** How it stood when the other had published everything that the holder might repeat. */
export interface Away {
  /** Lengths of `load.told` and of the tap's log. */
  readonly told: number;
  readonly received: number;
  /** Messages that the holder had handed over without hearing of them. */
  readonly handedOver: number;
}

const afterwardsMs = 1_000;

/** Waits until another relay has taken over since `from`, a length of `load.told`, and everything that the holder had read is finished. */
export async function otherTakesOver(load: Load, holder: LoadPart, from: number): Promise<Away> {
  const { source, told, tap } = load;
  await load.waitFor(({ who, event }) => who !== holder.seat.name && event["name"] === "relay.leaseAcquired", {
    what: "the other relay takes over",
    from,
  });
  const mine = told.filter(({ who }) => who === holder.seat.name);
  const applied = mine.findLast(({ event }) => event["name"] === "relay.batchApplied");
  const readTo = BigInt((applied?.event["lastId"] as string | undefined) ?? 0);
  const isPassed = async (): Promise<boolean> => {
    const { lowWaterMark } = await readRetention(source.database, { space: spaceOf(source) });
    return lowWaterMark !== null && lowWaterMark.id > readTo;
  };
  await waitUntil(isPassed, { what: "the other relay has published what the holder had read", deadlineMs: 60_000, intervalMs: 50 });
  return { told: told.length, received: tap.received.length, handedOver: handedOverBy(mine) };
}

/** Waits until the holder has come back and found its lease gone, and demands that the broker got nothing from it meanwhile. */
export async function isHarmless(rig: Rig, load: Load, holder: LoadPart, away: Away): Promise<void> {
  const isMine = (name: string) => (told: Told) => told.who === holder.seat.name && told.event["name"] === name;
  await load.waitFor(isMine("relay.leaseLost"), { what: "the zombie finds its lease gone", from: away.told });
  await load.waitFor(isMine("relay.standby"), { what: "the zombie stands by", from: away.told });
  await rig.pause(afterwardsMs);
  const before = new Set(load.tap.received.slice(0, away.received).map(({ messageId }) => messageId));
  const again = load.tap.received.slice(away.received).filter(({ messageId }) => before.has(messageId)).length;
  rig.say(`${again} messages came again, ${away.handedOver} had been handed over`);
  rig.demandWhenCalm(`a zombie published ${again} messages, of at most ${away.handedOver}`, again <= away.handedOver);
}

/** Of calls that were begun since its last lease: their messages without an outcome. */
function handedOverBy(mine: readonly Told[]): number {
  const since = mine.slice(mine.findLastIndex(({ event }) => event["name"] === "relay.leaseAcquired"));
  return since.reduce((sum, { event }) => {
    if (event["name"] === "relay.publishing") return sum + Number(event["messages"]);
    if (event["name"] !== "relay.published") return sum;
    return sum - Number(event["confirmed"]) - Number(event["rejected"]) - Number(event["retry"]) - Number(event["unknown"]);
  }, 0);
}
