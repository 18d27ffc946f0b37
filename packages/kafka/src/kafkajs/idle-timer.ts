/**
 * kafkajs sets a timer of one millisecond after every answer, whether anything waits or not, and then another, for ever: an idle
 * connection runs 700 timers a second. The function that does it has nothing to do unless requests wait, which they do under a throttle
 * or a limit of requests in flight; patched, it returns at once otherwise. Whoever makes a request wait calls it again.
 *
 * The patch changes a library's prototype for the whole process, so it is made only where it is certain what it changes: version
 * 2.2.4, and exactly the source that was read. `patchIdleTimer: false` leaves the library alone.
 */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";

interface RequestQueue {
  readonly pending: readonly unknown[];
}

interface RequestQueueClass {
  readonly prototype: { scheduleCheckPendingRequests: (this: RequestQueue) => void };
}

/** `patched`: no idle timers. `original`: it could be patched. `unknown`: another version, or somebody else's patch: left as it is. */
export type IdleTimerState = "patched" | "original" | "unknown" | "notInstalled";

const version = "2.2.4";
const sourceSha256 = "04347ea969c6f2e3754427c0cbaee0bd4ce947fbd82f7b6e027506a06dfc581a";

/** Marks our function, also for a second copy of this package in the process. */
const patchMark = Symbol.for("waybill.kafkajs.idleTimer");

interface FoundQueue {
  readonly isKnownVersion: boolean;
  readonly queue: RequestQueueClass;
}

/** null: there is no kafkajs, or it is built differently. */
function requestQueue(): FoundQueue | null {
  const require = createRequire(import.meta.url);
  try {
    const manifest = require("kafkajs/package.json") as { readonly version: string };
    return { isKnownVersion: manifest.version === version, queue: require("kafkajs/src/network/requestQueue") as RequestQueueClass };
  } catch {
    return null;
  }
}

function stateOf(found: FoundQueue): IdleTimerState {
  const schedule = found.queue.prototype.scheduleCheckPendingRequests;
  if (patchMark in schedule) return "patched";
  const isRead = createHash("sha256").update(schedule.toString()).digest("hex") === sourceSha256;
  return found.isKnownVersion && isRead ? "original" : "unknown";
}

/** How the library in this process stands, without changing anything. */
export function idleTimerState(): IdleTimerState {
  const found = requestQueue();
  return found === null ? "notInstalled" : stateOf(found);
}

/** Patches the library once per process, where it is the one that was read. */
export function applyIdleTimerPatch(): void {
  const found = requestQueue();
  if (found === null || stateOf(found) !== "original") return;
  const { prototype } = found.queue;
  const schedule = prototype.scheduleCheckPendingRequests;
  const patched = function (this: RequestQueue): void {
    if (this.pending.length > 0) schedule.call(this);
  };
  prototype.scheduleCheckPendingRequests = Object.defineProperty(patched, patchMark, { value: true });
}
