import { type ConfigProblem, type Secret, throwConfigProblems } from "@waybill/core";

/**
 * Checks a database URL without connecting, and without ever showing it.
 *
 * @throws WAYBILL_CONFIG_INVALID: it is malformed
 */
export function checkDatabaseUrl(url: string | Secret): string {
  const text = typeof url === "string" ? url : url.reveal();
  const problem = problemOf(text);
  const problems: ConfigProblem[] = problem === null ? [] : [{ option: "database", problem }];
  throwConfigProblems("The database", problems);
  return text;
}

function problemOf(url: string): string | null {
  const form = "postgres://user:password@host:5432/database, special characters in user and password percent-encoded";
  try {
    // `postgres://user@/database?host=/run/postgresql` is the driver's own form for a socket and no URL to anybody else.
    const parsed = new URL(url.replace("@/", "@socket/"));
    decodeURIComponent(parsed.username);
    decodeURIComponent(parsed.password);
    decodeURI(parsed.pathname);
  } catch {
    // The error holds the URL; what we say does not.
    return `is malformed; it must be ${form}`;
  }
  return null;
}
