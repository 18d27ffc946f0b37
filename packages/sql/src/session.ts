/**
 * One session with a server, as pool, units of work and connections see it: the port that `postgres/session.ts` and `mysql/session.ts`
 * implement.
 *
 * Every call ends by its deadline. A session that did not answer in time, or answered anything but a plain SQL error, is destroyed and
 * never used again. Losing one ends no process.
 */
import type { WaybillErrorFacts } from "@waybill/core";
import type { OwnedValue } from "./database.ts";
import type { RowReader } from "./row-fields.ts";
import type { Dialect } from "./tx.ts";

/** `I` no transaction, `T` inside one, `E` inside a failed one: as far as the server has told. */
export type TransactionStatus = "I" | "T" | "E";

export interface SessionStatement {
  readonly sql: string;
  readonly values?: readonly OwnedValue[];
  /** `named`: by column name and parsed, the default. `text`: arrays of the text on the wire. Otherwise: what the reader makes of each. */
  readonly rows?: "named" | "text" | RowReader<unknown>;
  /** For a reader, where the session `hasBinaryRows`. */
  readonly isBinary?: boolean;
  /** Prepared under this name where that helps and no pooler stands in between. */
  readonly name?: string | undefined;
}

export interface Answer {
  readonly rows: readonly unknown[];
  /** How many rows a statement that writes has written; 0 where the server gives no number. */
  readonly rowCount: number;
  /** Afterwards no transaction is open: how one would have ended. null: one is open, or the server did not tell. */
  readonly ended: "committed" | "rolledBack" | null;
}

/**
 * `rolledBack`: nothing was kept. `rolledBackIfItGoesOn`: nothing was kept, provided that the same session answers further statements: a server
 * that shuts down, or a pooler that lost its server, sends errors, too. `nothing`: it may have been kept.
 */
export type CommitProof = "rolledBack" | "rolledBackIfItGoesOn" | "nothing";

/** What the server's errors and statements do to a transaction. Errors by SQLSTATE and errno, never by message. */
export interface TransactionRules {
  /** Begins a transaction that finds rows by their indexes where it can. */
  readonly beginByIndex: string;
  /** Sent inside a transaction it would commit what came before, without a word: refused in a unit before it is sent. */
  endsTransaction(sql: string): boolean;
  /** The server asks to run the whole transaction again. */
  asksForRepetition(facts: DatabaseFacts): boolean;
  /** What an error in answer to COMMIT proves. */
  proofAtCommit(facts: DatabaseFacts): CommitProof;
  /** It undid its own statement and nothing else; the very same statement may be sent once more. */
  mayRepeatStatement(facts: DatabaseFacts): boolean;
}

export type DatabaseFacts = WaybillErrorFacts["WAYBILL_DATABASE"];

export interface Session {
  readonly dialect: Dialect;
  readonly isPooled: boolean;
  /** A reader may ask for columns in the server's binary form. */
  readonly hasBinaryRows: boolean;
  readonly rules: TransactionRules;
  /** Aborts when the session is over, for whatever reason. */
  readonly lost: AbortSignal;
  status(): TransactionStatus;
  /** One statement. After WAYBILL_DEADLINE, or an error that is not the server's plain refusal, the session is destroyed. */
  run(operation: string, statement: SessionStatement, deadlineMs: number): Promise<Answer>;
  /** Lets the server wait `wantedMs` for one statement, and for us between two; never less than before. Behind a pooler it does nothing. */
  allow(wantedMs: number, deadlineMs: number): Promise<void>;
  /** Calls back with each notification that the server sends on its own, from now on. False: none ever comes here. */
  onNotified(listener: () => void): boolean;
  /** Ends the session at once, without a word to the server. With a code it is reported as lost; without, it was meant to end. */
  destroy(code?: string): void;
  /** Ends the session politely, within `deadlineMs`; then by force. Never rejects. */
  end(deadlineMs: number): Promise<void>;
}
