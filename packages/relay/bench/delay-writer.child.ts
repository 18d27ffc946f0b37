/**
 * A writer in a process of its own for the bench of latency: timers of one process fire together, and would tie its commits to the relay's polls.
 *
 * Arguments: database URL, messages, `hinted` or `polled`. Writes messages that do not count until it is told `measure`, then so many that do, 50 a second,
 * each in a transaction of its own, and tells `written` with the moment at which COMMIT was answered for each: nanoseconds of the machine's
 * monotonic clock, which all of its processes share.
 */
import { createInterface } from "node:readline";
import { createHint } from "@waybill/outbox";
import { openDatabase } from "@waybill/sql";
import { tellParent } from "@waybill/testing";
import pg from "pg";
import { seconds } from "./writing.ts";

const [, , url = "", messages = "0", way = ""] = process.argv;
const perSecond = 50;
const insert = "insert into waybill_outbox (type, topic, key, payload) values ('shop.order.placed.v1', 'orders', $1, '{}')";

const database = openDatabase({ url });
const hint = createHint({ database });
const client = new pg.Client({ connectionString: url });
await client.connect();
let isMeasured = false;
const lines = createInterface({ input: process.stdin });
lines.once("line", () => {
  isMeasured = true;
});

const write = async (key: string): Promise<bigint> => {
  await client.query("begin");
  await client.query(insert, [key]);
  await client.query("commit");
  const atNs = process.hrtime.bigint();
  if (way === "hinted") hint.give();
  return atNs;
};

for (let warm = 0; !isMeasured; warm += 1) {
  await write(`warm ${warm}`);
  await seconds(1 / perSecond);
}
const committedNs: Record<string, string> = {};
for (let count = 0; count < Number(messages); count += 1) {
  // 20 ms on average.
  await seconds((0.5 + ((count * 0.618_034) % 1)) / perSecond);
  committedNs[count] = String(await write(String(count)));
}
await hint.settled();
await client.end();
await database.close();
tellParent({ name: "written", committedNs });
lines.close();
process.stdin.destroy();
