import type { Findings } from "./findings.ts";
import type { History } from "./history.ts";
import { laneOf } from "./lane.ts";
import type { Message, Messages } from "./messages.ts";
import type { Reader, Readers } from "./readers.ts";
import type { TraceStep } from "./verdict.ts";

/**
 * OK: within a topic and key
 *
 *     the writers' order  ─append─▶  ledger order  ─publish─▶  first receptions  ─handle─▶  first effects
 *
 * each list is in the order of the one before. A message that comes after a later one is out of order, once per list; what comes
 * again is not looked at. A message that was discarded takes no part; under `skip` neither does one that was ever given up, and no
 * message of a topic whose writers do not exclude each other.
 */
export function judgeOrder(history: History, messages: Messages, readers: Readers, findings: Findings): void {
  const unordered: ReadonlySet<string> = new Set(history.unorderedTopics);
  const laneIn: LaneIn = ({ topic, key }) => (unordered.has(topic) ? undefined : laneOf(topic, key));
  judgeAppends(history, messages, laneIn, findings);

  for (const reader of readers.subscriptions.values()) {
    judgeFirsts(reader, messages, laneIn, outsideOrder(reader), findings, { source: "received", what: "it was first received" });
  }
  for (const reader of readers.consumers.values()) {
    const outside = new Set([reader, ...reader.feeds].flatMap((each) => [...outsideOrder(each)]));
    judgeFirsts(reader, messages, laneIn, outside, findings, { source: "effects", what: "its first effect is there" });
  }
}

const outsideOrder = (reader: Reader): ReadonlySet<string> => (reader.keyPolicy === "skip" ? reader.givenUp : reader.discarded);

/** The lane in which a message's order is judged; undefined: in none. */
type LaneIn = (message: Message) => string | undefined;

interface Sign {
  readonly source: "received" | "effects";
  readonly what: string;
}

function judgeFirsts(
  reader: Reader,
  messages: Messages,
  laneIn: LaneIn,
  outside: ReadonlySet<string>,
  findings: Findings,
  sign: Sign,
): void {
  const latest = new Map<string, { message: Message; sequence: bigint; position: number }>();
  for (const [id, position] of reader.firstAt) {
    const message = messages.byId.get(id);
    const sequence = message?.row?.sequence;
    if (message === undefined || sequence === undefined || outside.has(id)) continue;
    const lane = laneIn(message);
    if (lane === undefined) continue;
    const before = latest.get(lane);
    if (before === undefined || before.sequence < sequence) {
      latest.set(lane, { message, sequence, position });
      continue;
    }
    findings.violate("OK", "outOfOrder", {
      what: `${sign.what} after that of sequence ${before.sequence}, a later message of its key`,
      messageId: id,
      sequence,
      reader: reader.name,
      trace: () => [
        ...rowOf(message),
        ...rowOf(before.message),
        { source: sign.source, position: before.position, messageId: before.message.id, what: sign.what },
        { source: sign.source, position, messageId: id, what: sign.what },
      ],
    });
  }
}

/** Ledger order against the order the writers' locks gave, for messages whose intent tells it. */
function judgeAppends(history: History, messages: Messages, laneIn: LaneIn, findings: Findings): void {
  const latest = new Map<string, { message: Message; order: number }>();
  for (const row of inSequence(history.ledger)) {
    const message = messages.byId.get(row.messageId);
    const order = message?.intent?.order;
    if (message === undefined || order === undefined || message.row !== row || message.fate === "rolledBack") continue;
    const lane = laneIn(message);
    if (lane === undefined) continue;
    const before = latest.get(lane);
    if (before === undefined || before.order < order) {
      latest.set(lane, { message, order });
      continue;
    }
    findings.violate("OK", "outOfOrder", {
      what: `appended after order ${before.order} of its key, and is order ${order}`,
      messageId: message.id,
      sequence: row.sequence,
      trace: () => [...before.message.origin(), ...message.origin()],
    });
  }
}

/** Readers deliver rows in id order; only what does not is sorted, so that judging stays linear. */
function inSequence<Row extends { readonly sequence: bigint }>(rows: readonly Row[]): readonly Row[] {
  const isSorted = rows.every((row, position) => position === 0 || (rows[position - 1]?.sequence ?? row.sequence) <= row.sequence);
  return isSorted ? rows : [...rows].sort((a, b) => (a.sequence < b.sequence ? -1 : a.sequence > b.sequence ? 1 : 0));
}

const rowOf = (message: Message): TraceStep[] => message.origin().filter((step) => step.source === "ledger");
