/**
 * R67. Handlers of two processes write the same rows in crossed orders, wait for a row that somebody else has for longer than the database lets them, and, on
 * PostgreSQL, run under SERIALIZABLE: what the database refuses is run again as a whole, by itself, and no half of it is ever committed.
 */
import { waitUntil } from "@waybill/testing";
import { type NewRow, openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { createEffectTable, deliveryOf, effectsOf, openReceiver, type Receiver } from "../receiver.ts";
import { scenario } from "../scenario.ts";

const consumer = "tally";
const names = 6;

export const handlersCollide = scenario({
  code: "R67",
  title: "handlers that collide are run again as a whole, by themselves and at no cost, and none is ever committed in half",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { messages: 120, atOnce: 4, pauseMs: 5, lockedMs: 2_500, collisionsMin: 10 },
  full: { messages: 10_000, atOnce: 8, pauseMs: 5, lockedMs: 2_500, collisionsMin: 500 },
  async play(rig, { messages, atOnce, pauseMs, lockedMs, collisionsMin }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, {
      transport: endpoint.url,
      received: () => endpoint.received,
      consumers: [effectsOf(consumer)],
    });
    const { place } = delivery;
    const isPostgres = place.dialect === "postgres";
    await createEffectTable(place);
    await place.ask(async (session) => {
      await session.run("create table tally (id int primary key, name varchar(20) not null unique, n int not null)");
      for (let id = 0; id < names; id += 1) await session.run(`insert into tally values (${id}, 'name-${id}', 0)`);
    });
    // By a unique name that is not the primary key: MySQL and MariaDB lock the gap before it, too.
    const count = isPostgres
      ? "insert into tally (id, name, n) values ($1, $2, 1) on conflict (name) do update set n = tally.n + 1"
      : "insert into tally (id, name, n) values (?, ?, 1) on duplicate key update n = n + 1";
    const open = (): Receiver =>
      openReceiver(rig, place, {
        consumer,
        concurrency: atOnce,
        batchMax: 1,
        handle: async ({ key }, tx) => {
          if (!isPostgres) await tx.query("set session innodb_lock_wait_timeout = 1", []);
          const index = Number(key?.slice(4));
          const first = index % names;
          const second = (first + 1 + (index % (names - 1))) % names;
          for (const id of index % 2 === 0 ? [first, second] : [second, first]) {
            await tx.query(count, [id, `name-${id}`]);
            await rig.pause(pauseMs);
          }
        },
      });
    const receivers = [open(), open()] as const;
    await delivery.relay.start();
    const rows: readonly NewRow[] = Array.from({ length: messages }, (_, index) => ({ topic: "notes", key: `key-${index}` }));
    const ids = await delivery.write(rows);
    await waitUntil(() => rig.signal.aborted || ids.every((id) => endpoint.arrivedMs(id) !== undefined), {
      what: "all have arrived",
      deadlineMs: 60_000,
    });

    // For whoever connects from now on.
    const name = new URL(place.url).pathname.slice(1);
    const serializable = `alter database "${name}" set default_transaction_isolation to serializable`;
    if (isPostgres) await place.ask((session) => session.run(serializable));
    /** Has the row of a name while the first handlers want it. */
    const hold = place.ask(async (session) => {
      await session.run("begin");
      await session.run("update tally set n = n + 0 where id = 0");
      await rig.pause(lockedMs);
      await session.run("rollback");
    });
    let next = 0;
    const work = async (receiver: Receiver): Promise<void> => {
      while (next < messages && !rig.signal.aborted) {
        const index = next;
        next += 1;
        const { as, agains } = await receiver.deliver(deliveryOf(ids[index] as string, rows[index] as NewRow));
        rig.demand(`a message ended as ${as}`, as === "handled");
        for (const again of agains) rig.demand(`a collision counted as ${again}`, again === "disturbed");
      }
    };
    await Promise.all([hold, ...receivers.flatMap((receiver) => Array.from({ length: atOnce }, () => work(receiver)))]);

    const codes: Record<string, number> = {};
    for (const event of receivers.flatMap(({ told }) => told)) {
      if (event.name !== "sql.unitRepeated") continue;
      const code = event.errno === null ? event.sqlState : String(event.errno);
      codes[code] = (codes[code] ?? 0) + 1;
    }
    rig.say(`run again: ${JSON.stringify(codes)}`);
    const collisions = Object.values(codes).reduce((sum, each) => sum + each, 0);
    rig.fault("handlers that collide", collisions > 0);
    rig.effort("units that were run again", collisions, collisionsMin);
    if (isPostgres) rig.effort("serialization failures", codes["40001"] ?? 0, 1);
    else rig.effort("waits for a lock that ran out", codes["1205"] ?? 0, 1);
    const told = (name: Parameters<Receiver["count"]>[0]): number => receivers.reduce((sum, each) => sum + each.count(name), 0);
    rig.demand("a collision used up an attempt", told("inbox.handlerFailed") === 0);
    rig.demand("a message became a dead letter", told("inbox.deadLettered") === 0);
    const [sum] = await place.ask((session) => session.run("select sum(n) as n from tally"));
    rig.demand(
      `CO ${Number(sum?.["n"])} counts of ${2 * messages}: a half was committed, or done twice`,
      Number(sum?.["n"]) === 2 * messages,
    );
    await delivery.isQuiet();
    await delivery.end();
  },
});
