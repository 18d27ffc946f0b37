/**
 * The transaction of a batch, as one handler of it sees it.
 *
 * Until COMMIT the rows of all its messages say "handled", also of those whose turn has not come. So no handler may end the transaction by
 * itself: a COMMIT in the middle would keep the rows of messages that nobody has run. Nothing undoes that once it was sent. What is sent is
 * therefore chosen by a list of what cannot end a transaction, not of what can: a procedure of MySQL may hold a COMMIT, and `set autocommit`
 * is one. Whatever is not on the list sends the whole batch back, to be handled message by message, where it is allowed or refused as ever. Savepoints are
 * not on it, for they are shared: a handler could roll back to one that another has set, and take that one's effects with it.
 */
import { waybillError } from "@waybill/core";
import type { OwnedTx, SqlValue, Tx } from "@waybill/sql";

/**
 * White space and comments, but for those of MySQL that are run, and then a word that begins what reads or writes rows. A comment holds no beginning
 * of another, which PostgreSQL would nest, and ends at its first end.
 */
const harmless =
  /^(?:\s|\/\*(?!M?!)(?:[^*/]|\*(?!\/)|\/(?!\*))*\*\/|--\s[^\n]*\n)*(?:(?:select|insert|update|delete|merge|replace|with|values)\b|\()/i;
/** PostgreSQL runs several statements in one text, if it comes without values. */
const several = /;\s*\S/;

export interface BatchTx {
  readonly tx: Tx;
  /** Why the batch cannot go on; null while it can. */
  refusal(): Error | null;
  /** Resolves when nothing that the handler has sent is under way, waited for or not. */
  idle(): Promise<void>;
  /** Its handler has ended: it sends nothing more. */
  end(): void;
}

export function batchTx(tx: OwnedTx): BatchTx {
  let isOver = false;
  let refusal: Error | null = null;
  const underWay = new Set<Promise<unknown>>();
  return {
    tx: {
      dialect: tx.dialect,
      query(sql: string, values: readonly SqlValue[]) {
        if (isOver) return Promise.reject(finished());
        if (!isHarmless(sql, values)) {
          refusal ??= notInABatch();
          const refused = Promise.reject(refusal);
          // Remembered above: that nobody waits for it must not end the process.
          refused.catch(() => undefined);
          return refused;
        }
        const sent = tx.query(sql, values);
        const gone = sent.then(forget, forget);
        function forget(): void {
          underWay.delete(gone);
        }
        underWay.add(gone);
        return sent;
      },
    },
    refusal: () => refusal,
    async idle() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
    end() {
      isOver = true;
    },
  };
}

/** True if a statement leaves the transaction open, whatever it calls. */
export function isHarmless(sql: string, values: readonly unknown[]): boolean {
  return harmless.test(sql) && (values.length > 0 || !several.test(sql));
}

function finished(): Error {
  const message = "The handler has ended, and its transaction with it: wait for every statement before it returns.";
  return waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "finished" });
}

function notInABatch(): Error {
  const message = "This statement is not sent in a batch: it could end the transaction. The messages are handled one by one instead.";
  return waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "autocommit" });
}
