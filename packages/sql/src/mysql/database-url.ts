import { isIP } from "node:net";
import { type ConfigProblem, type Secret, throwConfigProblems } from "@waybill/core";

/** How much of the server's certificate is checked. `disabled`: no TLS at all; the password is still never sent in the clear. */
export type SslMode = "disabled" | "required" | "verify-ca" | "verify-identity";

const sslModes: readonly string[] = ["disabled", "required", "verify-ca", "verify-identity"];
const parameters: readonly string[] = ["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket"];

/** Where a server is, as its URL says. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** null: none is chosen, names must say theirs. */
  readonly database: string | null;
  /** A Unix socket instead of host and port. */
  readonly socket: string | null;
  readonly sslMode: SslMode;
  /** Files, read whenever a connection is opened, so that a renewed certificate is found. */
  readonly sslCa: string | null;
  readonly sslCert: string | null;
  readonly sslKey: string | null;
}

/**
 * Reads a database URL without connecting, and without ever showing it. Nothing of it reaches the driver but what is named here: the driver
 * would take any of its options from a URL, such as several statements in one text.
 *
 * @throws WAYBILL_CONFIG_INVALID with every problem
 */
export function readDatabaseUrl(url: string | Secret): ServerAddress {
  const text = typeof url === "string" ? url : url.reveal();
  const read = readParts(text);
  throwConfigProblems(
    "The database",
    read.problems.map((problem): ConfigProblem => ({ option: "database", problem })),
  );
  return read.address as ServerAddress;
}

interface Read {
  readonly address: ServerAddress | null;
  readonly problems: readonly string[];
}

function readParts(url: string): Read {
  let parsed: URL;
  let user: string;
  let password: string;
  let database: string;
  try {
    parsed = new URL(url);
    user = decodeURIComponent(parsed.username);
    password = decodeURIComponent(parsed.password);
    database = decodeURIComponent(parsed.pathname.slice(1));
  } catch {
    // The error holds the URL; what we say does not.
    const form = "mysql://user:password@host:3306/database, special characters in user and password percent-encoded";
    return { address: null, problems: [`is malformed; it must be ${form}`] };
  }
  const given = parsed.searchParams;
  const host = parsed.hostname.replace(/^\[(.*)\]$/, "$1");
  const sslMode = given.get("ssl-mode") ?? "disabled";
  const problems: string[] = [];
  const unknown = [...new Set(given.keys())].filter((name) => !parameters.includes(name)).length;
  if (unknown > 0) problems.push(`has ${unknown} unknown parameter(s); accepted are ${parameters.join(", ")}`);
  if (parameters.some((name) => given.getAll(name).length > 1)) problems.push("names a parameter twice");
  if (host === "" && given.get("socket") === null) problems.push("names no host and no ?socket=/path");
  if (database.includes("/")) problems.push("must end with one name of a database");
  if (!sslModes.includes(sslMode)) problems.push(`must have one of ${sslModes.join(", ")} as ssl-mode`);
  if (sslMode === "disabled" && ["ssl-ca", "ssl-cert", "ssl-key"].some((name) => given.has(name))) {
    problems.push("names TLS files but no ssl-mode; say ssl-mode=verify-identity");
  }
  if (given.has("ssl-cert") !== given.has("ssl-key")) problems.push("must name ssl-cert and ssl-key together");
  if (sslMode === "verify-identity" && (isIP(host) !== 0 || given.has("socket"))) {
    problems.push("must name the host by its name for ssl-mode=verify-identity: the driver cannot check a certificate against an address");
  }
  const address: ServerAddress = {
    host: host === "" ? "localhost" : host,
    port: parsed.port === "" ? 3306 : Number(parsed.port),
    user,
    password,
    database: database === "" ? null : database,
    socket: given.get("socket"),
    sslMode: sslMode as SslMode,
    sslCa: given.get("ssl-ca"),
    sslCert: given.get("ssl-cert"),
    sslKey: given.get("ssl-key"),
  };
  return { address, problems };
}
