/**
 * One session with MySQL or MariaDB over `mysql2`.
 *
 * Statements travel as text, with values put in by the driver's own escaping, not as prepared statements. Reasons: one round trip, also
 * the first time; numbers are exact literals, where the driver binds a double (`limit ?` is refused by MySQL then, and a double holds no
 * 64-bit number); rows come as the text that `queryText` promises; nothing is kept on the server for each text. The escaping is right as long as
 * a backslash escapes and the session speaks utf8mb4: we set both, and every OK packet says whether the first still holds – a session that
 * was changed behind our back is destroyed.
 *
 * - The driver's own `timeout` is not used: it rejects and leaves the connection in an unknown state. Our deadline destroys it, and has the
 *   server end what it was at.
 * - The status of the transaction is what the server's last OK packet said; the driver shows it for everything but rows, which begin and
 *   end no transaction.
 * - Poolers for MySQL keep the settings of a session, or pin it once it has some; so there is nothing to ask.
 */
import { readFile } from "node:fs/promises";
import { throwConfigProblems } from "@waybill/core";
import type { SessionRequest } from "../create-database.ts";
import type { Answer, Session, SessionStatement, TransactionStatus } from "../session.ts";
import { guardSession } from "../session-guard.ts";
import { withBuffers } from "../sql-value.ts";
import {
  asksForRepetition,
  databaseError,
  endsConnection,
  errnoOf,
  mayRepeatStatement,
  proofAtCommit,
  speakableCause,
} from "./database-error.ts";
import type { ServerAddress } from "./database-url.ts";
import { type DriverHeader, type DriverOptions, type DriverQuery, type DriverResult, type DriverTls, loadDriver } from "./driver.ts";
import { endsTransaction } from "./ends-transaction.ts";
import { type KilledSession, killSession } from "./kill-session.ts";
import { type LeanRows, rawBytes, readLean } from "./lean-rows.ts";
import { ownedTypes, rawText } from "./owned-types.ts";
import { askServer, prepareSession, readCommitted } from "./statements/prepare-session.ts";
import { setTimeouts } from "./statements/set-timeouts.ts";

/** An optimizer that knows its tables needs no telling. */
const rules = { beginByIndex: "begin", asksForRepetition, proofAtCommit, mayRepeatStatement, endsTransaction } as const;

/** Of the status in an OK packet. */
const inTransaction = 0x0001;
const noBackslashEscapes = 0x0200;

/** Beyond our own deadline, so that it never speaks first. */
const driverTimeoutMs = 2 ** 31 - 1;

/** The server closed an idle session, as we told it to. Said by MySQL from 8.0.24 on; the driver has the number of what it did not ask for only. */
const idleCode = "4031";

export interface SessionOptions extends SessionRequest {
  readonly address: ServerAddress;
}

/**
 * Opens a session within `deadlineMs`.
 *
 * @throws WAYBILL_CONFIG_INVALID if the driver is missing or too old, or a file of TLS cannot be read; WAYBILL_DATABASE; WAYBILL_DEADLINE
 */
export async function openSession(options: SessionOptions, deadlineMs: number): Promise<Session> {
  const { clock, onEvent, address } = options;
  const startedMs = clock.monotonicMs();
  const remainingMs = (): number => Math.max(1, deadlineMs - (clock.monotonicMs() - startedMs));
  const driver = await loadDriver();
  const connecting = driverOptions(address, options.applicationName, await readTls(address));
  const client = driver.createConnection(connecting);
  /** Statements that may be killed on the server when they are given up. */
  let underWay = 0;
  /** Known once the session is prepared. */
  let self: KilledSession | null = null;
  const guard = guardSession({
    clock,
    onEvent,
    destroy: () => {
      if (self !== null && underWay > 0) killSession(driver, connecting, self, clock).catch(() => undefined);
      client.destroy();
      client.stream.destroy();
    },
    goodbye: () => promised<void>((done) => client.end(done)),
    databaseError,
    endsConnection: (error) => endsConnection(errnoOf(error)),
    codeOf,
  });
  client.on("error", (error) => {
    if (codeOf(error) === idleCode) guard.destroy();
    else guard.onError(error);
  });
  client.on("end", guard.onEnd);

  let status: TransactionStatus = "I";
  await guard.within(
    "connect",
    deadlineMs,
    remainingMs(),
    promised<void>((done) => client.connect(done)),
  );

  const send = async (operation: string, statement: SessionStatement, within: number): Promise<DriverResult> => {
    if (guard.lost.aborted) throw databaseError(operation, new Error("Connection terminated"));
    const { sql, values = [], rows, isBinary = false } = statement;
    if (isBinary) throw new Error("Binary rows need a session that has them: statements travel as text here, and so do their answers.");
    const query = { sql, values: withBuffers(values), ...formOf(rows) };
    let lean: LeanRows<unknown> | null = null;
    // A COMMIT that waits for a replica's acknowledgement shows its rows to everybody when it is killed, although no replica has them.
    const isKillable = !/^\s*commit\b/i.test(sql);
    if (isKillable) underWay += 1;
    const result = await guard
      .within(
        operation,
        within,
        within,
        promised<DriverResult>((done) => {
          const command = client.query(query, done);
          if (typeof rows === "function") lean = readLean(command, rows);
        }),
      )
      .finally(() => {
        if (isKillable) underWay -= 1;
      });
    const header = headerOf(result);
    if (header?.serverStatus !== undefined) {
      status = (header.serverStatus & inTransaction) === 0 ? "I" : "T";
      if ((header.serverStatus & noBackslashEscapes) !== 0 && isPrepared) guard.destroy("ESCAPES_CHANGED");
    }
    return lean === null ? result : (lean as LeanRows<unknown>).rows(result);
  };

  let isPrepared = false;
  const [server] = (await send("connect", { sql: askServer }, remainingMs())) as readonly { readonly version: string }[];
  const isMaria = /mariadb/i.test(server?.version ?? "");
  await send("connect", { sql: readCommitted }, remainingMs());
  await send("connect", { sql: prepareSession }, remainingMs());
  await send("connect", { sql: setTimeouts(isMaria, options.usualDeadlineMs) }, remainingMs());
  isPrepared = true;
  const { localPort = null } = client.stream;
  if (client.threadId !== null && (localPort !== null || address.socket !== null)) self = { threadId: client.threadId, localPort };

  let allowedMs = options.usualDeadlineMs;
  return {
    dialect: "mysql",
    isPooled: false,
    hasBinaryRows: false,
    rules,
    lost: guard.lost,
    status: () => status,
    run: async (operation, statement, within): Promise<Answer> => {
      const result = await send(operation, statement, within);
      const header = headerOf(result);
      return {
        rows: rowsOf(result),
        rowCount: Number(header?.affectedRows ?? 0),
        ended: header === null || status !== "I" ? null : /^\s*rollback\b/i.test(statement.sql) ? "rolledBack" : "committed",
      };
    },
    allow: async (wantedMs, within) => {
      if (wantedMs <= allowedMs) return;
      await send("settings", { sql: setTimeouts(isMaria, wantedMs) }, within);
      allowedMs = wantedMs;
    },
    onNotified: () => false,
    destroy: guard.destroy,
    end: guard.end,
  };
}

/** What the driver is asked to make of rows. */
function formOf(rows: SessionStatement["rows"]): Partial<DriverQuery> {
  if (rows === undefined || rows === "named") return {};
  return { rowsAsArray: true, typeCast: rows === "text" ? rawText : rawBytes };
}

/** The driver calls back with an error or without. */
function promised<T>(call: (done: (error: unknown, value: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => {
      if (error === null || error === undefined) resolve(value);
      else reject(error instanceof Error ? error : new Error("The driver failed without an error."));
    });
  });
}

/** The OK packet of an answer, if it has one; a procedure's comes last. */
function headerOf(result: DriverResult): DriverHeader | null {
  if (!Array.isArray(result)) return result as DriverHeader;
  const last = (result as readonly unknown[]).at(-1);
  return typeof last === "object" && last !== null && !Array.isArray(last) && "serverStatus" in last && "affectedRows" in last
    ? (last as DriverHeader)
    : null;
}

/** The rows; of a procedure, those of its last statement that has some. */
function rowsOf(result: DriverResult): readonly unknown[] {
  if (!Array.isArray(result)) return [];
  if (headerOf(result) === null) return result as readonly unknown[];
  return (result as readonly unknown[]).findLast((part): part is readonly unknown[] => Array.isArray(part)) ?? [];
}

function driverOptions(address: ServerAddress, applicationName: string, ssl: DriverTls | null): DriverOptions {
  const { host, port, user, password, database, socket } = address;
  return {
    host,
    port,
    ...(socket === null ? {} : { socketPath: socket }),
    user,
    password,
    ...(database === null ? {} : { database }),
    ...(ssl === null ? {} : { ssl }),
    charset: "utf8mb4",
    timezone: "Z",
    // An UPDATE counts the rows it found (the driver's default, said here because fences rely on it); no server asks us for a file.
    flags: ["FOUND_ROWS", "-LOCAL_FILES"],
    connectTimeout: driverTimeoutMs,
    enableKeepAlive: true,
    multipleStatements: false,
    ...ownedTypes,
    connectAttributes: { program_name: applicationName },
  };
}

async function readTls({ sslMode, sslCa, sslCert, sslKey }: ServerAddress): Promise<DriverTls | null> {
  if (sslMode === "disabled") return null;
  const [ca, cert, key] = await Promise.all([readPem("ssl-ca", sslCa), readPem("ssl-cert", sslCert), readPem("ssl-key", sslKey)]);
  return {
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key }),
    rejectUnauthorized: sslMode !== "required",
    verifyIdentity: sslMode === "verify-identity",
  };
}

async function readPem(option: string, path: string | null): Promise<string | null> {
  if (path === null) return null;
  try {
    return await readFile(path, "utf8");
  } catch {
    throwConfigProblems("The database", [{ option, problem: "names a file that cannot be read" }]);
    return null;
  }
}

function codeOf(error: unknown): string {
  const { code, errno } = speakableCause(error) as { readonly code?: unknown; readonly errno?: unknown };
  if (typeof code === "string") return code;
  return typeof errno === "number" ? String(errno) : "CONNECTION";
}
