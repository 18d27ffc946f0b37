/**
 * One session with PostgreSQL over `pg`.
 *
 * - Whether a pooler stands in between is asked of the server: behind one, `pg_backend_pid()` is not the pid that our own
 *   handshake named. Only a session that is ours alone gets settings and prepared statements.
 * - The status of the transaction is what the server's last ReadyForQuery said.
 */
import { waybillError } from "@waybill/core";
import type { SessionRequest } from "../create-database.ts";
import type { TextRow } from "../database.ts";
import { RowFields, type RowReader } from "../row-fields.ts";
import type { Answer, Session, SessionStatement, TransactionStatus } from "../session.ts";
import { guardSession } from "../session-guard.ts";
import { asksForRepetition, databaseError, endsConnection, proofAtCommit, speakableCause, sqlStateOf } from "./database-error.ts";
import { type DriverAnswer, type DriverClient, type DriverQuery, loadDriver } from "./driver.ts";
import { type RowTap, tapRows } from "./lean-rows.ts";
import { ownedTypes, rawTypes } from "./owned-types.ts";
import { prepareSession } from "./statements/prepare-session.ts";
import { setTimeouts } from "./statements/set-timeouts.ts";

/** How much longer than us the server waits before it ends by itself what we gave up. */
const serverMarginMs = 1_000;

/** Of the loss of a connection whose rows we did not all see. */
const rowsMissed = "ROWS_MISSED";

/** PostgreSQL undoes no statement by itself: every error is the whole transaction's. What ends a transaction says so in its answer. */
const rules = {
  // In one message, and so for no round trip more.
  beginByIndex: "begin; set local enable_seqscan = off",
  asksForRepetition,
  proofAtCommit,
  mayRepeatStatement: () => false,
  endsTransaction: () => false,
} as const;

export interface SessionOptions extends SessionRequest {
  readonly url: string;
}

/**
 * Opens a session within `deadlineMs`.
 *
 * @throws WAYBILL_CONFIG_INVALID if the driver is missing or cannot use the URL; WAYBILL_DATABASE; WAYBILL_DEADLINE
 */
export async function openSession(options: SessionOptions, deadlineMs: number): Promise<Session> {
  const { clock, onEvent } = options;
  const startedMs = clock.monotonicMs();
  const { Client, types } = await loadDriver();
  let client: DriverClient;
  try {
    client = new Client({ connectionString: options.url, application_name: options.applicationName, keepAlive: true });
  } catch (error) {
    const problem = "the driver cannot use this URL; check its parameters and the files they name";
    throw waybillError(
      "WAYBILL_CONFIG_INVALID",
      `Database: ${problem}.`,
      { problems: [{ option: "database", problem }] },
      speakableCause(error),
    );
  }
  const remainingMs = (): number => Math.max(1, deadlineMs - (clock.monotonicMs() - startedMs));
  const guard = guardSession({
    clock,
    onEvent,
    destroy: () => client.connection.stream.destroy(),
    goodbye: () => client.end(),
    databaseError,
    endsConnection: (error) => endsConnection(sqlStateOf(error)),
    codeOf,
  });
  let status: TransactionStatus = "I";
  client.on("error", guard.onError);
  client.on("end", guard.onEnd);
  client.connection.on("readyForQuery", (message) => {
    status = message.status === "T" || message.status === "E" ? message.status : "I";
  });
  // Before the first byte: a message may be cut anywhere, and whoever comes later would take its rest for the next one's beginning.
  let tap: RowTap | null = null;
  client.connection.on("sslconnect", () => {
    tap = tapRows(client.connection.stream);
  });
  const connecting = client.connect();
  if (client.connection.ssl === false) tap = tapRows(client.connection.stream);
  await guard.within("connect", deadlineMs, remainingMs(), connecting);

  const send = async (operation: string, query: DriverQuery, within: number): Promise<DriverAnswer> => {
    if (guard.lost.aborted) throw databaseError(operation, new Error("Connection terminated"));
    const answer = await guard.within(operation, within, within, client.query(query));
    if (!Array.isArray(answer)) return answer as DriverAnswer;
    return (answer as readonly DriverAnswer[]).at(-1) ?? { command: null, rowCount: null, rows: [] };
  };

  const usualMs = String(options.usualDeadlineMs + serverMarginMs);
  const direct = await send("connect", { text: prepareSession, values: [client.processID, usualMs] }, remainingMs());
  const isPooled = (direct.rows[0] as { is_direct: boolean }).is_direct === false;
  const named = ownedTypes(types);
  const nameFor = preparedNames(isPooled);

  const toQuery = ({ sql, values, rows, name, isBinary = false }: SessionStatement): DriverQuery => {
    const prepared = name === undefined ? null : nameFor(name, sql);
    return {
      text: sql,
      ...(values === undefined ? {} : { values: [...values] }),
      ...(rows === undefined || rows === "named" ? { types: named } : { types: rawTypes, rowMode: "array" as const }),
      ...(prepared === null ? {} : { name: prepared }),
      ...(isBinary ? { binary: true } : {}),
    };
  };

  /** Rows as the reader of the statement makes them, if it has one. */
  const ask = async (operation: string, statement: SessionStatement, within: number): Promise<DriverAnswer> => {
    const { rows: read } = statement;
    if (typeof read !== "function") return send(operation, toQuery(statement), within);
    if (statement.isBinary === true && (tap === null || statement.values === undefined || statement.values.length === 0))
      throw new Error(
        "Binary rows need a session that has them, and a statement with values: without, the driver sends it in a way that knows text only.",
      );
    if (tap === null) {
      const answer = await send(operation, toQuery(statement), within);
      return { ...answer, rows: readRows(answer.rows as readonly TextRow[], read) };
    }
    const tapped = tap.begin(read);
    try {
      const answer = await send(operation, toQuery(statement), within);
      const rows = tapped();
      // A row that is missing would be taken for one that is not there, and an id that nobody reads for one that nobody will write.
      if (answer.rows.length > 0 || (answer.command === "SELECT" && answer.rowCount !== rows.length)) {
        guard.destroy(rowsMissed);
        throw databaseError(operation, Object.assign(new Error("The server counted other rows than came."), { code: rowsMissed }));
      }
      return { ...answer, rows };
    } finally {
      tap.end();
    }
  };

  let allowedMs = options.usualDeadlineMs;
  return {
    dialect: "postgres",
    isPooled,
    hasBinaryRows: tap !== null,
    rules,
    lost: guard.lost,
    status: () => status,
    run: async (operation, statement, within): Promise<Answer> => {
      const { command, rowCount, rows } = await ask(operation, statement, within);
      return { rows, rowCount: rowCount ?? 0, ended: status === "I" ? (command === "ROLLBACK" ? "rolledBack" : "committed") : null };
    },
    allow: async (wantedMs, within) => {
      if (isPooled || wantedMs <= allowedMs) return;
      await send("settings", { text: setTimeouts, values: [String(Math.ceil(wantedMs) + serverMarginMs)] }, within);
      allowedMs = wantedMs;
    },
    onNotified: (listener) => {
      // Behind a pooler what LISTEN asked for stays on a server that the next transaction does not see.
      if (!isPooled) client.on("notification", listener);
      return !isPooled;
    },
    destroy: guard.destroy,
    end: guard.end,
  };
}

/** The same of rows that the driver has made: where it could not be tapped. */
function readRows<T>(rows: readonly TextRow[], read: RowReader<T>): readonly T[] {
  const fields = new RowFields();
  return rows.map((row) => {
    fields.fill(row.map((text) => (text === null ? null : Buffer.from(text))));
    return read(fields);
  });
}

/** Statements that one session keeps prepared; what comes later is sent whole each time. */
const preparedMax = 200;

/**
 * Hands out names. Two streams or namespaces send texts of one purpose, and so of one name, over the same session. Behind a pooler nothing
 * is prepared: it would stay on a server that the next transaction does not see.
 */
function preparedNames(isPooled: boolean): (wanted: string, text: string) => string | null {
  const texts = new Map<string, string>();
  return (wanted, text) => {
    if (isPooled) return null;
    const stem = wanted.slice(0, 56);
    for (let number = 1; number <= preparedMax; number++) {
      const name = number === 1 ? stem : `${stem} ${number}`;
      const known = texts.get(name);
      if (known === text) return name;
      if (known !== undefined) continue;
      if (texts.size >= preparedMax) return null;
      texts.set(name, text);
      return name;
    }
    return null;
  };
}

function codeOf(error: unknown): string {
  const { code } = speakableCause(error) as { readonly code?: unknown };
  return typeof code === "string" ? code : "CONNECTION";
}
