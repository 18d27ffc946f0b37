import type { Session } from "./session.ts";

/** The database ends one of `of` parts of the other sessions in it, whoever's they are. Answers how many there were. */
export async function endSessions(session: Session, { part, of }: { readonly part: number; readonly of: number }): Promise<number> {
  if (session.dialect === "postgres") {
    const rows = await session.run(
      `select pg_terminate_backend(pid) as is_ended from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and pid % ${Math.trunc(of)} = ${Math.trunc(part)}`,
    );
    return rows.length;
  }
  const rows = await session.run(
    `select id as id from information_schema.processlist where db = database() and id <> connection_id() and id % ${Math.trunc(of)} = ${Math.trunc(part)}`,
  );
  for (const { id } of rows) await session.run(`kill ${String(id)}`).catch(() => undefined); // it went by itself
  return rows.length;
}
