/**
 * R05. Messages of transactions that roll back, of savepoints that roll back, and of transactions whose caller swallowed an error: none is ever published,
 * and a unit of work with a swallowed error does not commit. What was appended beside them is.
 */
import { newMessageId } from "@waybill/core";
import { append } from "@waybill/outbox";
import type { OwnedTx } from "@waybill/sql";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { beginNotes, intentOf, noted, openSession } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

export const rolledBack = scenario({
  code: "R05",
  title: "a message whose transaction or savepoint rolls back is never published, and a swallowed error keeps a unit from committing",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { rounds: 25 },
  full: { rounds: 1_000 },
  async play(rig, { rounds }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received });
    const { place } = delivery;
    const session = await openSession(rig, delivery);
    await delivery.relay.start();
    const swallow = async (work: Promise<unknown>): Promise<boolean> =>
      work.then(
        () => false,
        () => true,
      );
    let refused = 0;
    for (let round = 0; round < rounds; round += 1) {
      const key = `key-${round % 5}`;
      await (await beginNotes(delivery, session, [{ key }])).rollBack();

      // The outer transaction commits; what came behind the savepoint is gone.
      await session.run("begin");
      const gone = newMessageId();
      const inner = noted({ key }, gone);
      await session.run("savepoint before_it");
      await session.run("insert into note values (?)", [gone]);
      await append(session.handle, inner);
      await session.run("rollback to savepoint before_it");
      delivery.intend(intentOf({ key }, inner, gone, "rolledBack"));
      const outer = await beginNotes(delivery, session, [{ key }], { hasBegun: true });
      await outer.commit();
      const [kept = ""] = outer.ids;

      // The same business row again is an error, which the caller of a unit passes over.
      const id = newMessageId();
      const late = noted({ key }, id);
      const again = place.dialect === "postgres" ? "insert into note values ($1)" : "insert into note values (?)";
      const work = async (tx: OwnedTx): Promise<void> => {
        await tx.query(again, [id]);
        await swallow(tx.query(again, [kept]));
        if (await swallow(append(tx, late))) refused += 1;
      };
      const outcome = await place.database.unitOfWork(work, { operation: "a swallowed error", repetitionsMax: 0 });
      rig.demand(`a unit with a swallowed error ended as ${outcome.kind}`, outcome.kind === "rolledBack");
      delivery.intend(intentOf({ key }, late, id, "rolledBack"));

      if (session.dialect === "postgres") {
        // Likewise on a connection of the application's: the server itself makes a rollback of the COMMIT.
        const own = newMessageId();
        const raw = noted({ key }, own);
        await session.run("begin");
        await session.run("insert into note values (?)", [own]);
        await swallow(session.run("insert into note values (?)", [kept]));
        if (await swallow(append(session.handle, raw))) refused += 1;
        await session.run("commit");
        delivery.intend(intentOf({ key }, raw, own, "rolledBack"));
      }
    }
    await delivery.isQuiet();
    const { received } = await delivery.end();
    rig.demand(`${received.length} messages arrived of ${rounds}`, new Set(received.map(({ messageId }) => messageId)).size === rounds);
    rig.effort("appends that were refused behind a swallowed error", refused, rounds);
  },
});
