import type { Findings } from "./findings.ts";
import type { History } from "./history.ts";
import { laneOf } from "./lane.ts";
import type { Messages } from "./messages.ts";

/** QS: after everything was stopped nobody holds a lease, nothing is left to read, to watch or to publish. */
export function judgeQuiescence(history: History, messages: Messages, findings: Findings): void {
  for (const [position, each] of history.subscriptions.entries()) {
    const reader = each.subscription;
    const report = (count: "leased" | "openRanges" | "unread" | "unfinished", what: string, by: number): void =>
      findings.violate("QS", count, { what, reader, trace: () => [{ source: "subscriptions", position, what }] }, by);

    if (each.owner !== null && each.isLeaseValid) report("leased", "its lease is still held", 1);
    const [range] = each.openRanges;
    if (range !== undefined) {
      report(
        "openRanges",
        `${each.openRanges.length} ranges are still open, the first from ${range.lo} to ${range.hi}`,
        each.openRanges.length,
      );
    }
    let unread = 0;
    for (const row of history.ledger) if (row.sequence > each.lastId) unread += 1;
    if (unread > 0) report("unread", `its last id is ${each.lastId} and ${unread} rows lie beyond`, unread);
    const spilled = each.spilled ?? 0;
    if (spilled > 0) report("unfinished", `${spilled} spilled messages were not published`, spilled);
  }
  judgeDeadLetters(history, messages, findings);
}

/** A released message is on its way, and a held one follows as soon as nothing dead is before it: neither may be left over. */
function judgeDeadLetters(history: History, messages: Messages, findings: Findings): void {
  const firstDead = new Map<string, bigint>();
  const place = (id: string, reader: string): { lane: string; sequence: bigint } | undefined => {
    const message = messages.byId.get(id);
    const lane = message === undefined ? undefined : laneOf(message.topic, message.key);
    const sequence = message?.row?.sequence;
    return lane === undefined || sequence === undefined ? undefined : { lane: `${reader.length}:${reader}${lane}`, sequence };
  };
  for (const letter of history.deadLetters) {
    if (letter.origin !== "relay" || letter.state !== "dead") continue;
    const found = place(letter.messageId, letter.reader);
    if (found === undefined) continue;
    const known = firstDead.get(found.lane);
    if (known === undefined || found.sequence < known) firstDead.set(found.lane, found.sequence);
  }

  for (const [position, letter] of history.deadLetters.entries()) {
    const { messageId, reader } = letter;
    if (messages.byId.get(messageId)?.fate !== "committed") continue;
    let what: string | undefined;
    if (letter.state === "released") what = "released from the dead letters and not done";
    // An inbox also holds messages of a type it does not know, without anything dead before them.
    else if (letter.state === "held" && letter.origin === "relay") {
      const found = place(messageId, reader);
      const dead = found === undefined ? undefined : firstDead.get(found.lane);
      if (found === undefined || dead === undefined || dead > found.sequence) what = "held with nothing dead before it";
    }
    if (what === undefined) continue;
    const step = { source: "deadLetters", position, messageId, what } as const;
    findings.violate("QS", "unfinished", { what, messageId, reader, trace: () => [step] });
  }
}
