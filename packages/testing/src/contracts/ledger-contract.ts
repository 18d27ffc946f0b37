/**
 * What every `Ledger` keeps, as cases for any runner. A relay's promise that nothing is lost and nothing overtaken stands on them; see
 * the port in `@waybill/outbox`.
 */
import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import {
  type HoleProof,
  type IdRange,
  type Ledger,
  type LedgerBatch,
  type LedgerRow,
  payloadBytesInlineMax,
  storedPayload,
} from "@waybill/outbox";
import type { Connection } from "@waybill/sql";
import { waitUntil } from "../wait-until.ts";
import { type ContractCase, contractCases } from "./contract-case.ts";
import type { LedgerWriter, NewLedgerRow } from "./ledger-writer.ts";

/** An empty ledger in a database of its own. */
export interface LedgerFixture {
  readonly ledger: Ledger;
  /** A connection as a relay has them; closed by `dispose`. */
  connect(): Promise<Connection>;
  /** A transaction as an application has them: `postgresLedgerWriter`, `mysqlLedgerWriter`. The case ends it. */
  begin(): Promise<LedgerWriter>;
  /** Prepares a transaction (two-phase commit) that appended one row, and answers the row's id. Needed if the capabilities name it. */
  prepareOne?(): Promise<{ readonly id: bigint; commit(): Promise<void>; rollback(): Promise<void> }>;
  dispose(): Promise<void>;
}

export interface LedgerCapabilities {
  /** The server takes part in two-phase commits. Default false. */
  readonly hasPreparedTransactions?: boolean;
}

export interface LedgerContractOptions {
  /** A fixture for one case. */
  create(): Promise<LedgerFixture>;
  readonly capabilities?: LedgerCapabilities;
  /** Milliseconds for one call. Default 10 000. */
  readonly deadlineMs?: number;
  /** Looks after which a hole that nobody can fill any more must be proved dead, on a quiet server. Default 10. */
  readonly looksMax?: number;
}

/** The cases. Each opens a fixture of its own. */
export function ledgerContract({
  create,
  capabilities = {},
  deadlineMs = 10_000,
  looksMax = 10,
}: LedgerContractOptions): readonly ContractCase[] {
  const contractCase = contractCases(create);

  const read = (
    { ledger }: LedgerFixture,
    connection: Connection,
    lastId: bigint,
    holes: readonly IdRange[] = [],
    rowsMax = 1_000,
    areHolesOnly = false,
  ): Promise<LedgerBatch> => ledger.read(connection, { lastId, holes, rowsMax, areHolesOnly, deadlineMs });
  const committed = async (fixture: LedgerFixture, ...rows: readonly NewLedgerRow[]): Promise<readonly bigint[]> => {
    const writer = await fixture.begin();
    const ids = await writer.append(...rows);
    await writer.commit();
    return ids;
  };
  const rolledBack = async (fixture: LedgerFixture, count: number): Promise<readonly bigint[]> => {
    const writer = await fixture.begin();
    const ids = await writer.append(...Array.from({ length: count }, () => ({})));
    await writer.rollback();
    return ids;
  };
  /** Begins to prove holes dead, without leaving them to their writers first where a ledger takes ids itself. */
  const begin = ({ ledger }: LedgerFixture): HoleProof => ledger.beginHoleProof({ fenceAfterMs: 0 });
  /** Looks once. Answers what has ended: proved dead, or taken by a fence that a read brings which is sent afterwards. */
  const look = async (
    fixture: LedgerFixture,
    proof: HoleProof,
    connection: Connection,
    holes: readonly IdRange[],
  ): Promise<readonly IdRange[]> => {
    const proved = await proof.look(connection, holes, { deadlineMs });
    const lastId = holes.at(-1)?.high ?? 0n;
    const { rows } = await read(fixture, connection, lastId, holes, 10_000, true);
    return [...proved, ...rows.filter(isFence).map(({ id }) => ({ low: id, high: id }))];
  };
  /** Looks until the holes have ended, as often as `looksMax`; answers what had with the last look. */
  const lookUntilDead = async (fixture: LedgerFixture, connection: Connection, holes: readonly IdRange[]): Promise<readonly IdRange[]> => {
    const proof = begin(fixture);
    let dead: readonly IdRange[] = [];
    for (let count = 0; count < looksMax; count += 1) {
      dead = await look(fixture, proof, connection, holes);
      if (holes.every(({ low, high }) => covers(dead, low) && covers(dead, high))) break;
    }
    return dead;
  };

  const always = [
    contractCase("an empty ledger answers no rows", async (fixture) => {
      deepStrictEqual(await read(fixture, await fixture.connect(), 0n), { rows: [], areHolesCut: false });
    }),

    contractCase("rows are read in the order of their ids, as they were stored", async (fixture) => {
      const connection = await fixture.connect();
      const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const before = (await fixture.ledger.facts(connection, { deadlineMs })).nowMs;
      const stored: readonly Required<NewLedgerRow>[] = [
        { type: "a.v1", topic: "one", key: "Käufer 世界", headers: '{"ce-source":"/x", "n":"1"}', payload: ' {"a" : 1.0}\n' },
        { type: "b.v1", topic: "two", key: null, headers: null, payload: bytes },
        { type: "c.v1", topic: "two", key: "", headers: "not JSON at all", payload: null },
        { type: "d.v1", topic: "two", key: "k", headers: "{}", payload: "" },
        { type: "e.v1", topic: "two", key: "k", headers: "{}", payload: new Uint8Array(0) },
      ];
      const ids = await committed(fixture, ...stored);
      const after = (await fixture.ledger.facts(connection, { deadlineMs })).nowMs;
      const { rows } = await read(fixture, connection, 0n);
      deepStrictEqual(
        rows.map(({ id }) => id),
        ids,
      );
      for (const [index, row] of rows.entries()) {
        const { type, topic, key, headers, payload } = stored[index] as Required<NewLedgerRow>;
        deepStrictEqual([row.type, row.topic, row.key, row.headers, row.leftBytes], [type, topic, key, headers, null]);
        deepStrictEqual(comparable(storedPayload(row)), comparable(payload));
        ok(row.createdAtMs >= before - 1 && row.createdAtMs <= after + 1, "the record time is the database's");
        ok(/^[0-9a-f-]{36}$/.test(row.messageId));
      }
      strictEqual(new Set(rows.map(({ messageId }) => messageId)).size, rows.length, "message ids");
    }),

    contractCase("only what lies beyond the last id is read, and at most rowsMax", async (fixture) => {
      const connection = await fixture.connect();
      const ids = await committed(fixture, ...Array.from({ length: 10 }, () => ({})));
      const { rows, areHolesCut } = await read(fixture, connection, ids[2] as bigint, [], 4);
      deepStrictEqual(
        rows.map(({ id }) => id),
        ids.slice(3, 7),
      );
      strictEqual(areHolesCut, false);
      deepStrictEqual((await read(fixture, connection, ids[9] as bigint)).rows, []);
    }),

    contractCase("looking ahead tells of other topics, as far as it looked, and reads nothing", async (fixture) => {
      const connection = await fixture.connect();
      const ids = await committed(fixture, ...["a", "a", "a", "b", "a"].map((topic) => ({ topic })));
      const ahead = (afterId: bigint, rowsMax: number) =>
        fixture.ledger.lookAhead(connection, { afterId, topic: "a", rowsMax, deadlineMs });
      deepStrictEqual(await ahead(0n, 3), { toId: ids[2], hasOtherTopics: false });
      deepStrictEqual(await ahead(0n, 4), { toId: ids[3], hasOtherTopics: true });
      deepStrictEqual(await ahead(ids[3] as bigint, 100), { toId: ids[4], hasOtherTopics: false });
      deepStrictEqual(await ahead(ids[4] as bigint, 100), { toId: null, hasOtherTopics: false });
    }),

    contractCase("an id whose transaction is still open is a hole, and is read when it commits", async (fixture) => {
      const connection = await fixture.connect();
      const slow = await fixture.begin();
      const [hole] = (await slow.append({ key: "a" })) as [bigint];
      const [later] = (await committed(fixture, { key: "b" })) as [bigint];
      deepStrictEqual(idsOf(await read(fixture, connection, 0n)), [later]);
      const holes = [{ low: hole, high: hole }];
      deepStrictEqual(idsOf(await read(fixture, connection, later, holes)), []);
      await slow.commit();
      deepStrictEqual(idsOf(await read(fixture, connection, later, holes)), [hole]);
    }),

    contractCase("a hole that fills is read before what lies beyond the last id", async (fixture) => {
      const connection = await fixture.connect();
      const slow = await fixture.begin();
      const early = await slow.append({ key: "a" }, { key: "a" });
      const [last] = (await committed(fixture, { key: "b" })) as [bigint];
      await slow.commit();
      const beyond = await committed(fixture, { key: "a" }, { key: "a" });
      const batch = await read(fixture, connection, last, [rangeOf(early)]);
      deepStrictEqual(idsOf(batch), [...early, ...beyond]);
      strictEqual(batch.areHolesCut, false);
    }),

    contractCase("a read that ends among the holes says so, and brings nothing from beyond", async (fixture) => {
      const connection = await fixture.connect();
      const slow = await fixture.begin();
      const early = await slow.append({}, {}, {});
      const [last] = (await committed(fixture, {})) as [bigint];
      await slow.commit();
      await committed(fixture, {});
      const batch = await read(fixture, connection, last, [rangeOf(early)], 2);
      deepStrictEqual(idsOf(batch), early.slice(0, 2));
      strictEqual(batch.areHolesCut, true);
    }),

    contractCase("a read of the holes alone brings nothing from beyond", async (fixture) => {
      const connection = await fixture.connect();
      const slow = await fixture.begin();
      const early = await slow.append({});
      const [last] = (await committed(fixture, {})) as [bigint];
      await slow.commit();
      await committed(fixture, {});
      deepStrictEqual(idsOf(await read(fixture, connection, last, [rangeOf(early)], 1_000, true)), early);
      deepStrictEqual(idsOf(await read(fixture, connection, last, [], 1_000, true)), []);
    }),

    contractCase("rows between holes are not read again", async (fixture) => {
      const connection = await fixture.connect();
      const slow = [await fixture.begin(), await fixture.begin()] as const;
      const [first] = (await slow[0].append({})) as [bigint];
      await committed(fixture, {});
      const [second] = (await slow[1].append({})) as [bigint];
      const [last] = (await committed(fixture, {})) as [bigint];
      const holes = [
        { low: first, high: first },
        { low: second, high: second },
      ];
      await slow[1].commit();
      deepStrictEqual(idsOf(await read(fixture, connection, last, holes)), [second]);
      await slow[0].commit();
      deepStrictEqual(idsOf(await read(fixture, connection, last, holes)), [first, second]);
    }),

    contractCase("a large payload stays in the database and comes whole by its id", async (fixture) => {
      const connection = await fixture.connect();
      const text = "ä".repeat(payloadBytesInlineMax);
      const bytes = new Uint8Array(payloadBytesInlineMax + 1).fill(7);
      const inline = "x".repeat(payloadBytesInlineMax);
      const ids = await committed(fixture, { payload: text }, { payload: bytes }, { payload: inline });
      const { rows } = await read(fixture, connection, 0n);
      deepStrictEqual(
        rows.map(({ leftBytes }) => leftBytes),
        [2 * payloadBytesInlineMax, payloadBytesInlineMax + 1, null],
      );
      deepStrictEqual(
        rows.map((row) => comparable(storedPayload(row))),
        [null, null, inline],
      );
      const whole = await fixture.ledger.readIds(connection, ids, { deadlineMs });
      deepStrictEqual(
        whole.map((row) => [row.id, comparable(storedPayload(row)), row.leftBytes]),
        ids.map((id, index) => [id, comparable([text, bytes, inline][index] ?? null), null]),
      );
    }),

    contractCase("rows asked for by id come in the order of ids, and those that are not there are missing", async (fixture) => {
      const connection = await fixture.connect();
      const ids = await committed(fixture, {}, {}, {});
      const [gone] = (await rolledBack(fixture, 1)) as [bigint];
      const found = await fixture.ledger.readIds(connection, [ids[0] as bigint, ids[2] as bigint, gone], { deadlineMs });
      deepStrictEqual(
        found.map(({ id }) => id),
        [ids[0], ids[2]],
      );
      deepStrictEqual(await fixture.ledger.readIds(connection, [], { deadlineMs }), []);
    }),

    contractCase("a rolled-back id is proved dead, and its neighbours are not", async (fixture) => {
      const connection = await fixture.connect();
      const open = await fixture.begin();
      const [alive] = (await open.append({})) as [bigint];
      const dead = await rolledBack(fixture, 3);
      await committed(fixture, {});
      const holes = [{ low: alive, high: alive }, rangeOf(dead)];
      const proved = await lookUntilDead(fixture, connection, holes);
      // An open transaction below may keep the server from telling them apart; then both are alive.
      ok(!covers(proved, alive), "the open transaction's id");
      await open.rollback();
      const all = await lookUntilDead(fixture, connection, holes);
      ok(covers(all, alive) && dead.every((id) => covers(all, id)), "all are dead in the end");
    }),

    contractCase("an id is never proved dead while its transaction is open, however often one looks", async (fixture) => {
      const connection = await fixture.connect();
      const open = await fixture.begin();
      const ids = await open.append({}, {});
      await committed(fixture, {});
      const proof = begin(fixture);
      for (let count = 0; count < 2 * looksMax; count += 1) {
        const ended = await look(fixture, proof, connection, [rangeOf(ids)]);
        ok(!ids.some((id) => covers(ended, id)), `look ${count + 1}`);
      }
      await open.rollback();
    }),

    contractCase("a hole that commits is in every read that is sent after its proof", async (fixture) => {
      const connection = await fixture.connect();
      for (let round = 0; round < 20; round += 1) {
        const open = await fixture.begin();
        const [id] = (await open.append({})) as [bigint];
        const [last] = (await committed(fixture, {})) as [bigint];
        const holes = [{ low: id, high: id }];
        const proof = begin(fixture);
        await proof.look(connection, holes, { deadlineMs });
        const committing = open.commit();
        // Either the proof says so, or the row itself has come: then nobody asks any more.
        const proved = await waitUntil(
          async () => {
            const isProved = covers(await proof.look(connection, holes, { deadlineMs }), id);
            return isProved || idsOf(await read(fixture, connection, last, holes)).includes(id);
          },
          { what: "the hole has ended after its commit", deadlineMs, intervalMs: 1 },
        );
        ok(proved);
        const { rows } = await read(fixture, connection, last, holes);
        deepStrictEqual(
          rows.map((row) => [row.id, isFence(row)]),
          [[id, false]],
          "the row is there, and it is the writer's",
        );
        await committing;
      }
    }),

    contractCase("the facts name a safe ledger, its highest id, and the database's clock", async (fixture) => {
      const connection = await fixture.connect();
      const empty = await fixture.ledger.facts(connection, { deadlineMs });
      deepStrictEqual([empty.isReadOnly, empty.unsafe, empty.highestId], [false, null, 0n]);
      notStrictEqual(empty.serverIdentity, "");
      notStrictEqual(empty.ledgerIdentity, "");
      const open = await fixture.begin();
      const [id] = (await open.append({})) as [bigint];
      const later = await fixture.ledger.facts(await fixture.connect(), { deadlineMs });
      strictEqual(later.highestId, id, "an id of an open transaction is handed out");
      deepStrictEqual([later.serverIdentity, later.ledgerIdentity], [empty.serverIdentity, empty.ledgerIdentity]);
      ok(later.nowMs >= empty.nowMs && later.nowMs - empty.nowMs < 60_000, "the clock goes on");
      await open.rollback();
    }),

    contractCase("two ledgers have two identities", async (fixture) => {
      const other = await create();
      try {
        const one = await fixture.ledger.facts(await fixture.connect(), { deadlineMs });
        const two = await other.ledger.facts(await other.connect(), { deadlineMs });
        notStrictEqual(one.ledgerIdentity, two.ledgerIdentity);
      } finally {
        await other.dispose();
      }
    }),

    contractCase("everything is read once and in the order of each writer while writers come, go and roll back", async (fixture) => {
      const connection = await fixture.connect();
      const expected = Array.from({ length: 8 }, (): bigint[] => []);
      const writing = writeAbout(fixture, expected.length, 25, (writer, ids) => expected[writer]?.push(...ids));
      let isWriting = true;
      const finish = async (): Promise<void> => {
        try {
          await writing;
        } finally {
          isWriting = false;
        }
      };
      const finishing = finish();
      const seen: bigint[] = [];
      let lastId = 0n;
      let holes: readonly IdRange[] = [];
      for (let isLast = false; !isLast; ) {
        isLast = !isWriting;
        const batch = await read(fixture, connection, lastId, holes, 7);
        seen.push(...idsOf(batch));
        ({ lastId, holes } = afterBatch(lastId, holes, idsOf(batch)));
        if (batch.rows.length > 0) isLast = false;
      }
      await finishing;
      deepStrictEqual([...seen].sort(ascending), expected.flat().sort(ascending), "all, and each once");
      for (const ids of expected) {
        const ofWriter = new Set(ids);
        deepStrictEqual(
          seen.filter((id) => ofWriter.has(id)),
          ids,
          "a writer's messages in the order of its commits",
        );
      }
      const dead = await lookUntilDead(fixture, connection, holes);
      for (const { low, high } of holes) ok(covers(dead, low) && covers(dead, high), `hole ${low}–${high} is dead in the end`);
    }),
  ];

  const withPrepared = [
    contractCase("an id of a prepared transaction is not dead before it is decided", async (fixture) => {
      if (fixture.prepareOne === undefined)
        throw new Error("The capabilities name prepared transactions, and the fixture has no prepareOne().");
      const connection = await fixture.connect();
      const prepared = await fixture.prepareOne();
      const [last] = (await committed(fixture, {})) as [bigint];
      const holes = [{ low: prepared.id, high: prepared.id }];
      const proof = begin(fixture);
      for (let count = 0; count < looksMax; count += 1) deepStrictEqual(await look(fixture, proof, connection, holes), []);
      await prepared.commit();
      deepStrictEqual(idsOf(await read(fixture, connection, last, holes)), [prepared.id]);
    }),
  ];
  return capabilities.hasPreparedTransactions === true ? [...always, ...withPrepared] : always;
}

/** Some writers at once, each with some transactions, of which every fourth is rolled back. */
async function writeAbout(
  fixture: LedgerFixture,
  writers: number,
  transactions: number,
  onCommitting: (writer: number, ids: readonly bigint[]) => void,
): Promise<void> {
  const write = async (writer: number): Promise<void> => {
    for (let number = 0; number < transactions; number += 1) {
      const transaction = await fixture.begin();
      const ids = await transaction.append({ key: `writer ${writer}` }, { key: `writer ${writer}` });
      if ((number + writer) % 4 === 0) {
        await transaction.rollback();
      } else {
        onCommitting(writer, ids);
        await transaction.commit();
      }
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
}

/** How a reader's cursor moves: what was found leaves the holes, what was skipped joins them. */
function afterBatch(
  lastId: bigint,
  holes: readonly IdRange[],
  found: readonly bigint[],
): { readonly lastId: bigint; readonly holes: readonly IdRange[] } {
  let last = lastId;
  let next = [...holes];
  for (const id of found) {
    if (id > last) {
      if (id > last + 1n) next.push({ low: last + 1n, high: id - 1n });
      last = id;
      continue;
    }
    next = next.flatMap(({ low, high }) =>
      id < low || id > high
        ? [{ low, high }]
        : [...(id > low ? [{ low, high: id - 1n }] : []), ...(id < high ? [{ low: id + 1n, high }] : [])],
    );
  }
  return { lastId: last, holes: next };
}

/** A row that only takes an id. */
function isFence({ type, topic }: LedgerRow): boolean {
  return type === "" && topic === "";
}

function ascending(one: bigint, other: bigint): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function idsOf(batch: LedgerBatch): readonly bigint[] {
  return batch.rows.map(({ id }) => id);
}

function rangeOf(ids: readonly bigint[]): IdRange {
  return { low: ids[0] as bigint, high: ids.at(-1) as bigint };
}

function covers(ranges: readonly IdRange[], id: bigint): boolean {
  return ranges.some(({ low, high }) => low <= id && id <= high);
}

/** Text as it is, bytes as something that compares by content and differs from every text. */
function comparable(payload: string | Uint8Array | null): unknown {
  return payload === null || typeof payload === "string" ? payload : { bytes: Buffer.from(payload).toString("hex") };
}
