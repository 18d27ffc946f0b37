/** How far the relays of a ledger have come, asked of the tables: to wait for rest after a fault run. For a database with one subscription. */
import type { Session, SessionRow } from "./session.ts";

export interface LedgerStanding {
  /** Everything is read and published, nothing waits in the dead letters or aside. */
  readonly isQuiet: boolean;
  /** Changes as long as anything moves. */
  readonly sign: string;
}

/** Needs the tables of outbox, relay and dead letters, and a subscription that has run. */
export async function readLedgerStanding(session: Session): Promise<LedgerStanding> {
  const [highest] = await session.run("select coalesce(max(id), 0) as id from waybill_outbox");
  const isWhole = session.dialect === "postgres" ? "cardinality(hole_lo) = 0" : "holes = '[]'";
  const [cursor] = await session.run(`select last_id as id, ${isWhole} as is_whole from waybill_subscription`);
  const letters = await session.run(
    "select state, count(*) as count from waybill_dead_letter where origin = 'relay' group by state order by state",
  );
  const [spill] = (await hasSpill(session)) ? await session.run("select count(*) as count from waybill_spill") : [];
  const isRead = BigInt((cursor?.["id"] as string | undefined) ?? 0) >= BigInt(highest?.["id"] as string) && isTrue(cursor?.["is_whole"]);
  const isOpen = letters.some((row: SessionRow) => ["dead", "held", "released"].includes(String(row["state"])));
  const isSpilled = Number(spill?.["count"] ?? 0) > 0;
  return { isQuiet: isRead && !isOpen && !isSpilled, sign: JSON.stringify([highest, cursor, letters, spill]) };
}

const isTrue = (value: unknown): boolean => value === true || Number(value) === 1;

async function hasSpill(session: Session): Promise<boolean> {
  const schema = session.dialect === "postgres" ? "current_schema()" : "database()";
  const rows = await session.run(
    `select 1 as found from information_schema.tables where table_schema = ${schema} and table_name = 'waybill_spill'`,
  );
  return rows.length > 0;
}

/** Answers whether every lease had ended, by the database's clock, before the deadline. */
export async function leasesEnd(
  ask: <Answer>(work: (session: Session) => Promise<Answer>) => Promise<Answer>,
  deadlineMs: number,
): Promise<boolean> {
  const endsMs = performance.now() + deadlineMs;
  for (;;) {
    const held = await ask((session) => {
      const now = session.dialect === "postgres" ? "clock_timestamp()" : "utc_timestamp(6)";
      return session.run(`select 1 as held from waybill_subscription where lease_until > ${now}`);
    });
    if (held.length === 0) return true;
    if (performance.now() >= endsMs) return false;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

const lookEveryMs = 250;
