/**
 * Where tables are, as a URL and the schema beside it say, so that two spellings of one place are told to be one: other schemes and hosts in other
 * letters, the usual port said or not, names of this machine, parameters; and other users, where the schema does not depend on them. Names that only a
 * resolver knows to be one are two here. Never shown.
 */
export function databaseAddress(url: string, schema: string | null): string | null {
  try {
    // The driver's own form for a socket, which is no URL to anybody else.
    const parsed = new URL(url.replace("@/", "@socket.invalid/"));
    const isMysql = parsed.protocol === "mysql:" || parsed.protocol === "mariadb:";
    const given = parsed.searchParams;
    const host = given.get(isMysql ? "socket" : "host") ?? parsed.hostname.toLowerCase();
    const port = parsed.port || given.get("port") || (isMysql ? "3306" : "5432");
    const user = isMysql ? "" : decodeURIComponent(parsed.username);
    const name = decodeURIComponent(parsed.pathname.slice(1)) || user;
    // PostgreSQL looks for tables along a path that may begin with the user's own schema.
    const searchPath = isMysql || schema !== null ? [] : [user, given.get("options")];
    return JSON.stringify([isMysql, thisMachine.has(host) ? "localhost" : host, port, name, schema, ...searchPath]);
  } catch {
    return null;
  }
}

const thisMachine: ReadonlySet<string> = new Set(["", "localhost", "127.0.0.1", "[::1]", "::1"]);
