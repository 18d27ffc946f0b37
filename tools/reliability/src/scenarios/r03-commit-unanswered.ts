/**
 * R03. The link is cut before COMMIT, behind it, and before its answer, under a client's own transaction, knex, and a unit of work: nobody is told that
 * it committed who cannot know, asking by the message's id answers what is true, and the same transaction run again with the same id changes nothing twice.
 */
import { newMessageId } from "@waybill/core";
import { append, createOutbox } from "@waybill/outbox";
import { openDatabase } from "@waybill/sql";
import { connectSession, type InjectedFault, waitUntil } from "@waybill/testing";
import knexOf from "knex";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { intentOf, noted, openSession } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

const places = ["beforeRequest", "afterRequest", "beforeReply"] as const;
/** A transaction that notes and appends, and calls `atEnd` when nothing but its COMMIT is left; answers what its caller was told. */
type Write = (url: string, id: string, key: string, atEnd: () => void) => Promise<"committed" | "unknown" | "rolledBack">;

const asClient: Write = async (url, id, key, atEnd) => {
  const session = await connectSession(url);
  try {
    await session.run("begin");
    await session.run("insert into note values (?)", [id]);
    await append(session.handle, noted({ key }, id));
    atEnd();
    return await session.run("commit").then(
      () => "committed",
      () => "unknown",
    );
  } finally {
    session.cut();
  }
};

const asKnex: Write = async (url, id, key, atEnd) => {
  const knex = knexOf({ client: url.startsWith("postgres") ? "pg" : "mysql2", connection: url, pool: { min: 0, max: 1 } });
  try {
    let hasWorked = false;
    return await knex
      .transaction(async (trx) => {
        await trx("note").insert({ message_id: id });
        await append(trx, noted({ key }, id));
        hasWorked = true;
        atEnd();
      })
      .then(
        () => "committed",
        () => (hasWorked ? "unknown" : "rolledBack"),
      );
  } finally {
    await knex.destroy();
  }
};

const asUnit: Write = async (url, id, key, atEnd) => {
  const database = openDatabase({ url });
  try {
    const outcome = await database.unitOfWork(
      async (tx) => {
        await tx.query(database.dialect === "postgres" ? "insert into note values ($1)" : "insert into note values (?)", [id]);
        await append(tx, noted({ key }, id));
        atEnd();
      },
      { operation: "a note" },
    );
    return outcome.kind;
  } finally {
    await database.close();
  }
};

const ways = { client: asClient, knex: asKnex, unit: asUnit } as const;
const names = ["client", "knex", "unit"] as const;

export const commitUnanswered = scenario({
  code: "R03",
  title: "a COMMIT without an answer is unknown to its caller, asking by the message's id tells the truth, and the retry has one effect",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { times: 45 },
  full: { times: 200 },
  async play(rig, { times }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received, relays: 2 });
    const { place } = delivery;
    // The second relay never runs: its way to the database is ours.
    const link = delivery.relays[1]?.link as (typeof delivery.relays)[number]["link"];
    const session = await openSession(rig, delivery);
    const { find } = createOutbox();
    await delivery.relay.start();
    const found = { appended: 0, notAppended: 0 };
    for (let index = 0; index < times; index += 1) {
      const at = places[Math.floor(index / names.length) % places.length] as (typeof places)[number];
      const way = names[index % names.length] as (typeof names)[number];
      const [id, key] = [newMessageId(), `key-${index % 5}`];
      const cuts: InjectedFault[] = [];
      // Only now: what a driver says when it connects has the word in it, too.
      const told = await ways[way](link.url(place.url), id, key, () => void cuts.push(link.inject({ kind: "cut", at, pattern: "commit" })));
      link.heal();
      rig.fault(
        `cut ${at} of COMMIT under ${way}`,
        cuts.some(({ fired }) => fired > 0),
      );
      rig.demand(`a caller of ${way} was told ${told} although the link was cut ${at}`, told === "unknown");

      const answer = await waitUntil(
        async () => {
          const now = await find(place.database, id);
          return now === "undecided" ? null : now;
        },
        { what: "the transaction in doubt has ended" },
      );
      const isThere = (await session.run("select message_id from note where message_id = ?", [id])).length === 1;
      rig.demand(`find said ${answer} after a cut ${at} under ${way}, which is not true`, (answer === "appended") === isThere);
      found[answer] += 1;

      // Once more from the beginning, as an application does that does not ask.
      await session.run("begin");
      await session.run({ postgres: "insert into note values (?) on conflict do nothing", mysql: "insert ignore into note values (?)" }, [
        id,
      ]);
      await append(session.handle, noted({ key }, id), { onRepeatedId: "ignore" });
      await session.run("commit");
      delivery.intend(intentOf({ key }, noted({ key }, id), id, "committed"));
    }
    await delivery.isQuiet();
    await delivery.end();
    rig.effort("transactions in doubt that had committed", found.appended, Math.floor(times / 4));
    rig.effort("transactions in doubt that had not", found.notAppended, Math.floor(times / 4));
  },
});
