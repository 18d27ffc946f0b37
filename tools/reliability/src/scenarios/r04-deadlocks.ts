/**
 * R04. Very many units of work lock the same rows and keys in crossed order, on PostgreSQL half of them as
 * strictly isolated as can be: whatever the database
 * asks to repeat is repeated as a whole, and no unit is half there.
 */
import { isWaybillError, newMessageId, type WaybillEvent } from "@waybill/core";
import { append } from "@waybill/outbox";
import { openDatabase } from "@waybill/sql";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { intentOf, noted } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

export const deadlocks = scenario({
  code: "R04",
  title: "a unit that the database asks to repeat is repeated as a whole, and none is half there",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { threads: 20, units: 6, accounts: 10 },
  full: { threads: 20, units: 1_000, accounts: 10 },
  async play(rig, { threads, units, accounts }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received });
    const { place } = delivery;
    await place.ask(async (session) => {
      // PostgreSQL looks for a deadlock a second after it began, which would be most of the time.
      if (session.dialect === "postgres")
        await session.run("do $$ begin execute format('alter database %I set deadlock_timeout = 50', current_database()); end $$");
      await session.run("create table account (id int primary key, moves bigint not null)");
      for (let id = 0; id < accounts; id += 1) await session.run("insert into account values (?, 0)", [id]);
    });
    const [insert, change] =
      place.dialect === "postgres"
        ? ["insert into note values ($1)", "update account set moves = moves + 1 where id = $1"]
        : ["insert into note values (?)", "update account set moves = moves + 1 where id = ?"];
    // MySQL says it before a transaction begins; there the shared locks of the usual level do as much.
    const strict = { postgres: "set transaction isolation level serializable", mysql: null }[place.dialect];
    let [committed, repeated] = [0, 0];
    const onEvent = ({ name }: WaybillEvent): void => {
      if (name === "sql.unitRepeated") repeated += 1;
    };
    const database = openDatabase({ url: place.url, connections: threads, onEvent });
    rig.defer(() => database.close());
    const work = async (thread: number): Promise<void> => {
      for (let unit = 0; unit < units && !rig.signal.aborted; unit += 1) {
        const one = Math.floor(rig.random.fraction() * accounts);
        const other = (one + 1 + Math.floor(rig.random.fraction() * (accounts - 1))) % accounts;
        const both = [one, other].map((account) => {
          const id = newMessageId();
          const note = { key: `account-${account}` };
          return { account, id, note, made: noted(note, id) };
        });
        const isStrict = thread % 2 === 1;
        const outcome = await database.unitOfWork(
          async (tx) => {
            if (isStrict && strict !== null) await tx.query(strict, []);
            for (const { account, id, made } of both) {
              await tx.query(change, [account]);
              await tx.query(insert, [id]);
              await append(tx, [made], { serialiseKey: true });
            }
          },
          { operation: "a move", deadlineMs: 60_000, repetitionsMax: 50 },
        );
        if (outcome.kind === "committed") committed += 1;
        else rig.demand(`a unit ended as ${outcome.kind}: ${codeOf(outcome.error)}`, false);
        for (const { note, made, id } of both) delivery.intend(intentOf(note, made, id, outcome.kind));
      }
    };
    await delivery.relay.start();
    await Promise.all(Array.from({ length: threads }, (_, thread) => work(thread)));
    rig.fault("deadlocks and serialization failures", repeated > 0);
    rig.effort("units that were repeated", repeated, Math.ceil(threads / 4));
    const [row] = await place.ask((session) => session.run("select sum(moves) as moves from account"));
    rig.demand(`${String(row?.["moves"])} moves of ${committed} units of two`, Number(row?.["moves"]) === 2 * committed);
    await delivery.isQuiet();
    await delivery.end();
  },
});

const codeOf = (error: unknown): string => (isWaybillError(error) ? error.code : "another error");
