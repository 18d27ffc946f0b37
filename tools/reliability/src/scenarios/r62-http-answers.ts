/**
 * R62. A destination over HTTP gives every answer there is: each status, answers that break off at any byte, a redirect, a wait, a socket that it closes
 * after it kept it open. Each leads to what the outcome table says; nobody is sent where a redirect points.
 *
 *     one topic for each answer, and one try for each message:
 *     rejected → dead letter, surely not stored · unknown → dead letter, may be stored · retry of the message → dead letter, surely not stored
 *     retry of the topic → waits, uses up nothing, and is published when the answer is another
 */
import type { ServerResponse } from "node:http";
import { listDeadLetters, redriveDeadLetters } from "@waybill/dead-letter";
import { waitUntil } from "@waybill/testing";
import { openDelivery, spaceOf } from "../delivery.ts";
import { type Answer, startEndpoint } from "../endpoint.ts";
import { scenario } from "../scenario.ts";

/** What must become of a message whose destination answers so, once and for all. */
type Fate = "confirmed" | "rejected" | "givenUp" | "givenUpMayBeStored" | "waits";

const rejected: ReadonlySet<number> = new Set([400, 413, 415, 422, 431]);
const ofTopic: ReadonlySet<number> = new Set([401, 403, 404, 405, 407, 410, 421, 426, 429, 451, 501, 505]);
const statuses = [
  200, 201, 202, 203, 204, 205, 206, 299, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410,
  411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 506, 507,
  508, 510, 511, 520, 599,
];

function fateOf(status: number): Fate {
  if (status < 300) return "confirmed";
  if (status < 400 || ofTopic.has(status)) return "waits";
  if (rejected.has(status)) return "rejected";
  return status < 500 ? "givenUp" : "givenUpMayBeStored";
}

const whole = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const breaksOff =
  (bytes: number) =>
  ({ socket }: ServerResponse): void => {
    socket?.end(whole.slice(0, bytes));
  };

export const httpAnswers = scenario({
  code: "R62",
  title: "every answer of a destination over HTTP leads to the outcome that its table says, and no redirect is followed",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { statusesEvery: 2, bytesEvery: 6, kept: 10, retryAfterSeconds: 2 },
  full: { statusesEvery: 1, bytesEvery: 1, kept: 500, retryAfterSeconds: 20 },
  async play(rig, { statusesEvery, bytesEvery, kept, retryAfterSeconds }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const cases = new Map<string, { readonly answer: Answer; readonly fate: Fate }>();
    const first = Math.floor(rig.random.fraction() * statusesEvery);
    // What is near in a list is near in its fate: every second one meets each fate.
    for (let at = first; at < statuses.length; at += statusesEvery) {
      const status = statuses[at] as number;
      cases.set(`status-${status}`, { answer: { status, headers: { location: "/elsewhere" } }, fate: fateOf(status) });
    }
    for (let bytes = 0; bytes < whole.length; bytes += bytesEvery)
      cases.set(`breaks-off-${bytes}`, { answer: breaksOff(bytes), fate: "givenUpMayBeStored" });
    cases.set("reset", { answer: "reset", fate: "givenUpMayBeStored" });
    cases.set("silence", { answer: "silence", fate: "givenUpMayBeStored" });
    cases.set("retry-after", { answer: { status: 429, headers: { "retry-after": String(retryAfterSeconds) } }, fate: "waits" });
    const redirects = [...cases.keys()].filter((topic) => topic.startsWith("status-3")).length;
    rig.effort("redirects", redirects, 2);

    let isWell = false;
    const onSocket = new WeakMap<object, number>();
    let closed = 0;
    endpoint.answer = ({ topic }) => {
      if (topic === "keeps-and-closes") {
        return (response, take) => {
          const socket = response.socket as NonNullable<typeof response.socket>;
          const nth = (onSocket.get(socket) ?? 0) + 1;
          onSocket.set(socket, nth);
          if (nth > 1) {
            closed += 1;
            socket.resetAndDestroy();
            return;
          }
          take();
          response.writeHead(200, { "content-length": "0" }).end();
        };
      }
      return isWell ? { status: 200 } : (cases.get(topic)?.answer ?? { status: 200 });
    };
    const deadlines = ["--http-deadline-ms", "4000", "--publish-deadline-ms", "60000"];
    const relayArgs = ["--attempts-max", "1", "--calls-max", "200", "--topic-backoff-max-ms", "500", ...deadlines];
    const delivery = await openDelivery(rig, { transport: endpoint.url, relayArgs, received: () => endpoint.received });
    const { place } = delivery;
    const list = () => listDeadLetters(place.database, spaceOf(place), { origin: "relay", limit: 1_000 });
    await delivery.write([...cases.keys()].map((topic) => ({ topic, key: "one" })));
    await delivery.write(Array.from({ length: kept }, () => ({ topic: "keeps-and-closes", key: "one" })));
    await delivery.relay.start();

    const topicsOf = (fates: readonly Fate[]): readonly string[] =>
      [...cases].flatMap(([topic, { fate }]) => (fates.includes(fate) ? [topic] : []));
    const dead = topicsOf(["rejected", "givenUp", "givenUpMayBeStored"]);
    const arrivals = (topic: string) => endpoint.arrivals.filter((arrival) => arrival.topic === topic);
    const isTold = async (): Promise<boolean> =>
      rig.signal.aborted ||
      ((await list()).length >= dead.length &&
        topicsOf(["waits"]).every((topic) => arrivals(topic).length > 1) &&
        topicsOf(["confirmed"]).every((topic) => endpoint.received.some((one) => one.topic === topic)));
    const isSettled = await waitUntil(isTold, { what: "each answer had its outcome", deadlineMs: 60_000, intervalMs: 200 }).then(
      () => true,
      () => false,
    );
    const letters = new Map((await list()).map((letter) => [letter.topic, letter]));
    const restarts = delivery.told.filter(({ event }) => event["name"] === "relay.leaseAcquired").length - 1;
    for (const [topic, { fate }] of cases) {
      const letter = letters.get(topic);
      const count = arrivals(topic).length;
      const found: Fate | "nothing" =
        letter !== undefined
          ? letter.mayBeStored
            ? "givenUpMayBeStored"
            : fate === "rejected"
              ? "rejected"
              : "givenUp"
          : endpoint.received.some((one) => one.topic === topic)
            ? "confirmed"
            : count > 0
              ? "waits"
              : "nothing";
      rig.demand(`${topic} must be ${fate} and is ${found}`, found === fate);
      // What was sent and not saved when a busy database made the relay begin anew is sent again.
      if (fate === "rejected" || fate === "confirmed") rig.demand(`${topic} was sent ${count} times`, count <= 1 + restarts);
    }
    rig.demand("not every answer had its outcome in time", isSettled);
    rig.demand(
      "a redirect was followed",
      endpoint.arrivals.every(({ topic }) => topic !== "elsewhere"),
    );
    const [asked, again] = arrivals("retry-after");
    const waitedMs = (again?.atMs ?? 0) - (asked?.atMs ?? 0);
    rig.demand(`after Retry-After it came again after ${Math.round(waitedMs)} ms`, waitedMs >= retryAfterSeconds * 1_000 - 50);
    rig.fault(`${cases.size} kinds of answers`, isSettled);

    isWell = true;
    await redriveDeadLetters(place.database, spaceOf(place), { origin: "relay" }, { who: "reliability", why: "R62" });
    await delivery.isQuiet();
    rig.demand("a socket that the destination closed cost a message its attempt", !letters.has("keeps-and-closes"));
    rig.effort("sockets that were closed when they were used again", closed, 1);
    await delivery.end();
  },
});
