/** What a server is and how it is set up, as far as our promises depend on it. */
import type { Dialect } from "./tx.ts";

export interface ServerFinding {
  /** `refused`: a promise would be broken. `warned`: it holds, but for what `advice` says. */
  readonly level: "refused" | "warned";
  /** A stable word: `version`, `primary`, `binlog_format`, … */
  readonly rule: string;
  /** What was found, as the server says it. Never data. */
  readonly found: string;
  /** What to do about it. */
  readonly advice: string;
}

export interface ServerReport {
  readonly dialect: Dialect;
  readonly product: "PostgreSQL" | "MySQL" | "MariaDB";
  readonly version: string;
  /** Settings by name, for whoever prints them. A setting that this server does not have is missing. */
  readonly facts: Readonly<Record<string, string>>;
  readonly findings: readonly ServerFinding[];
}
