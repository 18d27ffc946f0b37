/**
 * What producers, their checks, an operator and fate do to two replicas, and the model of what each answer must be.
 *
 * The model is what a producer may believe: the state of each half message, the first body it was stored with, how its local transaction ended, and who
 * decided. A call may lose its replica while it is under way; then it is repeated on the next one under the same id, and either answer is right that fits
 * "it had happened" or "it had not".
 */
import { waitUntil } from "@waybill/testing";
import fc from "fast-check";
import { expect } from "vitest";
import { type Answer, callService, message, type Replica } from "./half-message-fixture.ts";

export type Decision = "committed" | "rolled_back";

export interface Half {
  /** null: there is none. */
  state: "undecided" | Decision | null;
  /** Which body it was stored with; null: rolled back before it was prepared. */
  body: number | null;
  /** The producer's local transaction. */
  local: "open" | "committed" | "fenced";
  /** The actor of the deciding entry in the log. */
  decider: RegExp | null;
  /** It was prepared to be suspended soon. */
  isHurried: boolean;
  /** Of its checks, in the order of their claims. */
  readonly tokens: string[];
}

export interface Model {
  readonly run: string;
  readonly halves: Map<string, Half>;
}

export interface Real {
  readonly replicas: readonly [Replica, Replica];
  /** Takes its connections away in the middle of whatever it does, and another one takes its place. */
  readonly crash: (which: 0 | 1) => Promise<void>;
  /** What happened in the whole campaign, so that it can be seen to have happened. */
  readonly seen: { crashed: number; applied: number; refusedByQuota: number };
  readonly flooded: () => Promise<void>;
}

export type Command = fc.AsyncCommand<Model, Real>;

export const quota = 10;

export function halfOf({ halves }: Model, id: string): Half {
  const known = halves.get(id);
  if (known !== undefined) return known;
  const half: Half = { state: null, body: null, local: "open", decider: null, isHurried: false, tokens: [] };
  halves.set(id, half);
  return half;
}

export const payloadOf = (id: string, variant: number, index: number): string =>
  `body ${variant} ${index} of ${id}${index === 1 ? ", unwelcome" : ""}`;

export function bodyOf(id: string, variant: number): { readonly barrier: null; readonly messages: readonly object[] } {
  const messages = Array.from({ length: variant + 1 }, (_, index) =>
    message({ id: `${id}-m${index}`, payload: payloadOf(id, variant, index), key: null }),
  );
  return { barrier: null, messages };
}

const isDecided = ({ state }: Half): boolean => state === "committed" || state === "rolled_back";
const refusalOf = { committed: "already_committed", rolled_back: "already_rolled_back" } as const;
type Expected = readonly [status: number, code?: string];

interface Step {
  readonly name: string;
  /** The invariant that an answer breaks which is not right. Default: I3 of what is decided. */
  readonly code?: "I8";
  call(replica: Replica, id: string): Promise<Answer>;
  /** A producer that does as it should sends no such call. */
  readonly isWrong?: (half: Half) => boolean;
  /** Before the call: what became of the local transaction. */
  readonly before?: (half: Half) => void;
  /** All answers that are right. */
  expected(half: Half): readonly Expected[];
  /** After a success. */
  after(half: Half): void;
}

/** A call, which loses its replica now and then, with what the model expects of its answer. */
function command(step: Step, slot: string, which: 0 | 1, crashes: boolean): Command {
  const idIn = (run: string): string => `${run}-${slot}`;
  return {
    check: (model) => step.isWrong?.(halfOf(model, idIn(model.run))) !== true,
    async run(model, real) {
      const id = idIn(model.run);
      const half = halfOf(model, id);
      step.before?.(half);
      const check = ({ status, body }: Answer): void => {
        const wanted = step.expected(half);
        const fits = wanted.some(([code, problem]) => code === status && problem === body["code"]);
        const invariant = step.code ?? (isDecided(half) ? "I3" : "the model");
        expect(
          fits,
          `${invariant}: ${step.name} ${slot} gets ${status} ${String(body["code"])}, not one of ${JSON.stringify(wanted)}`,
        ).toBe(true);
        if (status >= 300) return;
        step.after(half);
        if (body["state"] !== undefined) expectState(half, body["state"], id);
      };
      if (crashes) {
        const call = step.call(real.replicas[which], id).catch(() => null);
        await real.crash(which);
        const answer = await call;
        if (answer !== null && answer.status !== 503) check(answer);
        // Whoever had no answer does not know, and asks again.
        check(await answered(() => step.call(real.replicas[which], id)));
      } else check(await answered(() => step.call(real.replicas[which], id)));
    },
    toString: () => `${step.name}(${slot}, replica ${which}${crashes ? ", which crashes" : ""})`,
  };
}

function answered(call: () => Promise<Answer>): Promise<Answer> {
  return waitUntil(async () => await call().then((answer) => (answer.status === 503 ? null : answer)), { what: "a replica answers" });
}

/** I3, at every answer. */
function expectState(half: Half, state: unknown, id: string): void {
  const allowed = half.state === "undecided" ? (half.isHurried ? ["prepared", "suspended"] : ["prepared"]) : [half.state];
  expect(allowed, `I3 the state of ${id} that is answered`).toContain(state);
}

const prepare = (variant: number, isHurried: boolean): Step => ({
  name: `prepare ${variant}${isHurried ? " with a near deadline" : ""}`,
  call: (replica, id) =>
    replica.call("PUT", `/v1/producers/payments/half-messages/${id}`, {
      ...bodyOf(id, variant),
      ...(isHurried ? { check: { afterMs: 100, suspendAfterMs: 100 } } : {}),
    }),
  expected({ state, body }) {
    if (state === null) return [[201], [200]];
    if (body !== null && body !== variant) return [[422, "payload_mismatch"]];
    return state === "undecided" ? [[200]] : [[409, refusalOf[state]]];
  },
  after(half) {
    if (half.state !== null) return;
    Object.assign(half, { state: "undecided", body: variant, isHurried });
  },
});

function deciding(name: string, to: Decision, decider: RegExp, creates: boolean, call: Step["call"]): Step {
  return {
    name,
    call,
    expected({ state }) {
      if (state === null) return creates ? [[200]] : [[404, "unknown_half_message"]];
      return state === "undecided" || state === to ? [[200]] : [[409, refusalOf[state]]];
    },
    after(half) {
      if (!isDecided(half)) Object.assign(half, { state: to, decider });
    },
  };
}

const byProducer = /^producer:payments-1$/;
const byOperator = /^operator:operator-1$/;
/** Only a producer that is broken commits what it has fenced, or rolls back what it has committed; once it is decided it may be late. */
const commitsFenced = (half: Half): boolean => half.local === "fenced" && !isDecided(half);
const rollsCommittedBack = (half: Half): boolean => half.local === "committed" && !isDecided(half);
const endsLocal =
  (end: "committed" | "fenced", states: readonly Half["state"][]) =>
  (half: Half): void => {
    if (half.local === "open" && states.includes(half.state)) half.local = end;
  };

const committedWith = (variant: number): Step => ({
  name: `commit with body ${variant}`,
  call: (replica, id) => replica.commit(id, { halfMessage: bodyOf(id, variant) }),
  isWrong: commitsFenced,
  before(half) {
    if (half.body === null || half.body === variant) endsLocal("committed", [null, "undecided"])(half);
  },
  expected({ state, body }) {
    if (state === null) return [[201], [200]];
    if (body !== null && body !== variant) return [[422, "payload_mismatch"]];
    return state === "rolled_back" ? [[409, "already_rolled_back"]] : [[200]];
  },
  after(half) {
    if (half.state === null) half.body = variant;
    if (!isDecided(half)) Object.assign(half, { state: "committed", decider: byProducer });
  },
});

const extended: Step = {
  name: "extend",
  call: (replica, id) => replica.call("POST", `/v1/producers/payments/half-messages/${id}/extend`, { forMs: 1_000 }),
  expected({ state, isHurried }) {
    if (state === null) return [[404, "unknown_half_message"]];
    if (state !== "undecided") return [[409, refusalOf[state]]];
    return isHurried ? [[200], [409, "suspended"]] : [[200]];
  },
  after: () => undefined,
};

/** Somebody without the right to it decides: nothing happens. */
const forged: Step = {
  name: "commit by another's key, and by none",
  code: "I8",
  async call({ ports }, id) {
    const target = `/v1/producers/payments/half-messages/${id}/commit`;
    for (const [key, status] of [[null, 401] as const, ["unknown", 401] as const])
      expect(await callService(ports, "POST", target, {}, { key })).toMatchObject({ status });
    return callService(ports, "POST", target, {}, { key: "orders-1" });
  },
  expected: () => [[403, "forbidden"]],
  after: () => undefined,
};

/** Its check is due now, and this replica gives out what is due. */
async function claimed({ run, halves }: Model, slot: string, replica: Replica): Promise<void> {
  await replica.operate(`${run}-${slot}`, "check-now");
  const { body } = await answered(() => replica.call("POST", "/v1/producers/payments/checks:claim", { max: 100, waitMs: 0 }));
  for (const { id, token } of body["checks"] as { id: string; token: string }[]) halves.get(id)?.tokens.push(token);
}

const claim = (slot: string, which: 0 | 1): Command => ({
  check: () => true,
  run: (model, { replicas }) => claimed(model, slot, replicas[which]),
  toString: () => `claim(${slot}, replica ${which})`,
});

/**
 * The producer's checker says how the local transaction ended, or fences it: under a token that it just claimed at the other replica, under its last one,
 * under one that is spent, or under none of ours.
 */
type Token = "new" | "last" | "first" | "invented";
/** Which must have been claimed before. */
const tokensFor = { new: 0, last: 1, first: 2, invented: 0 } as const;

function answer(slot: string, which: 0 | 1, under: Token, crashes: boolean): Command {
  return {
    check: (model) => halfOf(model, `${model.run}-${slot}`).tokens.length >= tokensFor[under],
    async run(model, real) {
      const id = `${model.run}-${slot}`;
      const half = halfOf(model, id);
      if (under === "new") await claimed(model, slot, real.replicas[which === 0 ? 1 : 0]);
      const token = under === "invented" ? "7" : (half.tokens.at(under === "first" ? 0 : -1) ?? "7");
      if (half.local === "open" && under !== "invented") half.local = "fenced";
      const decision: Decision = half.local === "fenced" ? "rolled_back" : "committed";
      const answers = [{ id, token, barrier: null, decision, ...(decision === "rolled_back" ? { binding: true } : {}) }];
      const call = (): Promise<Answer> => real.replicas[which].call("POST", "/v1/producers/payments/checks:answer", { answers });
      const first = crashes ? call().catch(() => null) : null;
      if (crashes) await real.crash(which);
      const was = [await first, await answered(call)].flatMap((each) => (each?.status === 200 ? [each] : []));
      for (const { body } of was) {
        const [result] = body["results"] as { applied: boolean; state: string | null }[];
        const isApplied = !isDecided(half) && (result?.applied === true || (crashes && result?.state === decision));
        if (!isApplied) {
          if (half.state !== null) expectState(half, result?.state, id);
          expect(result?.applied, `I8 an answer of ${id} that decides nothing`).toBe(false);
          continue;
        }
        expect(token, `I8 the token that decides ${id}`).toBe(half.tokens.at(-1));
        Object.assign(half, { state: decision, decider: /^check:[0-9]+$/ });
        real.seen.applied += 1;
      }
    },
    toString: () => `answer(${slot}, replica ${which}, under the ${under} token${crashes ? ", and it crashes" : ""})`,
  };
}

/** Another producer prepares more than it may have undecided, at both replicas at once. */
const flood = (): Command => ({
  check: () => true,
  run: (_, real) => real.flooded(),
  toString: () => "flood()",
});

const crash = (which: 0 | 1): Command => ({
  check: () => true,
  run: (_, real) => real.crash(which),
  toString: () => `crash(replica ${which})`,
});

const steps: readonly Step[] = [
  prepare(0, false),
  prepare(0, false),
  prepare(0, true),
  prepare(1, true),
  prepare(1, false),
  {
    ...deciding("commit", "committed", byProducer, false, (replica, id) => replica.commit(id)),
    isWrong: commitsFenced,
    before: endsLocal("committed", ["undecided"]),
  },
  {
    ...deciding("rollback", "rolled_back", byProducer, true, (replica, id) => replica.rollback(id)),
    isWrong: rollsCommittedBack,
    before: endsLocal("fenced", [null, "undecided"]),
  },
  deciding("force-commit", "committed", byOperator, false, (replica, id) => replica.operate(id, "force-commit")),
  deciding("force-rollback", "rolled_back", byOperator, false, (replica, id) => replica.operate(id, "force-rollback")),
  committedWith(0),
  committedWith(1),
  extended,
  forged,
];

/** A run in which much happens for certain that a short campaign may leave out. */
export const certain = (): readonly Command[] => [
  command(prepare(0, false), "a", 0, false),
  answer("a", 1, "new", false),
  command(prepare(0, true), "b", 1, true),
  command(committedWith(1), "c", 0, true),
  command(forged, "b", 0, false),
  flood(),
];

const slot = fc.constantFrom("a", "b", "c");
const which = fc.constantFrom(0 as const, 1 as const);
const crashes = fc.integer({ min: 0, max: 9 }).map((drawn) => drawn === 0);
const under = fc.constantFrom<Token[]>("new", "new", "last", "first", "invented");

export const commands: readonly fc.Arbitrary<Command>[] = [
  ...steps.map((step) => fc.tuple(slot, which, crashes).map(([...at]) => command(step, ...at))),
  fc.tuple(slot, which).map(([...at]) => claim(...at)),
  fc.tuple(slot, which).map(([...at]) => claim(...at)),
  fc.tuple(slot, which, under, crashes).map(([...at]) => answer(...at)),
  fc.tuple(slot, which, under, crashes).map(([...at]) => answer(...at)),
  which.map(crash),
  fc.constant(null).map(flood),
];
