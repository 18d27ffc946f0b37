/**
 * What every `InboxStore` keeps, as cases for any runner. The promise that effects happen once per consumer and message id stands on
 * them; see the port in `@waybill/inbox`.
 */
import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import type { EntityVersion } from "@waybill/core";
import type { Claim, Claimed, InboxStore } from "@waybill/inbox";
import { committedValue, type OwnedTx, type Statements, type Units } from "@waybill/sql";
import { type ContractCase, contractCases } from "./contract-case.ts";

/** A dead letter of the store's consumer, as a claim finds it. */
export interface FiledLetter {
  readonly messageId: string;
  readonly fingerprint: string;
  readonly lane: { readonly topic: string; readonly key: string } | null;
  /** `dead`: it was given up. `held`: it waits behind one, and has no reason of its own. */
  readonly state: "dead" | "held" | "discarded";
  /** Of one that is not held behind another. Default `rejected`. */
  readonly reason?: string;
}

/** Empty tables of a consumer in a database of their own. */
export interface InboxStoreFixture {
  readonly store: InboxStore;
  /** Of another consumer in the same tables. */
  readonly otherStore: InboxStore;
  /** At least two connections, so that units can run side by side. */
  readonly database: Statements & Units;
  /** Commits a dead letter of `store`'s consumer. */
  file(letter: FiledLetter): Promise<void>;
  dispose(): Promise<void>;
}

export interface InboxStoreContractOptions {
  /** A fixture for one case. */
  create(): Promise<InboxStoreFixture>;
}

const lane = { topic: "orders", key: "order 1" };
const dayMs = 86_400_000;

function claimOf(given: Partial<Claim> = {}): Claim {
  return {
    messageId: "message 1",
    fingerprint: "print 1",
    lane: null,
    waitsBehindDead: true,
    createdAtMs: null,
    retentionMs: dayMs,
    ...given,
  };
}

/** The cases. Each opens a fixture of its own. */
export function inboxStoreContract({ create }: InboxStoreContractOptions): readonly ContractCase[] {
  const contractCase = contractCases(create);

  const inUnit = async <T>({ database }: InboxStoreFixture, work: (tx: OwnedTx) => Promise<T>): Promise<T> =>
    committedValue("contract", await database.unitOfWork(work, { operation: "contract" }));
  const rolledBack = async (fixture: InboxStoreFixture, work: (tx: OwnedTx) => Promise<unknown>): Promise<void> => {
    const rollback = new Error("The contract rolls back.");
    const outcome = await fixture.database.unitOfWork(
      async (tx) => {
        await work(tx);
        throw rollback;
      },
      { operation: "contract" },
    );
    strictEqual(outcome.kind, "rolledBack");
  };
  const claim = (fixture: InboxStoreFixture, given?: Partial<Claim>): Promise<Claimed> =>
    inUnit(fixture, (tx) => fixture.store.claim(tx, claimOf(given)));
  const claimOne =
    ({ store }: InboxStoreFixture) =>
    (tx: OwnedTx): Promise<Claimed> =>
      store.claim(tx, claimOf());
  /**
   * Two units at the same message: the first holds its row until `end` says how it ends, the second comes meanwhile. `putAside`: its row goes
   * again, and a dead letter is there instead.
   */
  const sideBySide = async <T>(
    fixture: InboxStoreFixture,
    end: "commit" | "rollback" | "putAside",
    claimSecond: (tx: OwnedTx) => Promise<T>,
  ): Promise<{ readonly second: T; readonly waited: boolean }> => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let hasClaimed: () => void = () => undefined;
    const claimed = new Promise<void>((resolve) => {
      hasClaimed = resolve;
    });
    const first = fixture.database.unitOfWork(
      async (tx) => {
        await fixture.store.claim(tx, claimOf());
        hasClaimed();
        await gate;
        if (end === "rollback") throw new Error("The contract rolls back.");
        if (end !== "putAside") return;
        await fixture.file({ messageId: claimOf().messageId, fingerprint: claimOf().fingerprint, lane: null, state: "dead" });
        await fixture.store.unclaim(tx, claimOf().messageId);
      },
      { operation: "contract" },
    );
    await claimed;
    let isSecondDone = false;
    const second = inUnit(fixture, claimSecond).finally(() => {
      isSecondDone = true;
    });
    // Whoever does not wait answers within this time; it only decides how sharp the case is.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const waited = !isSecondDone;
    release();
    strictEqual((await first).kind, end === "rollback" ? "rolledBack" : "committed");
    return { second: await second, waited };
  };

  return [
    contractCase("a message is claimed once, and handled from then on", async (fixture) => {
      deepStrictEqual(await claim(fixture), { kind: "claimed" });
      deepStrictEqual(await claim(fixture), { kind: "handled", isSameContent: true });
      deepStrictEqual(await claim(fixture, { messageId: "message 2" }), { kind: "claimed" });
    }),

    contractCase("ids and lanes that differ in a space at the end, in case or in an accent are different ones", async (fixture) => {
      const alike = ["a", "a ", "A", "\u00e1", "a\u0301"];
      for (const messageId of alike) deepStrictEqual(await claim(fixture, { messageId }), { kind: "claimed" });
      for (const messageId of alike) deepStrictEqual(await claim(fixture, { messageId }), { kind: "handled", isSameContent: true });
      await fixture.file({ messageId: "earlier", fingerprint: "x", lane, state: "dead" });
      for (const key of [`${lane.key} `, lane.key.toUpperCase()]) {
        deepStrictEqual(await claim(fixture, { messageId: `behind ${key}`, lane: { ...lane, key } }), { kind: "claimed" });
      }
      deepStrictEqual(await claim(fixture, { messageId: "behind", lane: { ...lane, topic: `${lane.topic} ` } }), { kind: "claimed" });
      deepStrictEqual(await claim(fixture, { messageId: "earlier " }), { kind: "claimed" });
    }),

    contractCase("an id of 255 bytes is kept whole, and a longer one is refused and not cut", async (fixture) => {
      const longest = "\u00e9".repeat(127);
      deepStrictEqual(await claim(fixture, { messageId: `${longest}a` }), { kind: "claimed" });
      deepStrictEqual(await claim(fixture, { messageId: `${longest}b` }), { kind: "claimed" });
      for (const tooLong of [`${longest}ab`, `${longest}\u00e9`]) {
        const outcome = await fixture.database.unitOfWork((tx) => fixture.store.claim(tx, claimOf({ messageId: tooLong })), {
          operation: "contract",
        });
        strictEqual(outcome.kind, "rolledBack");
        await rejects(async () => fixture.store.startAttempt(fixture.database, tooLong));
      }
      deepStrictEqual(await claim(fixture, { messageId: longest }), { kind: "claimed" });
    }),

    contractCase("the same id with other content is recognised", async (fixture) => {
      await claim(fixture);
      deepStrictEqual(await claim(fixture, { fingerprint: "print 2" }), { kind: "handled", isSameContent: false });
    }),

    contractCase("a claim whose unit rolls back leaves nothing behind", async (fixture) => {
      await rolledBack(fixture, (tx) => fixture.store.claim(tx, claimOf()));
      deepStrictEqual(await claim(fixture), { kind: "claimed" });
    }),

    contractCase("a unit that claims what another is claiming waits, and finds it handled when that one commits", async (fixture) => {
      deepStrictEqual(await sideBySide(fixture, "commit", claimOne(fixture)), {
        second: { kind: "handled", isSameContent: true },
        waited: true,
      });
    }),

    contractCase("a unit that claims what another is claiming waits, and has it when that one rolls back", async (fixture) => {
      deepStrictEqual(await sideBySide(fixture, "rollback", claimOne(fixture)), { second: { kind: "claimed" }, waited: true });
    }),

    contractCase("a unit that claims what another is claiming waits, and finds it on file when that one puts it aside", async (fixture) => {
      deepStrictEqual(await sideBySide(fixture, "putAside", claimOne(fixture)), {
        second: { kind: "onFile", isSameContent: true },
        waited: true,
      });
      // Nothing of it was kept.
      strictEqual((await inUnit(fixture, (tx) => fixture.store.claimAnyway(tx, claimOf()))).kind, "claimed");
    }),

    contractCase("consumers know nothing of each other", async (fixture) => {
      await claim(fixture);
      deepStrictEqual(await inUnit(fixture, (tx) => fixture.otherStore.claim(tx, claimOf())), { kind: "claimed" });
      await fixture.file({ messageId: "message 2", fingerprint: "print 1", lane, state: "dead" });
      deepStrictEqual(await inUnit(fixture, (tx) => fixture.otherStore.claim(tx, claimOf({ messageId: "message 2", lane }))), {
        kind: "claimed",
      });
    }),

    contractCase("a message that is or was a dead letter is on file", async (fixture) => {
      await fixture.file({ messageId: "message 1", fingerprint: "print 1", lane: null, state: "dead" });
      await fixture.file({ messageId: "message 2", fingerprint: "print 1", lane: null, state: "discarded" });
      deepStrictEqual(await claim(fixture), { kind: "onFile", isSameContent: true });
      deepStrictEqual(await claim(fixture, { fingerprint: "print 2" }), { kind: "onFile", isSameContent: false });
      deepStrictEqual(await claim(fixture, { messageId: "message 2" }), { kind: "onFile", isSameContent: true });
    }),

    contractCase("a message waits behind a dead letter of its lane, if it is asked to", async (fixture) => {
      await fixture.file({ messageId: "earlier", fingerprint: "x", lane, state: "dead" });
      deepStrictEqual(await claim(fixture, { lane }), { kind: "mustWait" });
      deepStrictEqual(await claim(fixture, { lane: { ...lane, key: "order 2" } }), { kind: "claimed" });
      deepStrictEqual(await claim(fixture, { messageId: "message 2", lane: { ...lane, topic: "payments" } }), { kind: "claimed" });
      deepStrictEqual(await claim(fixture, { messageId: "message 3", lane: null }), { kind: "claimed" });
      deepStrictEqual(await claim(fixture, { messageId: "message 4", lane, waitsBehindDead: false }), { kind: "claimed" });
    }),

    contractCase("a message waits behind a held one of its lane whether it is asked to or not", async (fixture) => {
      await fixture.file({ messageId: "earlier", fingerprint: "x", lane, state: "held" });
      deepStrictEqual(await claim(fixture, { lane, waitsBehindDead: false }), { kind: "mustWait" });
    }),

    contractCase("a message waits behind one that its handler holds whether it is asked to or not", async (fixture) => {
      await fixture.file({ messageId: "earlier", fingerprint: "x", lane, state: "dead", reason: "held:stocktaking" });
      const given = claimOf({ lane, waitsBehindDead: false });
      deepStrictEqual(await inUnit(fixture, (tx) => fixture.store.claim(tx, given)), { kind: "mustWait" });
      deepStrictEqual(await inUnit(fixture, (tx) => fixture.store.claimAll(tx, [given])), [{ kind: "mustWait" }]);
    }),

    contractCase("a message waits behind no dead letter that is decided", async (fixture) => {
      await fixture.file({ messageId: "earlier", fingerprint: "x", lane, state: "discarded" });
      deepStrictEqual(await claim(fixture, { lane }), { kind: "claimed" });
    }),

    contractCase("a message older than the retention is too old, one of unknown age is not", async (fixture) => {
      const now = Date.now();
      deepStrictEqual(await claim(fixture, { createdAtMs: now - 2 * dayMs }), { kind: "tooOld" });
      deepStrictEqual(await claim(fixture, { createdAtMs: now - dayMs / 2 }), { kind: "claimed" });
      deepStrictEqual(await claim(fixture, { messageId: "message 2", createdAtMs: null }), { kind: "claimed" });
    }),

    contractCase("in doubt handled comes before on file, that before waiting, and that before too old", async (fixture) => {
      const everything = { lane, createdAtMs: 0 };
      await claim(fixture);
      await fixture.file({ messageId: "message 1", fingerprint: "print 1", lane, state: "dead" });
      deepStrictEqual(await claim(fixture, everything), { kind: "handled", isSameContent: true });
      await fixture.file({ messageId: "message 2", fingerprint: "print 1", lane, state: "dead" });
      deepStrictEqual(await claim(fixture, { ...everything, messageId: "message 2" }), { kind: "onFile", isSameContent: true });
      deepStrictEqual(await claim(fixture, { ...everything, messageId: "message 3" }), { kind: "mustWait" });
    }),

    contractCase("what is claimed anyway minds no dead letter, but is claimed once", async (fixture) => {
      await fixture.file({ messageId: "message 1", fingerprint: "print 1", lane, state: "dead" });
      const anyway = (fingerprint: string): Promise<Claimed> =>
        inUnit(fixture, (tx) => fixture.store.claimAnyway(tx, { messageId: "message 1", fingerprint }));
      deepStrictEqual(await anyway("print 1"), { kind: "claimed" });
      deepStrictEqual(await anyway("print 1"), { kind: "handled", isSameContent: true });
      deepStrictEqual(await anyway("print 2"), { kind: "handled", isSameContent: false });
    }),

    contractCase("several messages are claimed at once, and what is known about each is told in their order", async (fixture) => {
      await claim(fixture, { messageId: "handled" });
      await fixture.file({ messageId: "filed", fingerprint: "print 1", lane: null, state: "dead" });
      await fixture.file({ messageId: "earlier", fingerprint: "x", lane, state: "dead" });
      const everything: readonly (readonly [Partial<Claim>, Claimed])[] = [
        [{ messageId: "new z" }, { kind: "claimed" }],
        [{ messageId: "handled" }, { kind: "handled", isSameContent: true }],
        [{ messageId: "waits", lane }, { kind: "mustWait" }],
        [{ messageId: "filed" }, { kind: "onFile", isSameContent: true }],
        [{ messageId: "old", createdAtMs: Date.now() - 2 * dayMs }, { kind: "tooOld" }],
        [{ messageId: "new a", lane: { ...lane, key: "order 2" }, createdAtMs: Date.now() }, { kind: "claimed" }],
      ];
      const claims = everything.map(([given]) => claimOf(given));
      const expected = everything.map(([, known]) => known);
      await rolledBack(fixture, (tx) => fixture.store.claimAll(tx, claims));
      deepStrictEqual(await inUnit(fixture, (tx) => fixture.store.claimAll(tx, claims)), expected);
      // Those that something speaks against have left no row.
      const again = await inUnit(fixture, (tx) => fixture.store.claimAll(tx, claims));
      deepStrictEqual(
        again,
        expected.map((known) => (known.kind === "claimed" ? { kind: "handled", isSameContent: true } : known)),
      );
      const other = claims.map((given) => ({ ...given, fingerprint: "print 2" }));
      const [first, , , filed] = await inUnit(fixture, (tx) => fixture.store.claimAll(tx, other));
      deepStrictEqual(
        [first, filed],
        [
          { kind: "handled", isSameContent: false },
          { kind: "onFile", isSameContent: false },
        ],
      );
      deepStrictEqual(await inUnit(fixture, (tx) => fixture.store.claimAll(tx, [])), []);
    }),

    contractCase("of several messages, those of a lane that may skip wait behind held ones only", async (fixture) => {
      await fixture.file({ messageId: "dead", fingerprint: "x", lane, state: "dead" });
      const held = { ...lane, key: "order 2" };
      await fixture.file({ messageId: "held", fingerprint: "x", lane: held, state: "held" });
      const claims = [
        claimOf({ messageId: "1", lane, waitsBehindDead: false }),
        claimOf({ messageId: "2", lane: held, waitsBehindDead: false }),
      ];
      deepStrictEqual(await inUnit(fixture, (tx) => fixture.store.claimAll(tx, claims)), [{ kind: "claimed" }, { kind: "mustWait" }]);
    }),

    contractCase("ids that differ in a space at the end, in case or in an accent are claimed side by side", async (fixture) => {
      const claims = ["a", "a ", "A", "\u00e1", "a\u0301"].map((messageId) => claimOf({ messageId }));
      const kinds = async (): Promise<readonly string[]> =>
        (await inUnit(fixture, (tx) => fixture.store.claimAll(tx, claims))).map(({ kind }) => kind);
      deepStrictEqual(await kinds(), ["claimed", "claimed", "claimed", "claimed", "claimed"]);
      deepStrictEqual(await kinds(), ["handled", "handled", "handled", "handled", "handled"]);
    }),

    contractCase("what several claims find when another unit has one of their messages is what that unit came to", async (fixture) => {
      const both = [claimOf({ messageId: "message 0" }), claimOf()];
      const claimBoth = (tx: OwnedTx): Promise<readonly Claimed[]> => fixture.store.claimAll(tx, both);
      deepStrictEqual((await sideBySide(fixture, "putAside", claimBoth)).second, [
        { kind: "claimed" },
        { kind: "onFile", isSameContent: true },
      ]);
    }),

    contractCase("several claims are taken back at once, and others stay", async (fixture) => {
      const ids = ["message 1", "message 2", "message 3"];
      await inUnit(fixture, async (tx) => {
        await fixture.store.claimAll(
          tx,
          ids.map((messageId) => claimOf({ messageId })),
        );
        await fixture.store.unclaimAll(tx, ["message 1", "message 3"]);
        await fixture.store.unclaimAll(tx, []);
      });
      const prints = ids.map((messageId) => ({ messageId, fingerprint: "print 1" }));
      deepStrictEqual(await fixture.store.areHandled(fixture.database, prints), [false, true, false]);
      const others = prints.map((print) => ({ ...print, fingerprint: "print 2" }));
      deepStrictEqual(await fixture.store.areHandled(fixture.database, others), [false, false, false]);
      deepStrictEqual(await fixture.otherStore.areHandled(fixture.database, prints), [false, false, false]);
    }),

    contractCase("a version is raised once, for each consumer and entity, and never lowered", async (fixture) => {
      const raise = (store: InboxStore, ...versions: readonly EntityVersion[]): Promise<readonly boolean[]> =>
        inUnit(fixture, (tx) => store.raiseVersions(tx, versions));
      const of = (entity: string, version: bigint, topic = "stock"): EntityVersion => ({ topic, entity, version });
      const { store, otherStore } = fixture;
      await rolledBack(fixture, (tx) => store.raiseVersions(tx, [of("a", 9n)]));
      deepStrictEqual(await raise(store, of("b", 0n), of("a", 2n), of("a", 2n), of("a", 1n), of("a", 3n)), [
        true,
        true,
        false,
        false,
        true,
      ]);
      deepStrictEqual(await raise(store, of("a", 3n), of("b", 1n), of("a", 4n)), [false, true, true]);
      deepStrictEqual(await raise(store, of("a", 3n)), [false]);
      deepStrictEqual(await raise(store, of("a", 2n ** 63n - 1n)), [true]);
      deepStrictEqual(await raise(store, of("a", 2n ** 63n - 2n)), [false]);
      const apart = [of("a", 1n, "prices"), of("A", 1n), of("a ", 1n), of("\u00e1", 1n)];
      deepStrictEqual(
        await raise(store, ...apart),
        apart.map(() => true),
      );
      deepStrictEqual(await raise(otherStore, of("a", 1n)), [true]);
      deepStrictEqual(await raise(store), []);
    }),

    contractCase("a claim that is taken back in its unit is none", async (fixture) => {
      await inUnit(fixture, async (tx) => {
        await fixture.store.claim(tx, claimOf());
        await fixture.store.unclaim(tx, "message 1");
      });
      deepStrictEqual(await claim(fixture), { kind: "claimed" });
    }),

    contractCase("attempts are counted one by one, started and failed", async ({ store, database }) => {
      strictEqual(await store.readAttempts(database, "message 1"), null);
      deepStrictEqual(await store.startAttempt(database, "message 1"), { started: 1, failed: 0 });
      deepStrictEqual(await store.countAttempt(database, "message 1", { isStartCounted: true, isFailed: true }), { started: 1, failed: 1 });
      deepStrictEqual(await store.countAttempt(database, "message 1", { isStartCounted: false, isFailed: true }), {
        started: 2,
        failed: 2,
      });
      deepStrictEqual(await store.countAttempt(database, "message 1", { isStartCounted: false, isFailed: false }), {
        started: 3,
        failed: 2,
      });
      deepStrictEqual(await store.readAttempts(database, "message 1"), { started: 3, failed: 2 });
      strictEqual(await store.readAttempts(database, "message 2"), null);
    }),

    contractCase("starts from many processes at once are all counted", async ({ store, database }) => {
      await Promise.all(Array.from({ length: 20 }, () => store.startAttempt(database, "message 1")));
      deepStrictEqual(await store.readAttempts(database, "message 1"), { started: 20, failed: 0 });
    }),

    contractCase("no start is counted for a message that is handled", async (fixture) => {
      await claim(fixture);
      strictEqual(await fixture.store.startAttempt(fixture.database, "message 1"), null);
      strictEqual(await fixture.store.readAttempts(fixture.database, "message 1"), null);
    }),

    contractCase("a start that is taken back leaves the failures", async ({ store, database }) => {
      await store.startAttempt(database, "message 1");
      await store.countAttempt(database, "message 1", { isStartCounted: true, isFailed: true });
      await store.startAttempt(database, "message 1");
      await store.withdrawStart(database, "message 1");
      deepStrictEqual(await store.readAttempts(database, "message 1"), { started: 1, failed: 1 });
      await store.withdrawStart(database, "message 1");
      deepStrictEqual(await store.readAttempts(database, "message 1"), { started: 1, failed: 1 });
      await store.withdrawStart(database, "message 2");
    }),

    contractCase("attempts are forgotten with the unit that forgets them", async (fixture) => {
      const { store, database } = fixture;
      await store.startAttempt(database, "message 1");
      await rolledBack(fixture, (tx) => store.clearAttempts(tx, "message 1"));
      deepStrictEqual(await store.readAttempts(database, "message 1"), { started: 1, failed: 0 });
      await inUnit(fixture, (tx) => store.clearAttempts(tx, "message 1"));
      strictEqual(await store.readAttempts(database, "message 1"), null);
    }),

    contractCase("handled messages are removed by age, in bounded steps, and only the consumer's own", async (fixture) => {
      const { store, otherStore, database } = fixture;
      for (const messageId of ["message 1", "message 2", "message 3"]) await claim(fixture, { messageId });
      await inUnit(fixture, (tx) => otherStore.claim(tx, claimOf()));
      strictEqual(await store.removeHandled(database, dayMs, 10), 0);
      deepStrictEqual([await store.removeHandled(database, 0, 2), await store.removeHandled(database, 0, 2)], [2, 1]);
      strictEqual(await store.removeHandled(database, 0, 2), 0);
      deepStrictEqual(await inUnit(fixture, (tx) => otherStore.claim(tx, claimOf())), { kind: "handled", isSameContent: true });
    }),

    contractCase(
      "attempts that nobody counts at any more are removed by age, in bounded steps, and only the consumer's own",
      async (fixture) => {
        const { store, otherStore, database } = fixture;
        for (const messageId of ["message 1", "message 2", "message 3"]) await store.startAttempt(database, messageId);
        await otherStore.startAttempt(database, "message 1");
        strictEqual(await store.removeAttempts(database, dayMs, 10), 0);
        deepStrictEqual([await store.removeAttempts(database, 0, 2), await store.removeAttempts(database, 0, 2)], [2, 1]);
        deepStrictEqual(await otherStore.readAttempts(database, "message 1"), { started: 1, failed: 0 });
      },
    ),
  ];
}
