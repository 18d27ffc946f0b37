/**
 * R22. A new subscription begins at an id, and at a time, beside one that runs: it gets exactly what lies behind that place, the other one notices nothing;
 * and one that would begin where history was removed is an error.
 */
import { isWaybillError } from "@waybill/core";
import { createSubscription, readRetention, runRetention } from "@waybill/relay";
import { waitUntil } from "@waybill/testing";
import { openDelivery, spaceOf } from "../delivery.ts";
import { type Endpoint, startEndpoint } from "../endpoint.ts";
import { openSession } from "../own-transactions.ts";
import type { Place } from "../place.ts";
import type { Rig } from "../rig.ts";
import { scenario } from "../scenario.ts";

const who = { who: "reliability", why: "a new reader" } as const;

export const newSubscription = scenario({
  code: "R22",
  title: "a new subscription begins where it was told beside one that runs, and not where history is gone",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { rows: 300, gapMs: 1_500 },
  full: { rows: 10_000, gapMs: 60_000 },
  async play(rig, { rows, gapMs }) {
    const endpoints: Endpoint[] = [];
    for (let index = 0; index < 3; index += 1) {
      const endpoint = await startEndpoint();
      rig.defer(() => endpoint.stop());
      endpoints.push(endpoint);
    }
    const [usual, fromId, fromTime] = endpoints as [Endpoint, Endpoint, Endpoint];
    // The new ones have no part in what came before them: what each must get is said below.
    const delivery = await openDelivery(rig, { transport: usual.url, received: () => usual.received, relays: 3, judged: ["default"] });
    const { place } = delivery;
    const session = await openSession(rig, delivery);
    const some = Array.from({ length: rows }, (_, index) => ({ topic: "notes", key: `key-${index % 9}` }));
    await delivery.relay.start();
    const early = await delivery.write(some);
    await rig.pause(gapMs);
    const [now] = await session.run({
      postgres: "select (extract(epoch from clock_timestamp()) * 1000)::bigint as ms",
      mysql: "select cast(unix_timestamp(now(6)) * 1000 as signed) as ms",
    });
    const timeMs = Number(now?.["ms"]);
    await rig.pause(gapMs);
    const late = await delivery.write(some);
    const middle = early[Math.floor(rows / 2)] as string;
    const isIt = session.dialect === "postgres" ? "?::uuid" : "?";
    const [row] = await session.run(`select id from waybill_outbox where message_id = ${isIt}`, [middle]);
    const space = spaceOf(place);
    await createSubscription(place.database, space, { subscription: "from_id" }, { id: BigInt(String(row?.["id"])) }, who);
    await createSubscription(place.database, space, { subscription: "from_time" }, { timeMs, marginMs: 0 }, who);
    const start = async (index: number, subscription: string, { url }: Endpoint): Promise<void> => {
      delivery.relayArgs = ["--subscription", subscription, "--transport", url];
      await delivery.relays[index]?.seat.start();
    };
    await start(1, "from_id", fromId);
    await start(2, "from_time", fromTime);
    const later = await delivery.write(some);
    const wanted = [
      { endpoint: usual, ids: [...early, ...late, ...later], what: "the one that runs" },
      { endpoint: fromId, ids: [...early.slice(Math.floor(rows / 2)), ...late, ...later], what: "the one from an id" },
      { endpoint: fromTime, ids: [...late, ...later], what: "the one from a time" },
    ];
    for (const { endpoint, ids, what } of wanted) {
      await waitUntil(() => rig.signal.aborted || ids.every((id) => endpoint.arrivedMs(id) !== undefined), {
        what: `${what} has got everything`,
        deadlineMs: 120_000,
        intervalMs: 50,
      });
      const got = new Set(endpoint.received.map(({ messageId }) => messageId));
      rig.demand(`${what} got ${got.size} messages of ${ids.length}`, got.size === ids.length);
      rig.effort(`messages of ${what}`, got.size, ids.length);
    }
    await fromRemoved(rig, await rig.openPlace(), rows);
    await delivery.isQuiet();
    await delivery.end();
  },
});

/** In a ledger of its own, for what is removed cannot be judged: old rows that everybody has passed go, and nobody can begin among them. */
async function fromRemoved(rig: Rig, place: Place, rows: number): Promise<void> {
  const space = spaceOf(place);
  await place.ask(async (session) => {
    const old = { postgres: "clock_timestamp() - interval '9 hours'", mysql: "utc_timestamp(6) - interval 9 hour" }[session.dialect];
    for (let index = 0; index < rows; index += 1)
      await session.run(`insert into waybill_outbox (created_at, type, topic) values (${old}, 'reliability.noted.v1', 'notes')`);
  });
  await createSubscription(place.database, space, { subscription: "default" }, "now", who);
  await runRetention(place.database, { space, retentionMs: 3_600_000 });
  const { removedTo } = await readRetention(place.database, { space, retentionMs: 3_600_000 });
  rig.effort("ids whose rows were removed", Number(removedTo), 1);
  const code = await createSubscription(place.database, space, { subscription: "late" }, { id: 1n }, who).then(
    () => "none",
    (error: unknown) => (isWaybillError(error) ? error.code : "another error"),
  );
  rig.demand(`a subscription that begins among removed rows: ${code}`, code === "WAYBILL_POSITION_REFUSED");
}
