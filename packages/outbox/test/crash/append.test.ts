import { startChild, testServers, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { type OutboxFixture, outboxFixture } from "../outbox-fixture.ts";

const program = new URL("../../dist-programs/test/crash/append.child.js", import.meta.url);
const points = [
  "begun",
  "before lock",
  "after lock",
  "before insert",
  "after insert",
  "before claim",
  "after claim",
  "before commit",
  "commit on its way",
  "committed",
];

let fixture: OutboxFixture;
beforeAll(async () => {
  const [server] = testServers();
  if (server === undefined) throw new Error("No PostgreSQL to test on.");
  fixture = await outboxFixture(server);
  await fixture.run("create table orders (id int primary key)");
});
afterAll(() => fixture.drop());
beforeEach(async () => {
  await fixture.clear();
  await fixture.run("truncate orders");
});

async function runChild(env: Record<string, string>) {
  const child = await startChild(program, { env: { DATABASE_URL: fixture.url, ...env } });
  const end = await child.exited;
  const others = "select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name = ''";
  await waitUntil(async () => (await fixture.run(others)).length === 0, { what: "the child's session has ended" });
  return { end, events: child.events };
}

/** What is in the database: per order its messages, and whether its claim is there. */
async function found() {
  return fixture.run(
    `select coalesce(o.id, m.key::int) as order, o.id is not null as "isPlaced", count(m.id)::int as messages, count(c.message_id)::int as claims
     from orders o
     full join waybill_outbox m on m.key = o.id::text
     left join waybill_outbox_id c on c.message_id = m.message_id
     group by o.id, m.key
     order by 1`,
  );
}

it("left alone, it tells every point at which the others are killed", async () => {
  const { end, events } = await runChild({});
  expect(end).toEqual({ code: 0, signal: null });
  expect(points.filter((point) => !events.some(({ name }) => name === point))).toEqual([]);
  expect(await found()).toHaveLength(6);
});

it.each(points.flatMap((point) => [1, 4].map((nth) => ({ point, nth }))))(
  "killed at '$point' number $nth: an order is placed exactly if its messages are in the ledger",
  async ({ point, nth }) => {
    const { end, events } = await runChild({ KILL_AT: point, KILL_NTH: String(nth) });
    expect(end.signal).toBe("SIGKILL");
    const orders = await found();
    expect(orders.every((order) => order["isPlaced"] === true && order["messages"] === 3 && order["claims"] === 1)).toBe(true);

    const told = (name: string): number => events.filter((event) => event["name"] === name).length;
    expect(orders.length).toBeGreaterThanOrEqual(told("committed"));
    expect(orders.length).toBeLessThanOrEqual(told("commit on its way"));
    expect(await fixture.run("select 1 from waybill_outbox_id")).toHaveLength(orders.length);

    // The next process places the rest: nothing of the dead transaction is in its way.
    expect((await runChild({ FIRST_ORDER: String(orders.length) })).end.code).toBe(0);
    expect(await found()).toEqual(Array.from({ length: 6 }, (_, order) => ({ order, isPlaced: true, messages: 3, claims: 1 })));
  },
);
