import { AuditInputError } from "./audit-input-error.ts";

/** Where the tables lie, and how long reading may take. */
export interface DatabasePlace {
  /** `postgres://…` or `mysql://…` (MariaDB, too). It is a secret as a whole and appears in no error. */
  readonly url: string;
  /** Default: `public` on PostgreSQL, the URL's database on MySQL. */
  readonly schema?: string;
  /** What the tables' names begin with. Default `waybill_`. */
  readonly prefix?: string;
  /** The longest a connect or one statement may take. Default 60 000. */
  readonly deadlineMs?: number;
}

/** One statement and its parameters, with the placeholders of its database. */
export interface Query {
  readonly sql: string;
  readonly values?: readonly string[];
}

export type Dialect = "postgres" | "mysql";

/** Throws `AuditInputError` for the URL of another kind of database. */
export function dialectOf({ url }: DatabasePlace): Dialect {
  if (/^postgres(?:ql)?:\/\//.test(url)) return "postgres";
  if (/^(?:mysql|mariadb):\/\//.test(url)) return "mysql";
  throw new AuditInputError("url", "must begin with postgres:// or mysql://");
}
