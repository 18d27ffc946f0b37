/**
 * What must hold of a half message whatever was called in whatever order, and whatever crashed: I1 to I8, each asserted under its code. What only one moment
 * can show is asserted at that moment: I3 and I8 at every answer (`model-commands.ts`), I6 after every flood.
 */
import { type MemoryTransport, waitUntil } from "@waybill/testing";
import { expect } from "vitest";
import type { HalfMessageFixture, Replica } from "./half-message-fixture.ts";
import { type Model, payloadOf, quota } from "./model-commands.ts";

type Row = Readonly<Record<string, unknown>>;

/** Half messages of one run, as the tables and the destination have them. */
interface Found {
  readonly rows: ReadonlyMap<unknown, Row>;
  readonly deciding: readonly Row[];
  readonly deliveries: readonly Row[];
  readonly received: MemoryTransport["received"];
}

/** Waits until a run is at rest, and asserts all but I6 of it. Answers what was there, to be counted. */
export async function expectInvariants(
  fixture: HalfMessageFixture,
  transport: MemoryTransport,
  replica: Replica,
  model: Model,
): Promise<{ readonly suspended: number; readonly repeated: number; readonly dead: number }> {
  const mine = `id like '${model.run}-%'`;
  await settled(fixture, mine);
  const found: Found = {
    rows: new Map(
      (await fixture.rows(`select id, state, decided_by from waybill_half_message where ${mine}`)).map((row) => [row["id"], row]),
    ),
    deciding: await fixture.rows(
      `select id, event, actor from waybill_decision_log where ${mine} and event in ('committed', 'rolled_back')`,
    ),
    deliveries: await fixture.rows(`select id, message_id, state from waybill_delivery where ${mine}`),
    received: transport.received.filter(({ id }) => id.startsWith(`${model.run}-`)),
  };
  nothingRolledBackIsDelivered(found);
  everyDeliveryHasACommit(found, model);
  await everyCommitIsDeliveredOrVisiblyDead(found, model, replica);
  noDecisionFlips(found, model);
  copiesAreAlike(found, model);
  everyDecisionHasItsAuthor(found, model);
  const suspended = [...found.rows.values()].filter(({ state }) => state === "suspended").length;
  const repeated = found.received.length - new Set(found.received.map(({ id }) => id)).size;
  return { suspended, repeated, dead: found.deliveries.filter(({ state }) => state === "dead").length };
}

/** I2 and I7 give it time: every delivery ends, and 60 s after its deadline nothing is prepared any more. */
async function settled({ count, rows }: HalfMessageFixture, mine: string): Promise<void> {
  const deadlineMs = 60_000;
  await waitUntil(async () => (await count("delivery", `${mine} and state not in ('acked', 'dead')`)) === 0, {
    what: "I2 every delivery is acknowledged or dead",
    deadlineMs,
    intervalMs: 20,
  });
  const isLate = async (): Promise<boolean> => {
    const late = await rows(
      `select id from waybill_half_message where ${mine} and state = 'prepared' and suspend_at < prepared_at + interval '1' hour`,
    );
    return late.length > 0;
  };
  await waitUntil(async () => !(await isLate()), { what: "I7 nothing is prepared 60 s after its deadline", deadlineMs, intervalMs: 20 });
}

function everyDeliveryHasACommit({ received, deliveries, deciding }: Found, { halves }: Model): void {
  const delivered = [...received.map(({ id }) => halfIdOf(id)), ...deliveries.map(({ id }) => String(id))];
  for (const id of new Set(delivered)) {
    const isForced = deciding.some(
      (row) => row["id"] === id && row["event"] === "committed" && String(row["actor"]).startsWith("operator:"),
    );
    expect(
      halves.get(id)?.local === "committed" || isForced,
      `I1 ${id} is delivered: its transaction has committed, or it was forced`,
    ).toBe(true);
  }
}

async function everyCommitIsDeliveredOrVisiblyDead({ received }: Found, { halves }: Model, replica: Replica): Promise<void> {
  const arrived = new Set(received.map(({ id }) => id));
  for (const [id, { state, body }] of halves) {
    if (state !== "committed") continue;
    const shown = (await replica.show(id)).body["deliveries"] as readonly Row[];
    for (const messageId of messagesOf(id, body)) {
      const delivery = shown.find((one) => one["messageId"] === messageId);
      const isDead = delivery?.["state"] === "dead" && typeof delivery["deadReason"] === "string";
      expect(arrived.has(messageId) || isDead, `I2 ${messageId} is delivered, or dead with a reason that is shown`).toBe(true);
    }
  }
}

function noDecisionFlips({ rows }: Found, { halves }: Model): void {
  const wanted = [...halves].flatMap(([id, { state }]) => (state === "committed" || state === "rolled_back" ? [[id, state]] : []));
  const decided = wanted.map(([id]) => [id, rows.get(id)?.["state"]]);
  expect(decided, "I3 what was decided first stands").toEqual(wanted);
  for (const [id, { state, isHurried }] of halves) {
    const allowed = state === null ? [undefined] : state !== "undecided" ? [state] : isHurried ? ["suspended"] : ["prepared"];
    expect(allowed, `I3 the state of ${id} at rest`).toContain(rows.get(id)?.["state"]);
  }
}

function nothingRolledBackIsDelivered({ rows, received, deliveries }: Found): void {
  const rolledBack = new Set([...rows].flatMap(([id, { state }]) => (state === "rolled_back" ? [id] : [])));
  const delivered = [...received.map(({ id }) => halfIdOf(id)), ...deliveries.map(({ id }) => id)];
  expect(
    delivered.filter((id) => rolledBack.has(id)),
    "I4 nothing is delivered of what is rolled back",
  ).toEqual([]);
}

function copiesAreAlike({ received }: Found, { halves }: Model): void {
  const copies = new Map<string, Set<string>>();
  for (const { id, type, topic, key, payload, headers } of received) {
    const stable = [...headers].filter(([name]) => name !== "waybill-attempt").sort(byName);
    const text = JSON.stringify([type, topic, key, stable, Buffer.from(payload ?? "").toString("utf8")]);
    copies.set(id, (copies.get(id) ?? new Set()).add(text));
    const [half, index] = [halfIdOf(id), Number(id.split("-m")[1])];
    const prepared = payloadOf(half, halves.get(half)?.body ?? -1, index);
    expect(Buffer.from(payload ?? "").toString("utf8"), `I5 the bytes of ${id} are those that were prepared`).toBe(prepared);
  }
  for (const [id, texts] of copies) expect([...texts], `I5 all copies of ${id} are alike`).toHaveLength(1);
}

/** The other producer's, in which nothing is decided while it floods. */
export async function expectQuota({ count }: HalfMessageFixture): Promise<void> {
  const undecided = await count("half_message", "producer = 'orders' and state in ('prepared', 'suspended')");
  expect(undecided, "I6 undecided are at most 1.1 × quota").toBeLessThanOrEqual(1.1 * quota);
}

function everyDecisionHasItsAuthor({ rows, deciding }: Found, { halves }: Model): void {
  const decided = [...rows.values()].filter(({ state }) => state === "committed" || state === "rolled_back");
  const ids = decided.map(({ id }) => String(id)).sort(byText);
  expect(deciding.map(({ id }) => String(id)).sort(byText), "I8 each decision has exactly one deciding entry in the log").toEqual(ids);
  for (const { id, event, actor } of deciding) {
    const row = rows.get(id);
    expect([event, actor], `I8 the entry of ${String(id)} says what is decided, and by whom`).toEqual([
      row?.["state"],
      row?.["decided_by"],
    ]);
    const decider = halves.get(String(id))?.decider;
    expect(decider?.test(String(actor)), `I8 ${String(actor)} had the right to decide ${String(id)}, and did`).toBe(true);
  }
}

const byText = (one: string, other: string): number => one.localeCompare(other);
const byName = ([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number => byText(one, other);
const halfIdOf = (messageId: string): string => messageId.split("-m")[0] ?? messageId;

function messagesOf(id: string, body: number | null): readonly string[] {
  return body === null ? [] : Array.from({ length: body + 1 }, (_, index) => `${id}-m${index}`);
}
