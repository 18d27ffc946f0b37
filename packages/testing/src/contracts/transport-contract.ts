/**
 * What every `Transport` keeps, as cases for any runner. The relay relies on each of them; see the port in `@waybill/core`.
 *
 * An implementation brings a fixture: the transport, a look at what its other end has stored and, as far as it can, ways to make the
 * other end fail. Its capabilities select the cases and document the implementation.
 */
import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { inspect } from "node:util";
import {
  behindItsKey,
  isWaybillError,
  type OutgoingMessage,
  type PublishOutcome,
  type ReceivedMessage,
  type Transport,
} from "@waybill/core";
import { waitUntil } from "../wait-until.ts";
import { type ContractCase, contractCases } from "./contract-case.ts";
import { messageMaker } from "./message-maker.ts";
import { oddMessages } from "./odd-messages.ts";
import { assertSameMessage, type CarriedFields } from "./same-message.ts";

/** What the other end can be made to do to a message. `refuse`: never take it. `fail`: not take it now. `silence`: never answer. */
export type TransportHarm = "refuse" | "fail" | "silence";

export interface TransportFixture {
  readonly transport: Transport;
  /** Everything the other end has stored so far, in its order, repeats included. */
  received(): Promise<readonly ReceivedMessage[]>;
  /** From now on the other end treats the message with this id so. Needed for the harms among the capabilities. */
  harm?(messageId: string, harm: TransportHarm): void | Promise<void>;
  /** Closes everything, the transport too. */
  dispose(): Promise<void>;
}

export interface TransportCapabilities {
  readonly carries?: CarriedFields;
  /** Default none: the cases about failures are left out. */
  readonly harms?: readonly TransportHarm[];
  /** Milliseconds for a call that has no reason to fail. Default 10 000. */
  readonly deadlineMs?: number;
}

export interface TransportContractOptions {
  /** A fixture for one case. */
  create(): Promise<TransportFixture>;
  readonly capabilities?: TransportCapabilities;
}

/** How much later than its deadline a call may settle on a busy machine. */
const slackMs = 1_500;
const shortDeadlineMs = 300;

/** The cases. Each opens a fixture of its own. */
export function transportContract({ create, capabilities = {} }: TransportContractOptions): readonly ContractCase[] {
  const { carries = {}, harms = [], deadlineMs = 10_000 } = capabilities;
  const contractCase = contractCases(create);
  const publish = async (
    transport: Transport,
    batch: readonly OutgoingMessage[],
    withinMs = deadlineMs,
  ): Promise<readonly PublishOutcome[]> => {
    const outcomes = await transport.publish(batch, { deadlineMs: withinMs });
    assertOutcomes(batch, outcomes);
    return outcomes;
  };
  /** So that a short deadline is about the answer, and not about the way to the other end. */
  const connect = async ({ transport }: TransportFixture): Promise<void> => {
    await publish(transport, [messageMaker()()]);
  };

  const always: ContractCase[] = [
    contractCase("a call without messages answers no outcome", async ({ transport }) => {
      deepStrictEqual(await publish(transport, []), []);
    }),

    contractCase("every message of a batch gets its outcome, and a confirmed one is at the other end", async ({ transport, received }) => {
      const make = messageMaker();
      const batch = [make({ key: "a" }), make(), make({ key: "b" }), make({ key: "a" })];
      deepStrictEqual(kindsOf(await publish(transport, batch)), ["confirmed", "confirmed", "confirmed", "confirmed"]);
      const arrived = await received();
      for (const message of batch) assertSameMessage(withId(arrived, message.id), message, carries);
    }),

    contractCase("messages of one key arrive in the order of the batch and of the calls", async ({ transport, received }) => {
      const make = messageMaker();
      const sent: OutgoingMessage[] = [];
      for (let call = 0; call < 3; call += 1) {
        const batch = Array.from({ length: 12 }, (_, index) => make({ key: `key ${index % 3}` }));
        sent.push(...batch);
        await publish(transport, batch);
      }
      assertOrderPerKey(await received(), sent);
    }),

    contractCase("500 messages in one call are confirmed, and arrive once each", async ({ transport, received }) => {
      const make = messageMaker();
      const batch = Array.from({ length: 500 }, (_, index) => make({ key: index % 5 === 0 ? null : `key ${index % 40}` }));
      const outcomes = await publish(transport, batch, 3 * deadlineMs);
      strictEqual(outcomes.filter(({ kind }) => kind === "confirmed").length, 500);
      const arrived = await received();
      deepStrictEqual(arrived.map(({ id }) => id).sort(), batch.map(({ id }) => id).sort());
      assertOrderPerKey(arrived, batch);
    }),

    contractCase("calls side by side with keys of their own are all confirmed", async ({ transport, received }) => {
      const make = messageMaker();
      const batches = ["a", "b", "c"].map((key) => Array.from({ length: 10 }, () => make({ key })));
      const outcomes = await Promise.all(batches.map((batch) => publish(transport, batch)));
      deepStrictEqual([...new Set(outcomes.flat().map(({ kind }) => kind))], ["confirmed"]);
      assertOrderPerKey(await received(), batches.flat());
    }),

    contractCase("a message published again arrives again under the same id", async ({ transport, received }) => {
      const message = messageMaker()({ key: "a" });
      await publish(transport, [message]);
      await publish(transport, [message]);
      const arrived = (await received()).filter(({ id }) => id === message.id);
      strictEqual(arrived.length, 2);
      for (const copy of arrived) assertSameMessage(copy, message, carries);
    }),

    ...oddMessages.map(({ oddity, given }) =>
      contractCase(`a message arrives unchanged: ${oddity}`, async ({ transport, received }) => {
        const message = messageMaker()(given);
        deepStrictEqual(kindsOf(await publish(transport, [message])), ["confirmed"]);
        assertSameMessage(withId(await received(), message.id), message, carries);
      }),
    ),

    contractCase("nothing is written once the caller may not write any more", async ({ transport, received }) => {
      const make = messageMaker();
      const batch = [make({ key: "a" }), make({ key: "a" }), make({ key: "b" }), make()];
      const outcomes = await transport.publish(batch, { deadlineMs, mayWrite: () => false });
      assertOutcomes(batch, outcomes);
      deepStrictEqual(kindsOf(outcomes), ["retry", "retry", "retry", "retry"]);
      const [first] = outcomes;
      ok(first?.kind === "retry");
      deepStrictEqual([first.scope, first.error.facts.reason], ["transport", "leaseLost"]);
      deepStrictEqual(await received(), []);
    }),

    contractCase("what is not written because the caller lost its right midway is to be retried", async ({ transport, received }) => {
      const make = messageMaker();
      const batch = Array.from({ length: 20 }, (_, index) => make({ key: `key ${index % 4}` }));
      let asked = 0;
      const mayWrite = (): boolean => {
        asked += 1;
        return asked <= 5;
      };
      const outcomes = await transport.publish(batch, { deadlineMs, mayWrite });
      assertOutcomes(batch, outcomes);
      const arrived = await received();
      for (const [index, { kind }] of outcomes.entries()) {
        ok(kind === "confirmed" || kind === "retry", `message ${index} is ${kind}`);
        strictEqual(withId(arrived, batch[index]?.id ?? "") !== undefined, kind === "confirmed", `message ${index} is ${kind}`);
      }
      ok(asked > 0, "it asked");
      assertFirstOfEachKey(batch, outcomes);
    }),

    contractCase("a closed transport sends nothing and answers retry of scope transport", async ({ transport, received }) => {
      const make = messageMaker();
      await publish(transport, [make()]);
      await transport.close({ deadlineMs });
      const outcomes = await publish(transport, [make(), make({ key: "a" }), make({ key: "a" })]);
      deepStrictEqual(kindsOf(outcomes), ["retry", "retry", "retry"]);
      ok(outcomes.some((outcome) => outcome.kind === "retry" && outcome.scope === "transport"));
      strictEqual((await received()).length, 1);
    }),

    contractCase("a transport that was never used closes, and a second close resolves", async ({ transport }) => {
      await Promise.all([transport.close({ deadlineMs }), transport.close({ deadlineMs })]);
      await transport.close({ deadlineMs });
    }),
  ];

  const underHarm = harms.flatMap((harm) => [
    contractCase(`a key stops at a message that the other end does ${harm} (${expectedKinds[harm].join(" or ")})`, async (fixture) => {
      const make = messageMaker();
      const batch = [make({ key: "a" }), make({ key: "a" }), make({ key: "a" }), make({ key: "a" }), make({ key: "b" }), make()];
      const [first, harmed, behind, further] = batch as [OutgoingMessage, OutgoingMessage, OutgoingMessage, OutgoingMessage];
      if (harm === "silence") await connect(fixture);
      await harmWith(fixture, harmed, harm);
      const outcomes = await publish(fixture.transport, batch, harm === "silence" ? shortDeadlineMs : deadlineMs);
      // In one atomic unit with the harmed message its predecessor shares its fate, and then it is the one that the key stops at.
      const stop = outcomes[0]?.kind === "confirmed" ? 1 : 0;
      ok(expectedKinds[harm].includes(outcomes[stop]?.kind ?? ""), `the outcome that the key stops at is ${outcomes[stop]?.kind}`);
      for (const outcome of outcomes.slice(stop + 1, 4)) {
        // In one atomic unit with a message of unknown fate it may be stored, too.
        if (outcome?.kind === "unknown" && outcomes[stop]?.kind === "unknown") continue;
        ok(outcome?.kind === "retry", `behind its key: ${outcome?.kind}`);
        deepStrictEqual([outcome.scope, outcome.error.facts.reason], ["message", behindItsKey]);
      }
      const arrived = await fixture.received();
      deepStrictEqual(
        [behind.id, further.id].filter((id) => withId(arrived, id) !== undefined),
        [],
      );
      if (harm === "silence") return; // whoever goes silent may take the whole link along
      strictEqual(outcomes[0]?.kind, "confirmed");
      assertSameMessage(withId(arrived, first.id), first, carries);
      deepStrictEqual(kindsOf(outcomes.slice(4)), ["confirmed", "confirmed"], "other keys go on");
    }),

    contractCase(`after a message that the other end does ${harm}, the next call succeeds`, async (fixture) => {
      const make = messageMaker();
      const harmed = make({ key: "a" });
      await harmWith(fixture, harmed, harm);
      await publish(fixture.transport, [harmed], harm === "silence" ? shortDeadlineMs : deadlineMs);
      await waitUntil(
        async () => {
          const message = make({ key: "b" });
          const [outcome] = await publish(fixture.transport, [message]);
          return outcome?.kind === "confirmed" && withId(await fixture.received(), message.id) !== undefined;
        },
        { what: "a later call is confirmed", deadlineMs: 2 * deadlineMs, intervalMs: 50 },
      );
    }),

    contractCase(`the error of a message that the other end does ${harm} shows nothing of the message's content`, async (fixture) => {
      const canary = "canary-3f9c";
      const message = messageMaker()({
        key: `key-${canary}`,
        payload: Buffer.from(`{"secret":"payload-${canary}"}`),
        headers: new Map([
          ["ce-source", "/contract"],
          ["secret", `header-${canary}`],
        ]),
      });
      await harmWith(fixture, message, harm);
      const [outcome] = await publish(fixture.transport, [message], harm === "silence" ? shortDeadlineMs : deadlineMs);
      notStrictEqual(outcome?.kind, "confirmed");
      ok(!inspect(outcome, { depth: 20, showHidden: true }).includes(canary), "the canary is in the error");
    }),
  ]);

  const surelyNotStored = harms
    .filter((harm) => harm !== "silence")
    .map((harm) =>
      contractCase(`what is rejected or to be retried is not at the other end (${harm})`, async (fixture) => {
        const make = messageMaker();
        const batch = Array.from({ length: 20 }, (_, index) => make({ key: index % 2 === 0 ? null : `key ${index % 7}` }));
        for (const index of [3, 4, 11]) await harmWith(fixture, batch[index] as OutgoingMessage, harm);
        const outcomes = await publish(fixture.transport, batch);
        const arrived = await fixture.received();
        for (const [index, { kind }] of outcomes.entries()) {
          const isThere = withId(arrived, batch[index]?.id ?? "") !== undefined;
          if (kind === "confirmed") ok(isThere, `message ${index} is confirmed and missing`);
          if (kind === "rejected" || kind === "retry") ok(!isThere, `message ${index} is ${kind} and stored`);
        }
        ok(outcomes.some(({ kind }) => kind === "confirmed"));
      }),
    );

  const inSilence = [
    contractCase("a call settles by its deadline, and what nobody answered is unknown", async (fixture) => {
      const silent = messageMaker()({ key: "a" });
      await connect(fixture);
      await harmWith(fixture, silent, "silence");
      const startedAt = performance.now();
      const [outcome] = await publish(fixture.transport, [silent], shortDeadlineMs);
      const tookMs = performance.now() - startedAt;
      ok(tookMs <= shortDeadlineMs + slackMs, `the call took ${Math.round(tookMs)} ms`);
      strictEqual(outcome?.kind, "unknown");
    }),

    contractCase("close settles a call under way by its deadline, as unknown", async (fixture) => {
      const silent = messageMaker()({ key: "a" });
      await harmWith(fixture, silent, "silence");
      const call = publish(fixture.transport, [silent], 10 * deadlineMs);
      const startedAt = performance.now();
      await fixture.transport.close({ deadlineMs: shortDeadlineMs });
      const [outcome] = await call;
      const tookMs = performance.now() - startedAt;
      ok(tookMs <= shortDeadlineMs + slackMs, `close took ${Math.round(tookMs)} ms`);
      // It may not have been on its way yet; then it surely is not stored.
      ok(outcome?.kind === "unknown" || outcome?.kind === "retry", `the outcome is ${outcome?.kind}`);
    }),
  ];
  return [...always, ...underHarm, ...surelyNotStored, ...(harms.includes("silence") ? inSilence : [])];
}

const expectedKinds: Readonly<Record<TransportHarm, readonly string[]>> = {
  refuse: ["rejected"],
  fail: ["retry", "unknown"],
  silence: ["unknown"],
};

async function harmWith(fixture: TransportFixture, message: OutgoingMessage, harm: TransportHarm): Promise<void> {
  if (fixture.harm === undefined) throw new Error(`The capabilities name "${harm}", and the fixture has no harm().`);
  await fixture.harm(message.id, harm);
}

function kindsOf(outcomes: readonly PublishOutcome[]): readonly string[] {
  return outcomes.map(({ kind }) => kind);
}

function withId(messages: readonly ReceivedMessage[], id: string): ReceivedMessage | undefined {
  return messages.find((message) => message.id === id);
}

/** One outcome per message; whatever is not confirmed says why in the transport's own error, and how far it reaches. */
function assertOutcomes(batch: readonly OutgoingMessage[], outcomes: readonly PublishOutcome[]): void {
  strictEqual(outcomes.length, batch.length, "outcomes");
  for (const outcome of outcomes) {
    if (outcome.kind === "confirmed") continue;
    ok(isWaybillError(outcome.error, "WAYBILL_TRANSPORT"), `the error of ${outcome.kind} is WAYBILL_TRANSPORT`);
    ok(outcome.error.facts.system !== "" && outcome.error.facts.reason !== "", "it names a system and a reason");
    if (outcome.kind !== "rejected") ok(["message", "topic", "transport"].includes(outcome.scope), `scope ${outcome.scope}`);
  }
}

/** Of each key the confirmed ones come first. */
function assertFirstOfEachKey(batch: readonly OutgoingMessage[], outcomes: readonly PublishOutcome[]): void {
  const stopped = new Set<string>();
  for (const [index, { key }] of batch.entries()) {
    if (key === null) continue;
    if (outcomes[index]?.kind !== "confirmed") stopped.add(key);
    else ok(!stopped.has(key), `message ${index} overtook one of its key`);
  }
}

/** First arrivals only: a repeat may come later. */
function assertOrderPerKey(arrived: readonly ReceivedMessage[], sent: readonly OutgoingMessage[]): void {
  const firsts = [...new Set(arrived.map(({ id }) => id))];
  for (const key of new Set(sent.map((message) => message.key))) {
    if (key === null) continue;
    const expected = sent.filter((message) => message.key === key).map(({ id }) => id);
    deepStrictEqual(
      firsts.filter((id) => expected.includes(id)),
      expected,
      "the order of a key",
    );
  }
}
