/**
 * R50. Rows that can never be published, of every kind, written past `append`: each becomes a dead letter with its reason, those that a destination refuses
 * for their own sake after as many tries as they may have; their neighbours are as fast as before, but for a second at most.
 */
import { listDeadLetters, redriveDeadLetters } from "@waybill/dead-letter";
import { waitUntil } from "@waybill/testing";
import { measureArrivals } from "../arrival-times.ts";
import { discardAll, type NewRow, openDelivery, spaceOf } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { scenario } from "../scenario.ts";

interface Poison {
  readonly kind: string;
  readonly row: Partial<NewRow>;
  readonly reason: string;
  /** The destination answers this, as long as it is ill. */
  readonly status?: number;
}

const headers = (kind: string, text: string): Poison => ({ kind, row: { headers: text }, reason: "malformedHeaders" });
const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`h-${index}`, "x"]));

/** In the order in which they are written. */
const poisons: readonly Poison[] = [
  headers("headers that are no JSON", "{"),
  headers("headers in an array", "[]"),
  headers("headers that are text", '"text"'),
  headers("headers that are null", "null"),
  headers("a header that is a number", '{"a": 1}'),
  headers("a header of the connection", '{"connection": "close"}'),
  headers("a cookie", '{"cookie": "x"}'),
  headers("a host", '{"host": "x"}'),
  headers("a header of the webhook's own", '{"webhook-id": "x"}'),
  headers("a name in capitals", '{"UPPER": "x"}'),
  headers("a value of two lines", '{"a": "x\\r\\ny"}'),
  headers("too many headers", JSON.stringify(many)),
  headers("headers that are too long", JSON.stringify({ a: "x".repeat(9_000) })),
  headers("a source that is none", '{"ce-source": "\\u0001"}'),
  headers("a content type that is none", '{"content-type": "none\\n"}'),
  { kind: "no type", row: { type: "" }, reason: "emptyType" },
  ...[400, 413, 415, 422, 431].map((status) => ({ kind: `status ${status}`, row: {}, reason: `status:${status}`, status })),
  { kind: "refused again and again", row: {}, reason: "attemptsExhausted:status:409", status: 409 },
  { kind: "failed again and again", row: {}, reason: "attemptsExhausted:status:500", status: 500 },
];

export const poison = scenario({
  code: "R50",
  title: "a row that can never be published becomes a dead letter with its reason and costs its neighbours nothing",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { repeats: 1, neighbours: 40, everyMs: 50, attemptsMax: 4, slowerMaxMs: 1_000 },
  full: { repeats: 20, neighbours: 1_000, everyMs: 200, attemptsMax: 20, slowerMaxMs: 1_000 },
  async play(rig, { repeats, neighbours, everyMs, attemptsMax, slowerMaxMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const backoff = ["--message-backoff-first-ms", "50", "--message-backoff-max-ms", "400"];
    // An answer that is late is no answer, and would be asked for again: nothing here is to be late.
    const deadlines = ["--publish-deadline-ms", "60000", "--http-deadline-ms", "60000"];
    const relayArgs = ["--attempts-max", String(attemptsMax), ...backoff, ...deadlines];
    const delivery = await openDelivery(rig, { transport: endpoint.url, relayArgs, received: () => endpoint.received });
    const { place } = delivery;
    let isIll = true;
    endpoint.answer = ({ key }) => {
      const status = poisons[Number(/^poison-(\d+)-/.exec(key ?? "")?.[1])]?.status;
      return { status: isIll && status !== undefined ? status : 200 };
    };
    const good = (round: number): readonly NewRow[] =>
      Array.from({ length: neighbours }, (_, index) => ({ topic: "notes", key: `key-${(round + index) % 50}` }));
    const rounds = poisons.length * repeats;
    const measure = (rows: (round: number) => readonly NewRow[]): Promise<number> =>
      measureArrivals(rig, delivery, {
        rounds,
        everyMs,
        rows,
        isMeasured: ({ key }) => key?.startsWith("key-") === true,
        arrivedMs: endpoint.arrivedMs,
      });
    await delivery.relay.start();
    await delivery.write([{ topic: "notes", key: null }]);
    await waitUntil(() => endpoint.received.length > 0 || rig.signal.aborted, { what: "the relay is at work", deadlineMs: 60_000 });
    const before = await measure(good);
    const during = await measure((round) => {
      const index = round % poisons.length;
      const one: NewRow = { topic: "notes", key: `poison-${index}-${round}`, ...poisons[index]?.row };
      return [...good(round), one].toSorted((left, right) => Number(left.key === one.key) - Number(right.key === one.key));
    });
    rig.within("p99 of the neighbours' arrival", during, before + slowerMaxMs);

    const list = () => listDeadLetters(place.database, spaceOf(place), { origin: "relay", limit: 1_000 });
    await waitUntil(async () => rig.signal.aborted || (await list()).length >= rounds, {
      what: "each is a dead letter",
      deadlineMs: 60_000,
      intervalMs: 100,
    });
    const letters = await list();
    // A relay that began anew on a busy machine tries again what it had not written down.
    const restarts = delivery.told.filter(({ event }) => event["name"] === "relay.leaseAcquired").length - 1;
    for (const letter of letters) {
      const one = poisons[Number(/^poison-(\d+)-/.exec(letter.key ?? "")?.[1])];
      rig.demand(`${one?.kind ?? "a good message"} became a dead letter for ${letter.reason}`, letter.reason === one?.reason);
      if (one?.status === undefined) continue;
      const tries = endpoint.arrivals.filter(({ messageId }) => messageId === letter.messageId).length;
      const wanted = one.reason.startsWith("attempts") ? attemptsMax : 1;
      rig.demand(`${one.kind} was tried ${tries} times and not ${wanted}`, tries >= wanted && tries <= wanted * (1 + restarts));
    }
    rig.fault(`${poisons.length} kinds of poison`, letters.length >= rounds);
    isIll = false;
    // What the destination refused is well again; what can never be sent is given up by a human.
    for (const { reason } of poisons.filter(({ status }) => status !== undefined))
      await redriveDeadLetters(place.database, spaceOf(place), { origin: "relay", reason }, { who: "reliability", why: "R50" });
    for (const reason of ["malformedHeaders", "emptyType"]) await discardAll(place, { reason });
    await delivery.isQuiet();
    await delivery.end();
  },
});
