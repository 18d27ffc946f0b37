/**
 * What every `Source` keeps, as cases for any runner. The inbox relies on each of them; see the port in `@waybill/core`.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Delivery, HandleDeliveries, OutgoingMessage, Settlement, Source } from "@waybill/core";
import { waitUntil } from "../wait-until.ts";
import { type ContractCase, contractCases } from "./contract-case.ts";
import { messageMaker } from "./message-maker.ts";
import { oddMessages } from "./odd-messages.ts";
import { assertSameMessage, type CarriedFields } from "./same-message.ts";

export interface SourceFixture {
  readonly source: Source;
  /**
   * Brings messages to where the source takes them from, in this order. It may resolve before they are handed over, or only when they
   * are settled (as an HTTP sender does); it sees to it that what was not settled comes again.
   */
  send(messages: readonly OutgoingMessage[]): Promise<void>;
  /** Ends everything; called after `consume` has ended. */
  dispose(): Promise<void>;
}

export interface SourceCapabilities {
  readonly carries?: CarriedFields;
  /** Default true. False: it cannot tell a repeat, and says null. `ofItsOwn`: it knows what it handed over itself, and says null of the rest. */
  readonly tellsRedelivery?: boolean | "ofItsOwn";
  /** Default true. False: messages of one key are handed over in order only if the sender waits for each. */
  readonly keepsOrder?: boolean;
  /** Milliseconds for everything a case waits for. Default 15 000. */
  readonly deadlineMs?: number;
}

export interface SourceContractOptions {
  /** A fixture for one case, with nothing waiting in it. */
  create(): Promise<SourceFixture>;
  readonly capabilities?: SourceCapabilities;
}

const done: Settlement = { kind: "done" };

/** A consumer under test: what it was handed, and how to end it. */
interface Consuming {
  /** Every delivery, in the order it was handed over. */
  readonly handed: readonly Delivery[];
  /** Ids that were settled with `done`, in order. */
  readonly finished: readonly string[];
  timesHanded(id: string): number;
  until(what: string, condition: () => boolean): Promise<void>;
  /** Aborts, and waits until `consume` has resolved. */
  end(): Promise<void>;
}

/** The cases. Each opens a fixture of its own. */
export function sourceContract({ create, capabilities = {} }: SourceContractOptions): readonly ContractCase[] {
  const { carries = {}, tellsRedelivery = true, keepsOrder = true, deadlineMs = 15_000 } = capabilities;
  const contractCase = contractCases(create);

  const consume = (source: Source, settle: (delivery: Delivery, times: number) => Settlement | Promise<Settlement>): Consuming => {
    const handed: Delivery[] = [];
    const finished: string[] = [];
    const stop = new AbortController();
    const timesHanded = (id: string): number => handed.filter(({ message }) => message.id === id).length;
    const handle: HandleDeliveries = async (batch) => {
      const settlements: Settlement[] = [];
      handed.push(...batch);
      for (const delivery of batch) settlements.push(await settle(delivery, timesHanded(delivery.message.id)));
      for (const [index, { message }] of batch.entries()) if (settlements[index]?.kind === "done") finished.push(message.id);
      return settlements;
    };
    const failure: { error: Error | null } = { error: null };
    const ended = source.consume(handle, { signal: stop.signal }).catch((error: unknown) => {
      failure.error = error as Error;
    });
    return {
      handed,
      finished,
      timesHanded,
      async until(what, condition) {
        await waitUntil(() => failure.error !== null || condition(), { what, deadlineMs });
        if (failure.error !== null) throw failure.error;
      },
      async end() {
        stop.abort();
        let hasEnded = false;
        const mark = async (): Promise<void> => {
          await ended;
          hasEnded = true;
        };
        await Promise.all([mark(), waitUntil(() => hasEnded, { what: "consume has resolved after the abort", deadlineMs })]);
        if (failure.error !== null) throw failure.error;
      },
    };
  };
  /** Sends, and does not wait: a sender may resolve only when all is settled. Its failure is the case's. */
  const sendAside = (fixture: SourceFixture, messages: readonly OutgoingMessage[]): { readonly sent: Promise<void> } => {
    const sent = fixture.send(messages);
    sent.catch(() => undefined); // awaited at the end of the case
    return { sent };
  };

  const cases = [
    contractCase("every message is handed over, and once if it is settled", async (fixture) => {
      const make = messageMaker();
      const messages = Array.from({ length: 30 }, (_, index) => make({ key: index % 3 === 0 ? null : `key ${index % 4}` }));
      const consuming = consume(fixture.source, () => done);
      const { sent } = sendAside(fixture, messages);
      await consuming.until("all are settled", () => consuming.finished.length >= messages.length);
      await sent;
      await consuming.end();
      deepStrictEqual([...consuming.finished].sort(), messages.map(({ id }) => id).sort());
    }),

    contractCase("messages are handed over unchanged, however odd they are", async (fixture) => {
      const make = messageMaker();
      const messages = oddMessages.map(({ given }) => make(given));
      const consuming = consume(fixture.source, () => done);
      const { sent } = sendAside(fixture, messages);
      await consuming.until("all are settled", () => consuming.finished.length >= messages.length);
      await sent;
      await consuming.end();
      for (const message of messages)
        assertSameMessage(consuming.handed.find((delivery) => delivery.message.id === message.id)?.message, message, carries);
    }),

    contractCase("a message is not settled before its handler has ended", async (fixture) => {
      const make = messageMaker();
      const message = make({ key: "a" });
      let release: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        release = resolve;
      });
      let isSent = false;
      const consuming = consume(fixture.source, async () => {
        await gate;
        throw new Error("The handler fails after all.");
      });
      const { sent } = sendAside(fixture, [message]);
      sent.then(
        () => {
          isSent = true;
        },
        () => undefined,
      );
      await consuming.until("it is handed over", () => consuming.handed.length > 0);
      strictEqual(consuming.timesHanded(message.id), 1);
      const wasSentBefore = isSent;
      release();
      await consuming.until("it comes again", () => consuming.timesHanded(message.id) > 1);
      // A sender that waits for the settlement cannot have been told of one.
      if (!wasSentBefore) strictEqual(isSent, false);
      await consuming.end();
      const second = consume(fixture.source, () => done);
      await second.until("the next consumer settles it", () => second.finished.includes(message.id));
      await sent;
      await second.end();
    }),

    contractCase("a rejection of the handler settles nothing: all it was given come again", async (fixture) => {
      const make = messageMaker();
      const messages = Array.from({ length: 6 }, () => make());
      const consuming = consume(fixture.source, (_, times) => {
        if (times === 1) throw new Error("The handler fails the first time.");
        return done;
      });
      const { sent } = sendAside(fixture, messages);
      await consuming.until("all are settled", () => messages.every(({ id }) => consuming.finished.includes(id)));
      await sent;
      await consuming.end();
      for (const { id } of messages) ok(consuming.timesHanded(id) >= 2, "each was handed over again");
    }),

    contractCase("'again' comes again, not before its time", async (fixture) => {
      const make = messageMaker();
      const message = make({ key: "a" });
      const afterMs = 200;
      let settledAt = 0;
      let againAt = 0;
      const consuming = consume(fixture.source, (_, times) => {
        if (times > 1) {
          againAt ||= performance.now();
          return done;
        }
        settledAt = performance.now();
        return { kind: "again", afterMs };
      });
      const { sent } = sendAside(fixture, [message]);
      await consuming.until("it is settled", () => consuming.finished.includes(message.id));
      await sent;
      await consuming.end();
      ok(againAt - settledAt >= afterMs - 5, `it came again after ${Math.round(againAt - settledAt)} ms`);
      strictEqual(consuming.timesHanded(message.id), 2);
    }),

    contractCase("a message that comes again stops no other key", async (fixture) => {
      const make = messageMaker();
      const [waiting, other] = [make({ key: "a" }), make({ key: "b" })];
      const consuming = consume(fixture.source, ({ message }, times) =>
        message.id === waiting.id && times === 1 ? { kind: "again", afterMs: 300 } : done,
      );
      const { sent } = sendAside(fixture, [waiting, other]);
      await consuming.until("both are settled", () => consuming.finished.length >= 2);
      await sent;
      await consuming.end();
      deepStrictEqual(consuming.finished, [other.id, waiting.id]);
    }),

    contractCase("a repeat is said to be one, or nothing is said", async (fixture) => {
      const message = messageMaker()();
      const consuming = consume(fixture.source, (_, times) => (times === 1 ? { kind: "again", afterMs: 1 } : done));
      const { sent } = sendAside(fixture, [message]);
      await consuming.until("it is settled", () => consuming.finished.includes(message.id));
      await sent;
      await consuming.end();
      const said = consuming.handed.filter((delivery) => delivery.message.id === message.id).map(({ redelivered }) => redelivered);
      deepStrictEqual(said, [tellsRedelivery === true ? false : null, tellsRedelivery === false ? null : true]);
    }),

    contractCase("an abort ends consume after what was handed over is settled, and hands over nothing more", async (fixture) => {
      const make = messageMaker();
      const messages = [make({ key: "a" }), make({ key: "b" })];
      let release: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        release = resolve;
      });
      const consuming = consume(fixture.source, async () => {
        await gate;
        return done;
      });
      const { sent } = sendAside(fixture, messages);
      await consuming.until("something is handed over", () => consuming.handed.length > 0);
      let hasEnded = false;
      const ending = consuming.end().finally(() => {
        hasEnded = true;
      });
      // One look is enough: what must not happen would happen at once.
      await new Promise((resolve) => setTimeout(resolve, 30));
      strictEqual(hasEnded, false, "consume waits for its handler");
      const handedAtAbort = consuming.handed.length;
      release();
      await ending;
      strictEqual(consuming.handed.length, handedAtAbort);
      const second = consume(fixture.source, () => done);
      await second.until("the rest is settled by the next consumer", () => second.finished.length >= messages.length - handedAtAbort);
      await sent;
      await second.end();
      for (const { id } of messages) strictEqual(consuming.timesHanded(id) + second.timesHanded(id), 1, "settled once");
    }),

    contractCase("a signal that is aborted already hands over nothing", async ({ source }) => {
      let hasBeenCalled = false;
      await source.consume(
        async (batch) => {
          hasBeenCalled = true;
          return batch.map(() => done);
        },
        { signal: AbortSignal.abort() },
      );
      strictEqual(hasBeenCalled, false);
    }),

    contractCase("an abort while nothing is there ends consume", async ({ source }) => {
      await consume(source, () => done).end();
    }),
  ];

  const inOrder = [
    contractCase("messages of one key are handed over in order, also when one of them comes again", async (fixture) => {
      const make = messageMaker();
      const messages = Array.from({ length: 24 }, (_, index) => make({ key: `key ${index % 3}` }));
      const troubled = new Set([messages[4]?.id, messages[9]?.id]);
      const consuming = consumeInOrder();
      const { sent } = sendAside(fixture, messages);
      await consuming.until("all are settled", () => consuming.finished.length >= messages.length);
      await sent;
      await consuming.end();
      for (const key of ["key 0", "key 1", "key 2"]) {
        const expected = messages.filter((message) => message.key === key).map(({ id }) => id);
        deepStrictEqual(
          consuming.finished.filter((id) => expected.includes(id)),
          expected,
          `the order of ${key}`,
        );
      }

      /** As an inbox does: behind a message that comes again, its key waits. */
      function consumeInOrder(): Consuming {
        const waiting = new Map<string | null, string>();
        return consume(fixture.source, ({ message }, times) => {
          const blocker = waiting.get(message.key);
          if (blocker !== undefined && blocker !== message.id) return { kind: "again", afterMs: 1 };
          if (troubled.has(message.id) && times === 1) {
            waiting.set(message.key, message.id);
            return { kind: "again", afterMs: 50 };
          }
          waiting.delete(message.key);
          return done;
        });
      }
    }),
  ];
  return keepsOrder ? [...cases, ...inOrder] : cases;
}
