/**
 * A half-message service, read as if it were a ledger: what it committed are the ledger's rows, a destination is the one that reads them.
 *
 *     half message   rolled back    no row                 prepared, suspended   no row, and counted by whoever asks
 *                    committed      a row per message, by its delivery: pending, awaiting_ack ──▶ open      acked ──▶ done      dead ──▶ a dead letter
 */
import { AuditInputError } from "./audit-input-error.ts";
import type { DatabasePlace } from "./database-place.ts";
import { type Fields, idAt, oneOfAt, textAt, textOrNullAt } from "./fields.ts";
import type { DeadLetter, IdRange, LedgerRow } from "./history.ts";
import { type LedgerPart, tablesOf } from "./read-tables.ts";
import type { TableName } from "./table-name.ts";

/** A half message as the service's row tells it. */
export interface HalfMessageState {
  readonly producer: string;
  readonly id: string;
  readonly state: "prepared" | "suspended" | "committed" | "rolled_back";
  /** `producer:<key id>`, `check:<number>` or `operator:<key id>`; null: undecided. */
  readonly decidedBy: string | null;
  /** Entries of the log that decided it: 1 if it is decided, else 0. Anything else is a decision that was made twice, or without a trace. */
  readonly decisions: number;
}

/** The producers' side of a history, and beside it every half message. */
export interface HalfMessagePart extends LedgerPart {
  readonly halfMessages: readonly HalfMessageState[];
}

/**
 * Half messages of a service, and what one destination is to get of them, of one snapshot. The destination stands in `subscriptions` under its own name; the
 * sequence of a message is its delivery's.
 *
 * Edge: a committed message without a delivery gets sequence 0. Read before bodies are purged, or what was purged looks like messages that never were.
 *
 * Throws `AuditInputError` if the tables cannot be read.
 */
export async function readHalfMessages(place: DatabasePlace, destination: string): Promise<HalfMessagePart> {
  const { prefix = "waybill_" } = place;
  const tables = tablesOf(place);
  const nameOf = (table: string): TableName => tables.nameOf(place, `${prefix}${table}`);
  const halfMessages = nameOf("half_message");
  const [states = [], messages = []] = await tables.readAll(place, [
    tables.halfMessages(halfMessages, nameOf("decision_log")),
    tables.committedMessages(halfMessages, nameOf("half_message_body"), nameOf("delivery"), destination),
  ]);
  const rows = messages.map((row, at) => messageOf(row, `messages[${at}]`));
  const openRanges = rows.flatMap(({ ledgerRow: { sequence }, state }): readonly IdRange[] =>
    state === "pending" || state === "awaiting_ack" ? [{ lo: sequence, hi: sequence }] : [],
  );
  return {
    halfMessages: states.map((row, at) => stateOf(row, `halfMessages[${at}]`)),
    ledger: rows.map(({ ledgerRow }) => ledgerRow),
    subscriptions: [
      { subscription: destination, lastId: rows.at(-1)?.ledgerRow.sequence ?? 0n, openRanges, owner: null, isLeaseValid: false },
    ],
    deadLetters: rows.flatMap(({ ledgerRow: { messageId, payloadDigest }, state }): readonly DeadLetter[] =>
      state === "dead" ? [{ origin: "relay", reader: destination, messageId, state: "dead", payloadDigest }] : [],
    ),
  };
}

function stateOf(row: Fields, where: string): HalfMessageState {
  return {
    producer: textAt(row, "producer", where),
    id: textAt(row, "id", where),
    state: oneOfAt(row, "state", where, ["prepared", "suspended", "committed", "rolled_back"]),
    decidedBy: textOrNullAt(row, "decided_by", where),
    decisions: Number(idAt(row, "decisions", where)),
  };
}

function messageOf(row: Fields, where: string): { readonly ledgerRow: LedgerRow; readonly state: string | null } {
  const state = textOrNullAt(row, "delivery_state", where);
  if (state !== null && !["pending", "awaiting_ack", "acked", "dead"].includes(state)) {
    throw new AuditInputError(`${where}.delivery_state`, "must be a delivery's state");
  }
  return {
    state,
    ledgerRow: {
      sequence: row["sequence"] === null ? 0n : idAt(row, "sequence", where),
      messageId: textAt(row, "message_id", where),
      type: textAt(row, "type", where),
      topic: textAt(row, "topic", where),
      key: textOrNullAt(row, "key", where),
      payloadDigest: textAt(row, "digest", where),
    },
  };
}
