/**
 * R58. A dead letter cannot be written: somebody has its table, the disk is full, or the answer to the write is cut off. Until it is written the message is not
 * finished, also not for a relay that is killed meanwhile; then there is one row for it, with its reason.
 */
import { listDeadLetters } from "@waybill/dead-letter";
import { readLedgerStanding, type Session, waitUntil } from "@waybill/testing";
import { type Delivery, discardAll, openDelivery, spaceOf } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import type { Rig } from "../rig.ts";
import { scenario } from "../scenario.ts";

const kinds = ["locked", "full", "cut"] as const;

export const deadLetterUnwritten = scenario({
  code: "R58",
  title: "a message whose dead letter cannot be written is not finished, and has one row with one reason when it can",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { rounds: 6, failingMs: 3_000 },
  full: { rounds: 21, failingMs: 10_000 },
  async play(rig, { rounds, failingMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const relayArgs = ["--statement-deadline-ms", "1500", "--outage-backoff-max-ms", "500"];
    const delivery = await openDelivery(rig, {
      transport: endpoint.url,
      relayArgs,
      received: () => endpoint.received,
      leaseMs: 3_000,
      tellsAll: true,
    });
    const { place } = delivery;
    endpoint.answer = ({ key }) => ({ status: key?.startsWith("poison") === true ? 422 : 200 });
    const letters = async (messageId: string) => listDeadLetters(place.database, spaceOf(place), { origin: "relay", messageId, limit: 10 });
    await delivery.relay.start();
    await delivery.write([{ topic: "notes", key: null }]);
    await waitUntil(() => endpoint.received.length > 0 || rig.signal.aborted, { what: "the relay is at work", deadlineMs: 60_000 });
    const bitten = new Set<string>();
    for (let round = 0; round < rounds && !rig.signal.aborted; round += 1) {
      const kind = kinds[round % kinds.length] as (typeof kinds)[number];
      const from = delivery.told.length;
      const lift = await hinder(rig, delivery, kind);
      const [id] = (await delivery.write([{ topic: "notes", key: `poison-${round}` }])) as [string];
      await delivery.waitFor(({ name, messageId }) => name === "relay.deadLettering" && messageId === id, {
        what: "the relay gives the message up",
        deadlineMs: 60_000,
        from,
      });
      await rig.pause(failingMs);
      const isWritten = (await letters(id)).length > 0;
      // What is cut off is the answer: the row is there, and the relay does not know it.
      const isHindered = kind === "cut" ? true : !isWritten;
      if (!isWritten) rig.demand("a message without a dead letter counts as finished", !(await place.ask(readLedgerStanding)).isQuiet);
      if (round % 2 === 1) rig.fault("kill the relay meanwhile", await delivery.relay.kill());
      const fired = await lift();
      rig.fault(`the dead letter is ${kind}`, fired && isHindered);
      if (fired && isHindered) bitten.add(kind);
      await delivery.relay.start();
      await waitUntil(async () => rig.signal.aborted || (await letters(id)).length > 0, {
        what: "the dead letter is written",
        deadlineMs: 60_000,
        intervalMs: 50,
      });
      const found = await letters(id);
      const reasons = found.map(({ reason }) => reason);
      rig.demand(`${kind}: it has ${found.length} rows, for ${reasons.join(", ")}`, found.length === 1 && reasons[0] === "status:422");
      await delivery.write([{ topic: "notes", key: `good-${round}` }]);
    }
    rig.effort("ways in which it could not be written", bitten.size, kinds.length);
    await discardAll(place, { reason: "status:422" });
    await delivery.isQuiet();
    await delivery.end();
  },
});

/** Answers how to lift it, which answers whether it was met. */
async function hinder(rig: Rig, { place, link }: Delivery, kind: (typeof kinds)[number]): Promise<() => Promise<boolean>> {
  const isPostgres = place.dialect === "postgres";
  switch (kind) {
    case "locked": {
      let release: () => void = () => undefined;
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      let taken: () => void = () => undefined;
      const isTaken = new Promise<void>((resolve) => {
        taken = resolve;
      });
      const holding = place.ask(async (session: Session) => {
        if (isPostgres) {
          await session.run("begin");
          await session.run("lock table waybill_dead_letter in share mode");
        } else await session.run("lock tables waybill_dead_letter read");
        taken();
        await released;
        await session.run(isPostgres ? "rollback" : "unlock tables");
      });
      rig.defer(async () => release());
      await isTaken;
      return async () => {
        release();
        await holding;
        return true;
      };
    }
    case "full": {
      const raise = isPostgres
        ? [
            "create function no_room() returns trigger language plpgsql as $$ begin raise exception 'no room' using errcode = '53100'; end $$",
            "create trigger no_room before insert on waybill_dead_letter for each row execute function no_room()",
          ]
        : [
            "create trigger no_room before insert on waybill_dead_letter for each row signal sqlstate 'HY000' set mysql_errno = 1114, message_text = 'no room'",
          ];
      await place.ask(async (session) => {
        for (const text of raise) await session.run(text);
      });
      return async () => {
        await place.ask(async (session) => {
          await session.run(isPostgres ? "drop trigger no_room on waybill_dead_letter" : "drop trigger no_room");
          if (isPostgres) await session.run("drop function no_room()");
        });
        return true;
      };
    }
    case "cut": {
      const injected = link.inject({
        kind: "cut",
        at: "beforeReply",
        pattern: "status:422",
        times: 1,
      });
      return async () => {
        injected.lift();
        return injected.fired > 0;
      };
    }
  }
}
