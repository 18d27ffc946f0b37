/** pg-boss by its own `fetch` and `complete` in batches of 500, one after the other: its workers poll twice a second at most. */
import PgBoss from "pg-boss";
import { begin, connectionString, count, handle, sql, tell } from "./peer.mjs";

const batch = 500;
const boss = new PgBoss({ connectionString, supervise: false, schedule: false });
await boss.start();
await boss.createQueue("publish");
const note = "x".repeat(460);
for (let from = 0; from < count; from += batch) {
  const jobs = Array.from({ length: Math.min(batch, count - from) }, (_, index) => ({
    name: "publish",
    data: { orderId: String(from + index), note },
  }));
  await boss.insert(jobs);
}
await sql("vacuum analyze");
const told = tell();
begin();
for (;;) {
  const jobs = await boss.fetch("publish", { batchSize: batch });
  if (jobs.length === 0) break;
  await boss.complete(
    "publish",
    jobs.map(({ id }) => id),
  );
  handle(jobs.length);
}
await told;
