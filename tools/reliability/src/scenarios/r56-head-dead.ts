/**
 * R56. The first message of a key becomes a dead letter, under each policy: those behind it are held, go on, or wait with their whole topic; they are
 * listed, and a redrive or a discard lets them go in their order.
 */
import { discardDeadLetters, listDeadLetters, redriveDeadLetters } from "@waybill/dead-letter";
import { waitUntil } from "@waybill/testing";
import { openDelivery, spaceOf } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import type { Rig } from "../rig.ts";
import { scenario } from "../scenario.ts";

const policies = ["hold", "skip", "stop"] as const;

export const headDead = scenario({
  code: "R56",
  title: "behind a dead letter a key is held, goes on, or stops its topic, as was chosen; redrive and discard let it go in order",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { followers: 5 },
  full: { followers: 2_000 },
  async play(rig, { followers }) {
    for (const policy of policies) await playPolicy(rig, policy, followers);
  },
});

async function playPolicy(rig: Rig, keyPolicy: (typeof policies)[number], followers: number): Promise<void> {
  const endpoint = await startEndpoint();
  rig.defer(() => endpoint.stop());
  const delivery = await openDelivery(rig, {
    transport: endpoint.url,
    relayArgs: ["--key-policy", keyPolicy],
    received: () => endpoint.received,
    keyPolicy,
  });
  const { place } = delivery;
  const space = spaceOf(place);
  const list = (state: "dead" | "held") => listDeadLetters(place.database, space, { origin: "relay", state, limit: 1_000 });
  const follow = (key: string) => Array.from({ length: Math.min(followers, 900) }, () => ({ topic: "notes", key }));
  const got = (ids: readonly string[]): number => {
    const taken = new Set(endpoint.received.map(({ messageId }) => messageId));
    return ids.filter((id) => taken.has(id)).length;
  };
  const until = (what: string, condition: () => boolean | Promise<boolean>): Promise<boolean> =>
    waitUntil(async () => rig.signal.aborted || (await condition()), { what: `${keyPolicy}: ${what}`, deadlineMs: 60_000, intervalMs: 50 });

  const [redriven, discarded] = (await delivery.write([
    { topic: "notes", key: "redriven" },
    { topic: "notes", key: "discarded" },
  ])) as [string, string];
  let isRefused = true;
  endpoint.answer = ({ messageId }) => ({ status: isRefused && (messageId === redriven || messageId === discarded) ? 422 : 200 });
  await delivery.relay.start();
  await until("the heads are dead letters", async () => (await list("dead")).length === 2);
  rig.fault(`${keyPolicy}: two heads refused for good`, true);
  // Only now, so that no batch holds them together with their heads.
  const behind = { redriven: await delivery.write(follow("redriven")), discarded: await delivery.write(follow("discarded")) };
  const other = await delivery.write([{ topic: "notes", key: "other" }]);
  const elsewhere = await delivery.write([{ topic: "elsewhere", key: "redriven" }]);
  await until("another topic flows", () => got(elsewhere) === 1);
  const followersAll = [...behind.redriven, ...behind.discarded];
  switch (keyPolicy) {
    case "hold":
      await until("another key flows", () => got(other) === 1);
      await until("followers are listed as held", async () => (await list("held")).length === followersAll.length);
      rig.demand("hold: a message behind a dead letter was published", got(followersAll) === 0);
      break;
    case "skip":
      await until("followers go on", () => got(followersAll) === followersAll.length && got(other) === 1);
      rig.demand("skip: a message is held", (await list("held")).length === 0);
      break;
    case "stop":
      rig.demand("stop: a message of the stopped topic was published", got(followersAll) === 0 && got(other) === 0);
      break;
  }
  const reasons = (await list("dead")).map(({ reason }) => reason);
  rig.demand(
    `${keyPolicy}: the reasons are ${reasons.join(", ")}`,
    reasons.every((reason) => reason?.includes("422") === true),
  );
  isRefused = false;
  const decision = { who: "reliability", why: "R56" };
  await discardDeadLetters(place.database, space, { origin: "relay", messageId: discarded }, decision);
  await redriveDeadLetters(place.database, space, { origin: "relay", messageId: redriven }, decision);
  await delivery.isQuiet();
  await until("all arrive", () => got([redriven, ...followersAll, ...other]) === 2 + followersAll.length);
  rig.demand(`${keyPolicy}: a discarded message was published`, got([discarded]) === 0);
  await delivery.end();
}
