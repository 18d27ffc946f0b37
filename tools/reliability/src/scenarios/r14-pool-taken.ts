/**
 * R14. All connections of the application's pool are taken by others, and very many writers want one: each hears of it within its deadline, with a typed
 * error, and the relay, whose connections are its own, publishes on.
 */
import { isWaybillError, newMessageId } from "@waybill/core";
import { append } from "@waybill/outbox";
import { openDatabase } from "@waybill/sql";
import { measureArrivals } from "../arrival-times.ts";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { intentOf, noted } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

export const poolTaken = scenario({
  code: "R14",
  title: "writers that get no connection hear so within their deadline, and the relay publishes on",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { connections: 2, writers: 50, deadlineMs: 1_000, lateMaxMs: 1_000, rounds: 40, everyMs: 50, slowerMaxMs: 500 },
  full: { connections: 2, writers: 50, deadlineMs: 10_000, lateMaxMs: 1_000, rounds: 2_000, everyMs: 50, slowerMaxMs: 500 },
  async play(rig, { connections, writers, deadlineMs, lateMaxMs, rounds, everyMs, slowerMaxMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received, leaseMs: 5_000 });
    const pool = openDatabase({ url: delivery.place.url, connections });
    rig.defer(() => pool.close());
    const rows = (round: number) => [{ topic: "notes", key: `key-${round % 9}` }];
    const measure = () => measureArrivals(rig, delivery, { rounds, everyMs, rows, arrivedMs: endpoint.arrivedMs });
    await delivery.relay.start();
    await delivery.write([{ topic: "notes", key: null }]);
    await delivery.isQuiet();
    const before = await measure();

    let free = (): void => undefined;
    const isFree = new Promise<void>((resolve) => {
      free = resolve;
    });
    let held = 0;
    const holding = Array.from({ length: connections }, () =>
      pool.unitOfWork(
        async (tx) => {
          await tx.query("select 1", []);
          held += 1;
          await isFree;
        },
        { operation: "hold a connection", deadlineMs: 600_000 },
      ),
    );
    const insert = pool.dialect === "postgres" ? "insert into note values ($1)" : "insert into note values (?)";
    const write = async (
      key: string,
      withinMs: number,
    ): Promise<{ readonly tookMs: number; readonly isTyped: boolean; readonly isDone: boolean }> => {
      const id = newMessageId();
      const made = noted({ key }, id);
      const beganMs = performance.now();
      let error: unknown = null;
      let isDone = false;
      try {
        const outcome = await pool.unitOfWork(
          async (tx) => {
            await tx.query(insert, [id]);
            await append(tx, made);
          },
          { operation: "a note", deadlineMs: withinMs },
        );
        isDone = outcome.kind === "committed";
        if (outcome.kind !== "committed") error = outcome.error;
      } catch (caught) {
        error = caught;
      }
      delivery.intend(intentOf({ key }, made, id, isDone ? "committed" : "rolledBack"));
      return { tookMs: performance.now() - beganMs, isTyped: isWaybillError(error, "WAYBILL_DEADLINE"), isDone };
    };
    const refused = await Promise.all(Array.from({ length: writers }, (_, index) => write(`key-${index}`, deadlineMs)));
    const during = await measure();
    rig.within("p99 of the arrival while the pool is taken", during, before + slowerMaxMs);
    rig.within("the last writer was refused", Math.max(...refused.map(({ tookMs }) => tookMs)), deadlineMs + lateMaxMs);
    const typed = refused.filter(({ isTyped }) => isTyped).length;
    rig.demand(`${typed} of ${writers} writers were refused with WAYBILL_DEADLINE`, typed === writers);
    rig.fault("take all connections", held === connections && refused.every(({ isDone }) => !isDone));
    free();
    await Promise.all(holding);
    const done = await Promise.all(Array.from({ length: writers }, (_, index) => write(`key-${index}`, 60_000)));
    rig.demand(
      "a writer failed although the pool was free again",
      done.every(({ isDone }) => isDone),
    );
    await delivery.isQuiet();
    const epochs = delivery.told.filter(({ event }) => event["name"] === "relay.leaseAcquired").length;
    rig.demandWhenCalm(`the lease was taken ${epochs} times`, epochs === 1);
    await delivery.end();
  },
});
