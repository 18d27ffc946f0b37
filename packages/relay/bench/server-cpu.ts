/**
 * server-cpu/…: CPU of the database server per message that leaves it, beside what most outboxes do: in one transaction take the oldest five
 * hundred rows with SKIP LOCKED, publish them – here nothing –, delete them and commit, so that a crash loses none. Each of the two has its own
 * table with the same rows. In the relay's share are its lease, its cursor saves and its look for holes.
 */
import { type BenchmarkResult, limitResult } from "@waybill/testing";
import pg from "pg";
import type { BenchServer, Measuring } from "./bench-servers.ts";
import { drain } from "./drain.ts";
import { type Cost, costOf, perMessage } from "./measure.ts";

const take = `
  select id, message_id, type, topic, key, headers, payload, payload_bytes, created_at
  from queue order by id limit 500 for update skip locked`;
const remove = "delete from queue where id = any($1::bigint[])";

export async function measureServerCpu(server: BenchServer, { isSmoke, say }: Measuring): Promise<BenchmarkResult> {
  const rows = isSmoke ? 2_000 : 200_000;
  const url = await server.newDatabase(rows);
  const client = new pg.Client(url);
  await client.connect();
  await client.query("create table queue (like waybill_outbox including defaults)");
  await client.query("alter table queue add primary key (id)");
  const costs = { relay: [] as Cost[], loop: [] as Cost[] };
  const ratios: number[] = [];
  for (let round = 0; round < (isSmoke ? 1 : 4); round += 1) {
    await client.query("truncate queue");
    await client.query("insert into queue select * from waybill_outbox");
    await client.query("vacuum analyze queue");
    await client.query("checkpoint");
    const relay = await costOf(server, () => drain(url, rows));
    const loop = await costOf(server, async () => {
      for (let taken = 1; taken > 0; ) {
        await client.query("begin");
        const { rows: some } = await client.query<{ id: string }>({ name: "take", text: take });
        await client.query({ name: "remove", text: remove, values: [some.map(({ id }) => id)] });
        await client.query("commit");
        taken = some.length;
      }
      // What was deleted is the server's to clean up, too.
      await client.query("vacuum queue");
    });
    if (relay.serverMs === null || loop.serverMs === null) throw new Error("This bench needs a server of its own: leave --database out.");
    // The first pays for what is compiled and cached.
    if (round === 0 && !isSmoke) continue;
    costs.relay.push(relay);
    costs.loop.push(loop);
    ratios.push(relay.serverMs / loop.serverMs);
    const each = (ms: number): string => `${((1_000 * ms) / rows).toFixed(2)} µs`;
    say(`  relay ${each(relay.serverMs)}, loop ${each(loop.serverMs)} of the server's CPU per message`);
  }
  await client.end();
  const result = limitResult(`server-cpu/${server.name}`, ratios, 0.25);
  return { ...result, figures: { ...perMessage("relay", costs.relay, rows), ...perMessage("loop", costs.loop, rows) } };
}
