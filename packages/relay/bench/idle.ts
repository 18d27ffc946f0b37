/**
 * idle/…: a relay that has had nothing to do for a while: its process's share of a core, and the statements per second that its database sees.
 * The ledger holds a hundred thousand published rows.
 */
import { type BenchmarkResult, limitResult } from "@waybill/testing";
import pg from "pg";
import { attachRelay } from "./attached-relay.ts";
import type { BenchServer, Measuring } from "./bench-servers.ts";
import { seconds } from "./writing.ts";

export async function measureIdle(server: BenchServer, { isSmoke, say }: Measuring): Promise<readonly BenchmarkResult[]> {
  const rows = isSmoke ? 1_000 : 100_000;
  const stretch = isSmoke ? 1 : 20;
  const url = await server.newDatabase(rows);
  const relay = await attachRelay(url);
  while ((await relay.count()).published < rows) await seconds(0.2);
  const shares: number[] = [];
  const statements: number[] = [];
  await seconds(isSmoke ? 0.5 : 5);
  for (let round = 0; round < (isSmoke ? 1 : 3); round += 1) {
    const [before, transactionsBefore, serverBefore, fromMs] = [
      await relay.count(),
      await transactions(url),
      await server.cpuMs(),
      performance.now(),
    ];
    await seconds(stretch);
    const [after, transactionsAfter, serverAfter, toMs] = [
      await relay.count(),
      await transactions(url),
      await server.cpuMs(),
      performance.now(),
    ];
    const ms = toMs - fromMs;
    shares.push((after.cpuMs - before.cpuMs) / ms);
    statements.push((1_000 * (transactionsAfter - transactionsBefore)) / ms);
    const serverShare =
      serverBefore === null || serverAfter === null ? "" : `, ${((100 * (serverAfter - serverBefore)) / ms).toFixed(2)} % in the server`;
    say(`  ${(100 * (shares.at(-1) ?? 0)).toFixed(2)} % of a core${serverShare}, ${(statements.at(-1) ?? 0).toFixed(1)} statements/s`);
  }
  await relay.stop();
  return [limitResult(`idle/${server.name}-cpu`, shares, 0.01), limitResult(`idle/${server.name}-statements`, statements, 25)];
}

/** Every statement of an idle relay is a transaction of itself. Asked for in another database, so that asking is not counted. */
async function transactions(url: string): Promise<number> {
  const other = new URL(url);
  const name = other.pathname.slice(1);
  other.pathname = "/postgres";
  const client = new pg.Client(other.href);
  await client.connect();
  const { rows } = await client.query<{ count: string }>(
    "select xact_commit + xact_rollback as count from pg_stat_database where datname = $1",
    [name],
  );
  await client.end();
  return Number(rows[0]?.count);
}
