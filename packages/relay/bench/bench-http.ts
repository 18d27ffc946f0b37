/** HTTP where a benchmark wants a broker: each topic is a receiver of its own, which hands a message to its consumer and confirms when that is done. */
import type { OutgoingMessage, ReceivedMessage, Source, Transport } from "@waybill/core";
import { type HttpReceiver, httpReceiver, httpTransport } from "@waybill/http";
import { testName } from "@waybill/testing";
import type { BenchBroker } from "./bench-brokers.ts";

interface HttpTopic {
  readonly url: string;
  readonly receiver: HttpReceiver;
  readonly kept: ReceivedMessage[];
}

/** Messages of one call of the transport: about what a relay has on its way to one topic. */
const perCall = 500;
const callDeadlineMs = 60_000;

export function openHttp(): BenchBroker {
  const topics = new Map<string, HttpTopic>();
  const find = (topic: string): HttpTopic => {
    const found = topics.get(topic);
    if (found === undefined) throw new Error("No receiver was opened for this topic.");
    return found;
  };
  const transport = (): Transport => httpTransport({ topics: Object.fromEntries([...topics].map(([topic, { url }]) => [topic, { url }])) });
  return {
    name: "http",
    version: "1.1, over loopback, unsigned",
    async newTopic() {
      const topic = testName("bench");
      const receiver = httpReceiver({ insecureUnsigned: true });
      const { url } = await receiver.listen({ port: 0 });
      topics.set(topic, { url, receiver, kept: [] });
      return topic;
    },
    transport,
    source: (topic): Source => find(topic).receiver,
    publishRaw: null,
    keeper: {
      keep(topic) {
        const { receiver, kept } = find(topic);
        const stop = new AbortController();
        const consuming = receiver.consume(
          (batch) => {
            kept.push(...batch.map(({ message }) => message));
            return Promise.resolve(batch.map(() => ({ kind: "done" })));
          },
          { signal: stop.signal },
        );
        return async () => {
          stop.abort();
          await consuming;
        };
      },
      async deliver(topic) {
        const messages = find(topic)
          .kept.splice(0)
          .map((message, index): OutgoingMessage => {
            return { ...message, topic, sequence: BigInt(index + 1), createdAtMs: message.createdAtMs ?? 0 };
          });
        const sending = transport();
        for (let from = 0; from < messages.length; from += perCall) {
          // What comes again has its turn in the next round of the same call, first of its key.
          for (let open: readonly OutgoingMessage[] = messages.slice(from, from + perCall); open.length > 0; ) {
            const outcomes = await sending.publish(open, { deadlineMs: callDeadlineMs });
            open = open.filter((_, place) => outcomes[place]?.kind !== "confirmed");
          }
        }
        await sending.close({ deadlineMs: 5_000 });
      },
    },
    async stop() {
      for (const { receiver } of topics.values()) await receiver.close({ deadlineMs: 1_000 });
    },
  };
}
