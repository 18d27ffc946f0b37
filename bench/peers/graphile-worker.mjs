/** graphile-worker as its page on performance has it: a local queue of 500, 24 jobs at a time, completions in batches. */
import { run, runMigrations } from "graphile-worker";
import { connectionString, count, handle, payloadSql, sql, tell } from "./peer.mjs";

await runMigrations({ connectionString });
await sql(
  `select count(*) from (select graphile_worker.add_job('publish', ${payloadSql}) from generate_series(1, $1::int) as i) as added`,
  [count],
);
await sql("vacuum analyze");
await run({
  connectionString,
  noHandleSignals: true,
  preset: {
    worker: {
      connectionString,
      maxPoolSize: 10,
      concurrentJobs: 24,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  },
  taskList: { publish: () => handle() },
});
await tell();
