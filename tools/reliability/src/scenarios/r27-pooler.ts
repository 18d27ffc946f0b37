/**
 * R27. Application and relay reach PostgreSQL through a pooler in transaction mode only, and the relay is killed on the way: everything works, and whoever
 * gets a server connection after us finds its settings as they were.
 */
import { connectSession, type Session, startPgbouncer } from "@waybill/testing";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { beginNotes } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

const poolSize = 6;

export const pooler = scenario({
  code: "R27",
  title: "behind a pooler in transaction mode everything works, and no setting is left on its connections",
  databases: ["postgres"],
  brokers: [],
  why: "Only PostgreSQL has poolers of this kind.",
  scaled: { transactions: 400, kills: 2, leaseMs: 3_000 },
  full: { transactions: 20_000, kills: 20, leaseMs: 10_000 },
  async play(rig, { transactions, kills, leaseMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const bouncer = await startPgbouncer({
      target: rig.servers.database.url,
      poolSize,
      // What the session of an application asks for at its start is its own business, and would be refused.
      settings: { ignore_startup_parameters: "extra_float_digits,lock_timeout" },
    });
    rig.defer(() => bouncer.stop());
    const options = { transport: endpoint.url, received: () => endpoint.received, relays: 2, leaseMs, door: bouncer, tellsAll: true };
    const delivery = await openDelivery(rig, options);
    const pooled = new URL(bouncer.url);
    pooled.pathname = new URL(delivery.place.url).pathname;
    const sessions: Session[] = [];
    for (let index = 0; index < poolSize; index += 1) {
      const session = await connectSession(pooled.href);
      rig.defer(() => session.end());
      sessions.push(session);
    }
    /** Of every server connection there may be: as many transactions at once as it has. */
    const settings = async (): Promise<ReadonlySet<string>> => {
      const seen = new Set<string>();
      const open = sessions.slice(0, 2);
      for (const session of open) await session.run("begin");
      for (const session of open) {
        const rows = await session.run(
          "select name, setting from pg_settings where setting is distinct from reset_val and name <> 'application_name'",
        );
        for (const row of rows) seen.add(`${String(row["name"])} = ${String(row["setting"])}`);
      }
      for (const session of open) await session.run("rollback");
      return seen;
    };
    const before = await settings();
    for (const { seat } of delivery.relays) await delivery.comesBack(seat);
    const leftOver = new Set<string>();
    let killed = 0;
    for (let turn = 0; turn < transactions && !rig.signal.aborted; turn += 1) {
      const session = sessions[turn % sessions.length] as Session;
      const one = await beginNotes(delivery, session, [{ key: `key-${turn % 9}` }]);
      await (turn % 10 === 9 ? one.rollBack() : one.commit());
      if (turn % 20 === 0) for (const each of await settings()) if (!before.has(each)) leftOver.add(each);
      if (turn % Math.ceil(transactions / kills) !== Math.floor(transactions / kills / 2)) continue;
      const holder = delivery.relays.find(
        ({ seat }) => seat.name === delivery.told.findLast(({ event }) => event["name"] === "relay.leaseAcquired")?.who,
      );
      const from = delivery.told.length;
      const hasDied = (await holder?.seat.kill()) === true;
      rig.fault("kill the relay behind the pooler", hasDied);
      if (hasDied) killed += 1;
      await delivery.waitFor(({ name }) => name === "relay.leaseAcquired", {
        what: "the other relay takes over",
        deadlineMs: 60_000,
        from,
      });
      if (holder !== undefined) await delivery.comesBack(holder.seat);
    }
    await delivery.isQuiet();
    for (const each of await settings()) if (!before.has(each)) leftOver.add(each);
    rig.demand(`settings were left on the pooler's connections: ${[...leftOver].join(", ")}`, leftOver.size === 0);
    rig.effort("kills behind the pooler", killed, Math.max(1, kills - 1));
    await delivery.end();
  },
});
