import type { Findings } from "./findings.ts";
import type { History } from "./history.ts";
import type { Messages } from "./messages.ts";
import type { Readers } from "./readers.ts";

/** ND: per consumer and message id at most one effect; per message id at most one ledger row. Each is counted once. */
export function judgeDoubles(history: History, messages: Messages, readers: Readers, findings: Findings): void {
  const doubled = new Map<string, Set<string>>();
  for (const name of readers.consumers.keys()) doubled.set(name, new Set());

  for (const [position, effect] of history.effects.entries()) {
    const { consumer, messageId, count = 1 } = effect;
    const first = readers.consumers.get(consumer)?.firstAt.get(messageId) ?? position;
    const known = doubled.get(consumer);
    if ((first === position && count <= 1) || known === undefined || known.has(messageId)) continue;
    known.add(messageId);
    findings.violate("ND", "doubled", {
      what: "more than one effect",
      messageId,
      sequence: messages.byId.get(messageId)?.row?.sequence,
      reader: consumer,
      trace: () =>
        first === position
          ? [{ source: "effects", position, messageId, what: `its effect is there ${count} times` }]
          : [
              { source: "effects", position: first, messageId, what: "its effect is there" },
              { source: "effects", position, messageId, what: "its effect is there again" },
            ],
    });
  }

  const repeated = new Set<string>();
  for (const { row, position } of messages.repeatedRows) {
    if (repeated.has(row.messageId)) continue;
    repeated.add(row.messageId);
    findings.violate("ND", "doubled", {
      what: "more than one ledger row",
      messageId: row.messageId,
      sequence: row.sequence,
      trace: () => [
        ...(messages.byId.get(row.messageId)?.origin() ?? []),
        { source: "ledger", position, messageId: row.messageId, what: `another ledger row is there, sequence ${row.sequence}` },
      ],
    });
  }
}
