/**
 * What each peer's program does around its own part: `node <peer>.mjs DATABASE_URL MESSAGES` fills the peer's table, which is not measured, drains
 * it into a handler that does nothing, and writes one line {"ms":…} on stdout: from the first message handled to the last.
 */
import pg from "pg";

const [, , url, messages] = process.argv;
export const connectionString = url;
export const count = Number(messages);

/** 500 bytes, as the ledger's. `i` is a column of the statement. */
export const payloadSql = `json_build_object('orderId', i::text, 'note', repeat('x', 460))`;

export async function sql(text, values) {
  const client = new pg.Client(connectionString);
  await client.connect();
  try {
    return await client.query(text, values);
  } finally {
    await client.end();
  }
}

let handled = 0;
let startedMs = 0;
let finish;
const finished = new Promise((resolve) => {
  finish = resolve;
});

/** The first message is about to be fetched: for a peer that hands over many at a time. */
export function begin() {
  startedMs = performance.now();
}

/** Messages have been handled. */
export function handle(number = 1) {
  if (startedMs === 0) begin();
  handled += number;
  if (handled >= count) finish(performance.now() - startedMs);
}

/** Waits for the last message, tells how long they took, and ends the process whatever the peer still has open. */
export async function tell() {
  process.stdout.write(`${JSON.stringify({ ms: await finished })}\n`, () => process.exit(0));
}
