/**
 * What we use of the `mysql2` driver, typed by shape, so that our declarations need no types of the driver's, and loaded only when a
 * connection is opened: joining your transaction needs no driver of ours.
 *
 * Its callback API is used as it is: the promise API is a layer above it that hides the socket.
 */
import { createRequire } from "node:module";
import { type ConfigProblem, isWaybillError, throwConfigProblems, waybillError } from "@waybill/core";

/** What an OK packet says. */
export interface DriverHeader {
  /** Text where it is beyond 2^53. */
  readonly affectedRows: number | string;
  readonly serverStatus?: number;
}

/** Rows, an OK packet, or a list of both from a procedure. */
export type DriverResult = DriverHeader | readonly unknown[];

/** A column of a row that is being read. */
export interface DriverColumn {
  string(encoding: string): string | null;
  buffer(): Uint8Array | null;
}

export interface DriverQuery {
  readonly sql: string;
  readonly values?: readonly unknown[];
  readonly rowsAsArray?: boolean;
  readonly typeCast?: boolean | ((column: DriverColumn) => unknown);
}

export interface DriverClient {
  /** The session's number, as the handshake told it. */
  readonly threadId: number | null;
  /** Another object once TLS has begun. */
  readonly stream: { destroy(): unknown; readonly localPort?: number };
  connect(done: (error: unknown) => void): void;
  /** Answers the driver's command. */
  query(query: DriverQuery, done: (error: unknown, result: DriverResult) => void): unknown;
  end(done: (error: unknown) => void): unknown;
  destroy(): void;
  on(event: "error" | "end", listener: (error: unknown) => void): unknown;
}

export interface DriverTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized: boolean;
  readonly verifyIdentity: boolean;
}

export interface DriverOptions {
  readonly host: string;
  readonly port: number;
  readonly socketPath?: string;
  readonly user: string;
  readonly password: string;
  readonly database?: string;
  readonly ssl?: DriverTls;
  readonly charset: string;
  readonly timezone: string;
  readonly flags: readonly string[];
  readonly connectTimeout: number;
  readonly enableKeepAlive: boolean;
  readonly multipleStatements: boolean;
  readonly supportBigNumbers: boolean;
  readonly bigNumberStrings: boolean;
  readonly dateStrings: boolean;
  readonly decimalNumbers: boolean;
  readonly jsonStrings: boolean;
  readonly stringifyObjects: boolean;
  readonly connectAttributes: Readonly<Record<string, string>>;
}

export interface Driver {
  createConnection(options: DriverOptions): DriverClient;
}

/** The first release without known ways to inject through options and names, and with everything that we rely on. */
const oldest = [3, 24] as const;

/**
 * Loads the driver.
 *
 * @throws WAYBILL_CONFIG_INVALID if `mysql2` is not installed, or is older than 3.24
 */
export async function loadDriver(): Promise<Driver> {
  try {
    const { version } = createRequire(import.meta.url)("mysql2/package.json") as { readonly version: string };
    throwConfigProblems("The database", versionProblems(version));
    const loaded = (await import("mysql2")) as unknown as Driver & { readonly default?: Driver };
    return loaded.default ?? loaded;
  } catch (error) {
    if (isWaybillError(error)) throw error;
    const problem = "the driver cannot be loaded; install it beside Waybill: npm install mysql2";
    throw waybillError("WAYBILL_CONFIG_INVALID", `Database: ${problem}.`, { problems: [{ option: "mysql2", problem }] }, error);
  }
}

/** What is wrong with this version of the driver, if anything. */
export function versionProblems(version: string): readonly ConfigProblem[] {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major === oldest[0] && minor >= oldest[1]) return [];
  return [{ option: "mysql2", problem: `is version ${version}; needs ${oldest.join(".")} or a later 3: npm install mysql2@3` }];
}
