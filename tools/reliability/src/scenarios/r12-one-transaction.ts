/** R12. Very many messages of several keys in one transaction, so in one moment: each key has them at the broker in the order of their append. */
import { connectSession, testName } from "@waybill/testing";
import { openDelivery } from "../delivery.ts";
import { beginNotes } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";
import { openTappedTopic } from "../tapped-topic.ts";

export const oneTransaction = scenario({
  code: "R12",
  title: "messages of one transaction and one moment are at the broker in their order, key by key",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { transactions: 4, messages: 500, keys: 7, atOnceMin: 5 },
  full: { transactions: 200, messages: 500, keys: 7, atOnceMin: 5 },
  async play(rig, { transactions, messages, keys, atOnceMin }) {
    const topic = testName("reliability-notes");
    const tap = await openTappedTopic(rig, topic, { partitions: 3 });
    const delivery = await openDelivery(rig, { transport: rig.servers.broker.url, received: () => tap.received });
    await delivery.relay.start();
    const session = await connectSession(delivery.place.url);
    rig.defer(() => session.end());
    let order = 0;
    for (let index = 0; index < transactions; index += 1) {
      const notes = Array.from({ length: messages }, () => {
        order += 1;
        return { topic, key: `key-${Math.floor(rig.random.fraction() * keys)}`, order };
      });
      await (await beginNotes(delivery, session, notes)).commit();
    }
    await delivery.isQuiet();
    await tap.readToEnd();
    await delivery.end();
    // Of rows that one statement wrote nothing but their ids tells the order.
    const moment = { postgres: "date_trunc('milliseconds', created_at)", mysql: "floor(unix_timestamp(created_at) * 1000)" }[
      session.dialect
    ];
    const [most] = await session.run(`select count(*) as rows_of_it from waybill_outbox group by ${moment} order by 1 desc limit 1`);
    rig.effort("messages of one millisecond", Number(most?.["rows_of_it"] ?? 0), atOnceMin);
    rig.effort("messages received", tap.received.length, transactions * messages);
  },
});
