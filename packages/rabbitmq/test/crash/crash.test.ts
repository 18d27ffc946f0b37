import type { WaybillEvent } from "@waybill/core";
import { startChild, testBroker, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type ConsumerFixture, consumerFixture, faultless, placed, verdict } from "../consumer-fixture.ts";
import { type QueueFixture, queueFixture } from "../queue-fixture.ts";

const program = new URL("../../dist-programs/test/crash/consumer.child.js", import.meta.url);
const broker = await testBroker("rabbitmq");

/** What a consumer tells on its way, with the how many-th it is killed at. */
const kills: readonly (readonly [name: WaybillEvent["name"], nth: number])[] = [
  ["rabbitmq.connected", 1],
  ["source.joined", 1],
  ["inbox.received", 3],
  ["inbox.attemptStarting", 2],
  ["inbox.attemptStarted", 3],
  ["inbox.unitBegun", 3],
  ["inbox.deduped", 3],
  ["inbox.handling", 3],
  ["inbox.handled", 3],
  ["inbox.committing", 3],
  ["inbox.committed", 1],
  ["inbox.committed", 4],
  ["inbox.settling", 2],
  ["inbox.handlerFailed", 1],
  ["inbox.retrying", 1],
  ["inbox.deadLettering", 1],
  ["inbox.deadLettered", 1],
  ["inbox.draining", 1],
  ["source.stopped", 1],
  ["inbox.stopped", 1],
];
const whileStopping: ReadonlySet<string> = new Set(["inbox.draining", "source.stopped", "inbox.stopped"]);

let database: ConsumerFixture;
let fixture: QueueFixture;
beforeAll(async () => {
  database = await consumerFixture();
});
afterEach(async () => {
  await fixture.close();
  await database.clear();
});
afterAll(() => database.close());

const start = (env: Readonly<Record<string, string>>) =>
  startChild(program, { env: { DATABASE_URL: database.url, BROKER_URL: broker.url, QUEUE: fixture.queue.name, ...env } });

/** Runs a consumer that is killed; a kill that never came proves nothing. */
async function runKilled(env: Readonly<Record<string, string>>): Promise<void> {
  const child = await start(env);
  const end = await child.exited;
  if (end.signal !== "SIGKILL") throw new Error(`The child ended with ${end.code}:\n${child.output()}`);
}

/** Runs one that is not, until everything is handled; it must end by itself then. */
async function runQuietly(): Promise<readonly unknown[]> {
  const child = await start({});
  await child.waitFor(({ name }) => name === "source.joined", { what: "it consumes", deadlineMs: 60_000 });
  await database.untilEffects(9);
  await waitUntil(async () => (await fixture.ready()) === 0 && (await database.letters()).length === 1, {
    what: "all is done",
    deadlineMs: 60_000,
  });
  child.tell("stop");
  expect(await child.exited).toEqual({ code: 0, signal: null });
  return child.events.map(({ name }) => name);
}

/** Runs until nothing is left. A run that is stopped among repetitions gives the rest of them back. */
async function runToTheEnd(): Promise<readonly unknown[]> {
  const names = [...(await runQuietly())];
  for (let run = 1; run < 5 && (await fixture.ready()) > 0; run++) names.push(...(await runQuietly()));
  return names;
}

const messages = () => [
  ...Array.from({ length: 6 }, (_, n) => placed(n % 2)),
  placed(2, { id: `fails ${Math.random()}` }),
  placed(2),
  placed(null),
  placed(null, { id: `rejected ${Math.random()}` }),
];

describe("a consumer killed at any event leaves one effect of each message, each key in order, and an empty queue", () => {
  test.each(kills)(
    "%s, number %i",
    async (name, nth) => {
      fixture = await queueFixture(broker.url);
      const published = messages();
      await fixture.publish(published);
      await runKilled({ KILL_AT: name, KILL_NTH: String(nth), ...(whileStopping.has(name) ? { STOP_AFTER: "4" } : {}) });
      await runToTheEnd();
      const wanted = published.filter(({ id }) => !id.startsWith("rejected"));
      expect(verdict(await database.effects(), wanted)).toEqual(faultless);
      expect((await database.letters())[0]).toMatch(/^rejected .* dead not wanted$/);
      expect(await fixture.ready()).toBe(0);
    },
    180_000,
  );
});

test("what was committed and not acked when the process died is delivered again, and is a duplicate", async () => {
  fixture = await queueFixture(broker.url);
  await fixture.publish(messages());
  await runKilled({ KILL_AT: "inbox.committed", KILL_NTH: "1" });
  await runKilled({ KILL_AT: "inbox.duplicate", KILL_NTH: "1" });
  expect(await runToTheEnd()).toContain("inbox.duplicate");
  expect(new Set(await database.effects()).size).toBe(9);
}, 180_000);
