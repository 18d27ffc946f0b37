/**
 * One session with a server: a driver's client that cannot hang us, cannot end the process, and is never used again once doubted.
 *
 *     connecting ──▶ usable ──statement──▶ busy ──answer──▶ usable
 *         │             │                    │
 *         └─────────────┴── deadline, FATAL, lost socket ──▶ destroyed (for ever)
 *
 * - A driver's client emits `error` whenever the server or the network ends it, also between two statements; without a listener
 *   that ends the process. Ours listens from before `connect` until the end.
 * - After a deadline the answer may still come and would be taken for the next statement's: the socket is destroyed, not ended, for
 *   a half-open connection never says goodbye.
 * - Whether a pooler stands in between is asked of the server: behind one, `pg_backend_pid()` is not the pid that our own
 *   handshake named. Only a session that is ours alone gets settings.
 */
import { type Clock, emit, type OnEvent, waybillError } from "@waybill/core";
import { databaseError, endsConnection, speakableCause, sqlStateOf } from "./database-error.ts";
import { type DriverAnswer, type DriverClient, type DriverQuery, type DriverTypes, loadDriver } from "./driver.ts";
import { ownedTypes } from "./owned-types.ts";
import { prepareSession } from "./statements/prepare-session.ts";
import { setTimeouts } from "./statements/set-timeouts.ts";

/** How much longer than us the server waits before it ends by itself what we gave up. */
const serverMarginMs = 1_000;

export interface SessionOptions {
  readonly url: string;
  readonly applicationName: string;
  /** The longest wait that is usual on this session; the server is told to end what takes longer. */
  readonly usualDeadlineMs: number;
  readonly clock: Clock;
  readonly onEvent?: OnEvent | undefined;
}

/** `I` no transaction, `T` inside one, `E` inside a failed one: as the server's last ReadyForQuery said. */
export type TransactionStatus = "I" | "T" | "E";

export interface Session {
  readonly isPooled: boolean;
  /** How rows by name are parsed. */
  readonly types: DriverTypes;
  /** Aborts when the session is over, for whatever reason. */
  readonly lost: AbortSignal;
  status(): TransactionStatus;
  /** The name under which a text is prepared here: `wanted`, or one like it where another text has it. null: do not prepare it. */
  preparedName(wanted: string, text: string): string | null;
  /** One statement. After WAYBILL_DEADLINE, or an error that is not the server's plain refusal, the session is destroyed. */
  run(operation: string, query: DriverQuery, deadlineMs: number): Promise<DriverAnswer>;
  /** Lets the server wait `wantedMs` for one statement, and for us between two; never less than before. Behind a pooler it does nothing. */
  allow(wantedMs: number, deadlineMs: number): Promise<void>;
  /** Ends the session at once, without a word to the server. With a code it is reported as lost; without, it was meant to end. */
  destroy(code?: string): void;
  /** Ends the session politely, within `deadlineMs`; then by force. Never rejects. */
  end(deadlineMs: number): Promise<void>;
}

/**
 * Opens a session within `deadlineMs`.
 *
 * @throws WAYBILL_CONFIG_INVALID if the driver is missing or cannot use the URL; WAYBILL_DATABASE; WAYBILL_DEADLINE
 */
export async function openSession(options: SessionOptions, deadlineMs: number): Promise<Session> {
  const { clock } = options;
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
  const guarded = guard(client, options);
  await guarded.within("connect", deadlineMs, remainingMs(), client.connect());

  const usualMs = String(options.usualDeadlineMs + serverMarginMs);
  const answer = await guarded.run("connect", { text: prepareSession, values: [client.processID, usualMs] }, remainingMs());
  const isPooled = (answer.rows[0] as { is_direct: boolean }).is_direct === false;

  let allowedMs = options.usualDeadlineMs;
  return {
    isPooled,
    types: ownedTypes(types),
    lost: guarded.lost,
    status: guarded.status,
    preparedName: preparedNames(isPooled),
    run: guarded.run,
    allow: async (wantedMs, within) => {
      if (isPooled || wantedMs <= allowedMs) return;
      await guarded.run("settings", { text: setTimeouts, values: [String(Math.ceil(wantedMs) + serverMarginMs)] }, within);
      allowedMs = wantedMs;
    },
    destroy: guarded.destroy,
    end: guarded.end,
  };
}

type Guarded = Omit<Session, "isPooled" | "types" | "allow" | "preparedName"> & {
  within<T>(operation: string, namedMs: number, deadlineMs: number, promise: Promise<T>): Promise<T>;
};

function guard(client: DriverClient, { clock, onEvent }: SessionOptions): Guarded {
  const lost = new AbortController();
  let status: TransactionStatus = "I";
  let isEnding = false;

  const lose = (code: string | undefined): void => {
    if (lost.signal.aborted) return;
    lost.abort();
    client.connection.stream.destroy();
    if (code !== undefined && !isEnding) emit(onEvent, { name: "sql.connectionLost", code });
  };
  client.on("error", (error) => lose(codeOf(error)));
  client.on("end", () => lose("ENDED"));
  client.connection.on("readyForQuery", (message) => {
    status = message.status === "T" || message.status === "E" ? message.status : "I";
  });

  /** Waits for the driver, but not longer than we want; afterwards nobody uses this session again. */
  const within = <T>(operation: string, namedMs: number, deadlineMs: number, promise: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const timer = clock.setTimer(deadlineMs, () => {
        lose("WAYBILL_DEADLINE");
        reject(deadlineError(operation, namedMs));
      });
      promise.then(
        (value) => {
          timer.cancel();
          resolve(value);
        },
        (error: unknown) => {
          timer.cancel();
          if (operation === "connect" || endsConnection(sqlStateOf(error))) lose(codeOf(error));
          reject(databaseError(operation, error));
        },
      );
    });

  const run = async (operation: string, query: DriverQuery, deadlineMs: number): Promise<DriverAnswer> => {
    if (lost.signal.aborted) throw databaseError(operation, new Error("Connection terminated"));
    const answer = await within(operation, deadlineMs, deadlineMs, client.query(query));
    if (!Array.isArray(answer)) return answer as DriverAnswer;
    return (answer as readonly DriverAnswer[]).at(-1) ?? { command: null, rowCount: null, rows: [] };
  };

  const end = async (deadlineMs: number): Promise<void> => {
    if (lost.signal.aborted) return;
    isEnding = true;
    try {
      await within("close", deadlineMs, deadlineMs, client.end());
    } catch {
      // Politeness failed: the socket is destroyed below, which is all that closing needs.
    }
    lose("ENDED");
  };

  return { lost: lost.signal, status: () => status, within, run, destroy: lose, end };
}

/** Statements that one session keeps prepared; what comes later is sent whole each time. */
const preparedMax = 200;

/**
 * Hands out names. Two streams or namespaces send texts of one purpose, and so of one name, over the same session. Behind a pooler nothing
 * is prepared: it would stay on a server that the next transaction does not see.
 */
function preparedNames(isPooled: boolean): Session["preparedName"] {
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

export function deadlineError(operation: string, deadlineMs: number): Error {
  return waybillError(
    "WAYBILL_DEADLINE",
    `Gave up waiting for ${operation} after ${Math.round(deadlineMs)} ms. Try again, or allow more time.`,
    { operation, deadlineMs: Math.round(deadlineMs) },
  );
}
