/**
 * R63. Destinations that never answer, answer a byte a second, send a body without end, or redirect for ever, beside good ones: the good ones are as fast
 * as before, each request ends at its deadline, and what is sent without end is not read.
 */
import type { ServerResponse } from "node:http";
import { waitUntil } from "@waybill/testing";
import { measureArrivals } from "../arrival-times.ts";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { scenario } from "../scenario.ts";

const mebibyte = 1_048_576;

export const hostileEndpoints = scenario({
  code: "R63",
  title: "a destination that is silent, slow, endless or redirects for ever harms no other and costs no more than its deadline",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { hostile: 20, rounds: 60, everyMs: 50, deadlineMs: 2_000, lateMs: 1_000, slowerMaxMs: 1_000, bodyMiB: 1_024, leftMaxMiB: 16 },
  full: { hostile: 500, rounds: 3_000, everyMs: 50, deadlineMs: 15_000, lateMs: 1_000, slowerMaxMs: 1_000, bodyMiB: 1_024, leftMaxMiB: 16 },
  async play(rig, { hostile, rounds, everyMs, deadlineMs, lateMs, slowerMaxMs, bodyMiB, leftMaxMiB }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const relayArgs = [
      "--attempts-max",
      "1000000",
      "--message-backoff-max-ms",
      "1000",
      "--topic-backoff-max-ms",
      "1000",
      "--http-deadline-ms",
      String(deadlineMs),
    ];
    const delivery = await openDelivery(rig, { transport: endpoint.url, relayArgs, received: () => endpoint.received });
    let isWell = true;
    let redirects = 0;
    const lastedMs: number[] = [];
    let mostBytes = 0;
    let endless = 0;
    const noteEnd = (response: ServerResponse): void => {
      const beganMs = performance.now();
      response.once("close", () => lastedMs.push(performance.now() - beganMs));
    };
    endpoint.answer = ({ topic }) => {
      if (isWell || topic === "good") return { status: 200 };
      switch (topic) {
        case "silent":
          return noteEnd;
        case "slow":
          return (response) => {
            noteEnd(response);
            const text = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            let sent = 0;
            const ticker = setInterval(() => {
              response.socket?.write(text.slice(sent, sent + 1));
              sent += 1;
              if (sent > text.length) clearInterval(ticker);
            }, 1_000);
            response.once("close", () => clearInterval(ticker));
          };
        case "endless":
          return (response) => {
            noteEnd(response);
            endless += 1;
            const { socket } = response;
            const part = Buffer.alloc(mebibyte / 16);
            let left = bodyMiB * 16;
            const fill = (): void => {
              while (left > 0 && !response.destroyed) {
                left -= 1;
                mostBytes = Math.max(mostBytes, (bodyMiB * 16 - left) * part.length);
                if (!response.write(part)) break;
              }
              if (left === 0) response.end();
            };
            response.writeHead(500, { "content-type": "text/plain" });
            response.on("drain", fill);
            socket?.once("error", () => undefined);
            fill();
          };
        default:
          redirects += 1;
          return { status: 302, headers: { location: "/redirect" } };
      }
    };
    const rows = (round: number) => [{ topic: "good", key: `key-${round % 7}` }];
    const measure = (): Promise<number> => measureArrivals(rig, delivery, { rounds, everyMs, rows, arrivedMs: endpoint.arrivedMs });
    await delivery.relay.start();
    await delivery.write([{ topic: "good", key: null }]);
    await waitUntil(() => endpoint.received.length > 0 || rig.signal.aborted, { what: "the relay is at work", deadlineMs: 60_000 });
    const before = await measure();
    isWell = false;
    const topics = ["silent", "slow", "endless", "redirect"];
    await delivery.write(
      Array.from({ length: hostile }, (_, index) => ({ topic: topics[index % topics.length] as string, key: `key-${index}` })),
    );
    const during = await measure();
    rig.within("p99 of the good ones' arrival", during, before + slowerMaxMs);
    const isMet = (): boolean => endless > 0 && redirects > 1 && lastedMs.length >= 3;
    await waitUntil(() => isMet() || rig.signal.aborted, { what: "each of them was met", deadlineMs: 60_000 });
    rig.fault("destinations that are silent, slow, endless and redirect", true);
    rig.within("the longest request ended", Math.max(...lastedMs), deadlineMs + lateMs);
    rig.demand(`${(mostBytes / mebibyte).toFixed(0)} MiB of an endless body left`, mostBytes <= leftMaxMiB * mebibyte);
    isWell = true;
    await delivery.isQuiet(120_000);
    await delivery.end();
  },
});
