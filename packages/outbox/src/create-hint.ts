/**
 * A hint that something was committed, so that a relay reads at once instead of waiting for its poll.
 *
 *     COMMIT ─▶ give() ─▶ NOTIFY, on a connection of ours ─▶ relay: reads now
 *                 └─ while one is on its way, any number more become one
 *
 * Never inside the business transaction: a NOTIFY there takes a lock at COMMIT that serialises all transactions of the database which notify. A hint
 * carries nothing, and whether it arrives matters to no promise: one that is lost costs at most one idle poll.
 */
import { emit, type OnEvent, throwConfigProblems } from "@waybill/core";
import { checkName, type Database, namespace } from "@waybill/sql";
import { defaultStream, ledgerTables } from "./ledger-tables.ts";

/** The channel of a ledger's hints: the name of its table, whatever the schema. A relay that hears of another one's ledger reads once in vain. */
export function hintChannel(prefix: string | undefined, stream: string): string {
  return ledgerTables(namespace("postgres", { prefix }), stream).outboxName;
}

export interface HintOptions {
  /** PostgreSQL. One of its pooled connections is used for a moment at a time, never one of your transactions. Yours to close. */
  readonly database: Pick<Database, "dialect" | "query">;
  /** How the tables' names begin. Default `waybill_`. */
  readonly prefix?: string;
  /** Which ledger. Default `default`. */
  readonly stream?: string;
  /** Milliseconds for one NOTIFY. Default 1 000. */
  readonly deadlineMs?: number;
  /** `outbox.hintLost`: one did not get through. */
  readonly onEvent?: OnEvent;
}

export interface Hint {
  /** Call it after your COMMIT. Returns at once, never throws, and may be called as often as you like. */
  give(): void;
  /** Resolves when nothing is on its way any more. Never rejects. */
  settled(): Promise<void>;
}

/**
 * Makes what tells relays of one ledger that something was committed. Opens nothing before it is used.
 *
 * On MySQL and MariaDB there is no NOTIFY: call `wake()` of a relay in the same process, or leave it to the poll.
 *
 * @throws WAYBILL_CONFIG_INVALID on MySQL and MariaDB, WAYBILL_IDENTIFIER_INVALID
 */
export function createHint({ database, prefix, stream = defaultStream, deadlineMs = 1_000, onEvent }: HintOptions): Hint {
  throwConfigProblems(
    "A hint",
    database.dialect === "postgres" ? [] : [{ option: "database", problem: "must be PostgreSQL: no other database can notify" }],
  );
  // As a plain command it is parsed, planned and answered in a third of the time that a call of pg_notify takes.
  const notify = `notify "${checkName("channel", hintChannel(prefix, stream))}"`;
  let isWanted = false;
  let sending: Promise<void> | null = null;

  const send = async (): Promise<void> => {
    while (isWanted) {
      isWanted = false;
      try {
        await database.query(notify, [], { deadlineMs });
      } catch {
        emit(onEvent, { name: "outbox.hintLost", stream });
      }
    }
    sending = null;
  };

  return {
    give() {
      isWanted = true;
      sending ??= send();
    },
    settled: async () => {
      await sending;
    },
  };
}
