/**
 * Publishes one message at a time, in id order, each one written down before it goes: how a message that kills its relay gets a name.
 * See `solo.ts` for when, and for what the deaths lead to.
 *
 *     pick the lowest ─▶ save durably: "alone with 42" ─▶ publish 42 ─▶ outcome ─▶ the next save no longer says 42
 *                                                      └── dies here: the next holder counts a death of 42
 */
import type { Bringing } from "./bringing.ts";
import type { GivingUp } from "./giving-up.ts";
import { keyPolicyOf } from "./key-policy.ts";
import type { Lane, Step } from "./lanes.ts";
import type { Progress } from "./progress.ts";
import type { Publishing } from "./publishing.ts";
import type { Releasing } from "./releasing.ts";
import type { Saving } from "./saving.ts";
import type { Session } from "./session.ts";

const idleMs = 5;
const lookMs = 1_000;

export interface AloneParts {
  readonly publishing: Publishing;
  readonly releasing: Releasing;
  readonly givingUp: GivingUp;
  readonly bringing: Bringing;
  readonly saving: Saving;
  load(lane: Lane): void;
}

/** Publishes alone until this holder has got somewhere, or the session ends. */
export async function publishAlone(session: Session, progress: Progress, parts: AloneParts): Promise<void> {
  const { clock } = session;
  const { saving } = parts;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  while (session.isSolo && !session.ended.aborted && !session.isDraining) {
    if (clock.monotonicMs() - lookedAtMs >= lookMs) {
      await parts.releasing.look();
      lookedAtMs = clock.monotonicMs();
    }
    if (progress.hasProgressed) {
      if (!(await saving.save({ isDurable: true }))) return;
      session.isSolo = false;
      session.report({ name: "relay.soloEnded" });
      parts.publishing.pump();
      return;
    }
    const next = lowest(session);
    if (next === null) await session.pause(idleMs);
    else await take(session, next.lane, next.step, parts, progress);
  }
}

async function take(session: Session, lane: Lane, step: Step, parts: AloneParts, progress: Progress): Promise<void> {
  const head = lane.entries[0];
  lane.isBusy = true;
  switch (step) {
    case "load":
      // Frees the lane itself, when the bytes are there. Nothing behind it goes meanwhile: the order is that of ids.
      parts.load(lane);
      while (lane.isBusy && !session.isDraining && (await session.pause(1)));
      return;
    case "publish": {
      // In hand from here on: what is written down is what goes, whatever comes out of a hole meanwhile.
      lane.inHand = 1;
      if (head === undefined || !(await announce(session, progress, parts.saving, head.messageId, head.id))) return;
      return parts.publishing.publishFirst(lane);
    }
    case "released":
      await parts.releasing.publishReleased(lane);
      break;
    case "bring":
      await parts.bringing.bring(lane);
      break;
    case "giveUp":
      await parts.givingUp.giveUp(lane, head?.unreadable ?? "unreadable");
      break;
    case "hold":
      lane.inHand = lane.entries.length;
      await parts.givingUp.hold(lane);
      break;
    case "nothing":
      break;
  }
  lane.isBusy = false;
  lane.inHand = 0;
  session.lanes.settle(lane);
}

/** Writes down, durably, what goes next. False: the session has been ended. */
export async function announce(
  session: Session,
  progress: Progress,
  saving: Saving,
  messageId: string,
  sequence: bigint,
): Promise<boolean> {
  progress.aloneWith(sequence);
  if (!(await saving.save({ isDurable: true }))) return false;
  session.report({ name: "relay.soloPublishing", messageId, sequence });
  return true;
}

/** The lane whose next step comes first in id order; lanes and topics that wait are passed over. */
function lowest(session: Session): { readonly lane: Lane; readonly step: Step } | null {
  if (session.transportWaitsUntilMs > 0) return null;
  let first: { lane: Lane; step: Step; id: bigint } | null = null;
  for (const lane of session.lanes.all()) {
    if (lane.topic.waitsUntilMs > 0) continue;
    const step = session.lanes.step(lane, keyPolicyOf(session.settings, lane.topic.name));
    if (step === "nothing") continue;
    // Released rows and copies lie below whatever their lane still has to read.
    const id = step === "released" || step === "bring" ? 0n : (lane.entries[0]?.id ?? 0n);
    if (first === null || id < first.id) first = { lane, step, id };
  }
  return first;
}
