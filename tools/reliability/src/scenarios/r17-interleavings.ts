/**
 * R17. Transactions take ids, wait, and commit or roll back in an order that chance makes, while the relay reads in between: none is passed over, each key
 * keeps its order, and a hole ends soon after the last transaction that could have filled it.
 */
import { readLedgerStanding, type Session, waitUntil } from "@waybill/testing";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { beginNotes, type OwnTransaction, openSession } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

/** What a transaction of a round still has to do. */
interface Course {
  readonly session: Session;
  /** Its sessions come one after the other, so that its writers exclude each other. */
  readonly key: string;
  readonly isKept: boolean;
  step: "begin" | "append" | "end";
  transaction: OwnTransaction | null;
}

export const interleavings = scenario({
  code: "R17",
  title: "a message whose transaction ends late is not passed over, and its hole ends soon after it",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { rounds: 80, transactionsMax: 8, pauseMaxMs: 12, holeMaxMs: 3_000 },
  full: { rounds: 1_000, transactionsMax: 8, pauseMaxMs: 40, holeMaxMs: 3_000 },
  async play(rig, { rounds, transactionsMax, pauseMaxMs, holeMaxMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const relayArgs = ["--poll-max-ms", "4"];
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received, relayArgs, tellsAll: true });
    const sessions: Session[] = [];
    for (let index = 0; index < transactionsMax; index += 1) sessions.push(await openSession(rig, delivery));
    const onlooker = await openSession(rig, delivery);
    const below = (bound: number): number => Math.floor(rig.random.fraction() * bound);
    await delivery.relay.start();
    await delivery.write([{ topic: "notes", key: null }]);
    await delivery.isQuiet();
    let longestMs = 0;
    for (let round = 0; round < rounds; round += 1) {
      const left: Course[] = sessions.slice(0, 2 + below(transactionsMax - 1)).map((session, index) => {
        return { session, key: `key-${index}`, isKept: rig.random.fraction() < 0.7, step: "begin", transaction: null };
      });
      while (left.length > 0) {
        const one = left[below(left.length)] as Course;
        if (one.step === "begin") {
          await one.session.run("begin");
          // On PostgreSQL it has its number from now on: their order is another than that of the ids.
          await one.session.run({ postgres: "select txid_current()", mysql: "select 1" });
          one.step = "append";
        } else if (one.step === "append") {
          const notes = Array.from({ length: 1 + below(3) }, () => ({ key: one.key }));
          one.transaction = await beginNotes(delivery, one.session, notes, { hasBegun: true });
          one.step = "end";
        } else {
          await (one.isKept ? one.transaction?.commit() : one.transaction?.rollBack());
          left.splice(left.indexOf(one), 1);
        }
        await rig.pause(below(pauseMaxMs));
      }
      const endedMs = performance.now();
      const isQuiet = async (): Promise<boolean> => (await readLedgerStanding(onlooker)).isQuiet;
      await waitUntil(isQuiet, { what: "every hole has ended and every message is published", deadlineMs: 60_000 });
      longestMs = Math.max(longestMs, performance.now() - endedMs);
    }
    rig.within("the hole that took longest had ended", longestMs, holeMaxMs);
    const found = delivery.told.filter(({ event }) => event["name"] === "relay.batchRead" && Number(event["fromHoles"]) > 0).length;
    const forgotten = delivery.told.filter(
      ({ event }) => event["name"] === "relay.holesForgotten" || event["name"] === "relay.fenced",
    ).length;
    rig.effort("reads that found a row in a hole", found, Math.floor(rounds / 4));
    rig.effort("times that holes were given up", forgotten, Math.floor(rounds / 8));
    await delivery.end();
  },
});
