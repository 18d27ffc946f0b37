/** R29. The relay's server does not let anybody write, at its start and later: the relay publishes nothing, says why, and goes on when it may. */
import { connectSession, waitUntil } from "@waybill/testing";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { scenario } from "../scenario.ts";

const statements = {
  postgres: {
    close: ["alter system set default_transaction_read_only = on", "select pg_reload_conf()"],
    open: ["alter system reset default_transaction_read_only", "select pg_reload_conf()"],
  },
  mysql: { close: ["set global super_read_only = on"], open: ["set global super_read_only = off", "set global read_only = off"] },
} as const;

export const readOnly = scenario({
  code: "R29",
  title: "a relay on a server that does not let it write publishes nothing, says why, and goes on when it may",
  databases: ["postgres", "mysql"],
  brokers: [],
  why: "On MariaDB read_only does not bind the user whom a new server has.",
  scaled: { rows: 100, closedMs: 4_000, goesOnMaxMs: 5_000 },
  full: { rows: 10_000, closedMs: 60_000, goesOnMaxMs: 5_000 },
  async play(rig, { rows, closedMs, goesOnMaxMs }) {
    const { started, url } = rig.servers.database;
    rig.effort("database servers of our own", started === null ? 0 : 1, 1);
    if (started === null) return;
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, {
      transport: endpoint.url,
      received: () => endpoint.received,
      leaseMs: 3_000,
      tellsAll: true,
    });
    const operator = await connectSession(url);
    rig.defer(() => operator.end());
    const turn = async (how: "close" | "open"): Promise<void> => {
      for (const statement of statements[operator.dialect][how]) await operator.run(statement);
    };
    rig.defer(() => turn("open"));
    const some = Array.from({ length: rows }, (_, index) => ({ topic: "notes", key: `key-${index % 9}` }));
    const isArrived = (ids: readonly string[]) => (): boolean =>
      rig.signal.aborted || ids.every((id) => endpoint.arrivedMs(id) !== undefined);
    const saysWhy = ({ name, code }: Readonly<Record<string, unknown>>): boolean =>
      name === "relay.restarting" && code === "WAYBILL_READ_ONLY";
    const goOn = async (ids: readonly string[]): Promise<void> => {
      await turn("open");
      const openedMs = performance.now();
      await waitUntil(isArrived(ids), { what: "the relay publishes again", deadlineMs: 60_000 });
      rig.within("everything arrived", performance.now() - openedMs, goesOnMaxMs);
    };

    const first = await delivery.write(some);
    await turn("close");
    await delivery.relay.start();
    await delivery.waitFor(saysWhy, { what: "the relay says why it does not begin", deadlineMs: 60_000, from: 0 });
    await rig.pause(closedMs);
    rig.demand(`${endpoint.arrivals.length} messages were published without a lease`, endpoint.arrivals.length === 0);
    rig.fault("a server that is read-only at the start", endpoint.arrivals.length === 0);
    await goOn(first);

    const from = delivery.told.length;
    await turn("close");
    await delivery.waitFor(saysWhy, { what: "the relay says why it stops", deadlineMs: 60_000, from });
    const publishedBefore = endpoint.arrivals.length;
    await rig.pause(closedMs);
    rig.demand("something was published while nobody could write", endpoint.arrivals.length === publishedBefore);
    rig.fault("a server that becomes read-only", true);
    await turn("open");
    await goOn(await delivery.write(some));
    await delivery.isQuiet();
    await delivery.end();
  },
});
