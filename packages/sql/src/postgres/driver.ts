/**
 * What we use of the `pg` driver, typed by shape, so that our declarations need no types of the driver's, and loaded only when a
 * connection is opened: joining your transaction needs no driver of ours.
 */
import { waybillError } from "@waybill/core";
import type { DataStream } from "./lean-rows.ts";

export interface DriverAnswer {
  /** The first word of the command tag: `SELECT`, `COMMIT`, `ROLLBACK`. null for an empty statement. */
  readonly command: string | null;
  /** From the command tag; null where the tag has no number. */
  readonly rowCount: number | null;
  readonly rows: readonly unknown[];
}

export interface DriverTypes {
  getTypeParser(oid: number, format?: string): (text: string) => unknown;
}

export interface DriverQuery {
  readonly text: string;
  readonly values?: unknown[];
  readonly name?: string;
  readonly rowMode?: "array";
  /** Columns of the answer in binary form. The driver would make text of them, so only for rows that it does not see. */
  readonly binary?: boolean;
  readonly types?: DriverTypes;
}

export interface DriverClient {
  /** The backend's pid as BackendKeyData told it. */
  readonly processID: number | null;
  readonly connection: {
    /** With TLS another one from `sslconnect` on. */
    readonly stream: { destroy(): unknown } & Partial<DataStream>;
    /** What is to be spoken before the protocol; false for nothing. */
    readonly ssl?: unknown;
    on(event: "sslconnect", listener: () => void): unknown;
    on(event: "readyForQuery", listener: (message: { readonly status?: string }) => void): unknown;
  };
  connect(): Promise<unknown>;
  /** A text of several statements, possible without values only, answers an array. */
  query(query: DriverQuery): Promise<DriverAnswer | readonly DriverAnswer[]>;
  end(): Promise<void>;
  on(event: "error" | "end", listener: (error: unknown) => void): unknown;
  on(event: "notification", listener: () => void): unknown;
}

export interface DriverOptions {
  readonly connectionString: string;
  readonly application_name: string;
  readonly keepAlive: boolean;
}

export interface Driver {
  readonly Client: new (options: DriverOptions) => DriverClient;
  readonly types: DriverTypes;
}

/**
 * Loads the driver.
 *
 * @throws WAYBILL_CONFIG_INVALID if `pg` is not installed
 */
export async function loadDriver(): Promise<Driver> {
  try {
    const loaded = (await import("pg")) as unknown as Driver & { readonly default?: Driver };
    return loaded.default ?? loaded; // Before 8.15 there was the CommonJS module only.
  } catch (error) {
    const problem = "the driver cannot be loaded; install it beside Waybill: npm install pg";
    throw waybillError("WAYBILL_CONFIG_INVALID", `Database: ${problem}.`, { problems: [{ option: "pg", problem }] }, error);
  }
}
