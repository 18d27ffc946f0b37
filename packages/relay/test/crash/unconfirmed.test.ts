/**
 * A relay is killed with -9 at every step of repeating what is not confirmed. A second one finishes. At any time the ledger has as many copies as were
 * counted, and what was given up is a dead letter and nothing else.
 */
import { catalogue, message, type RelayEvent } from "@waybill/core";
import { append } from "@waybill/outbox";
import { forEachDatabase, hasTurn, waitUntil } from "@waybill/testing";
import { afterEach, describe, expect, test } from "vitest";
import { type CrashRun, crashRun, named } from "./crash-run.ts";

const events = [
  "relay.unconfirmedRepeating",
  "relay.unconfirmedCommitting",
  "relay.unconfirmedRepeated",
  "relay.unconfirmedGivenUp",
  "relay.unconfirmedRedriven",
] as const satisfies readonly RelayEvent["name"][];
const shop = catalogue({
  source: "/order-service",
  note: message<{ readonly n: number }>({ type: "shop.note.v1", topic: "orders", key: () => "k" }),
});

let run: CrashRun;
afterEach(() => run.close());

const numberOf = async (sql: string): Promise<number> => Number((await run.client.run(sql))[0]?.["found"]);
const copies = (): Promise<number> => numberOf("select count(*) as found from waybill_outbox where type = 'shop.note.v1'");
const letters = (state: string): Promise<number> => numberOf(`select count(*) as found from waybill_dead_letter where state = '${state}'`);

/** One copy for the append, and one for each repeat that was counted; all six of what was given up, and one more of what was redriven. */
async function audit(): Promise<void> {
  const repeats = await numberOf("select coalesce(max(repeats), -1) as found from waybill_confirmation");
  const [dead, released, done] = [await letters("dead"), await letters("released"), await letters("done")];
  expect((repeats >= 0 ? 1 : 0) + dead + released + done).toBe(1);
  expect(await copies()).toBe(repeats >= 0 ? 1 + repeats : done === 1 ? 7 : 6);
}

await forEachDatabase((server) =>
  describe(`a relay on ${server.name} killed while it repeats what is not confirmed`, () => {
    test.each(events.filter((_, place) => hasTurn("killed while it repeats", place, events.length)))("%s", async (name) => {
      run = await crashRun(server.name);
      await run.client.run("begin");
      await append(run.client.handle, shop.note({ n: 1 }), { confirmBy: ["inventory"], withinMs: 1 });
      await run.client.run("commit");
      if (name === "relay.unconfirmedRedriven") {
        const earlier = await run.startRelay();
        await earlier.waitFor(named("relay.unconfirmedGivenUp"), { deadlineMs: 60_000 });
        earlier.tell("stop");
        await earlier.exited;
        await run.redrive();
      }
      const victim = await run.startRelay({ kill: { name, nth: 1, signal: "SIGKILL" } });
      await victim.waitFor(named(name), { deadlineMs: 60_000, what: name });
      expect(await victim.exited, victim.output()).toEqual({ code: null, signal: "SIGKILL" });
      await audit();
      const finisher = await run.startRelay();
      const last = name === "relay.unconfirmedRedriven" ? "done" : "dead";
      await waitUntil(async () => (await letters(last)) === 1, { what: `the message is ${last}`, deadlineMs: 60_000 });
      finisher.tell("stop");
      expect(await finisher.exited, finisher.output()).toEqual({ code: 0, signal: null });
      await audit();
    });
  }),
);
