/**
 * The API against a model, in random order: prepares, commits, rollbacks, extensions and what an operator does, repeated, on two replicas that share one
 * database and are now and then replaced by others.
 *
 * The model is what a producer may believe: the state of each id, and the first body it was stored with. After each call the answer is compared with it, and at the
 * end the tables: each decision stands and is entered once, with who made it; what is committed has one delivery per message and destination, with the bytes that were
 * prepared; what is rolled back, or undecided, has none.
 */
import { forEachDatabase } from "@waybill/testing";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Answer, type HalfMessageFixture, halfMessageFixture, message, type Replica } from "./half-message-fixture.ts";

const runs = process.env.WAYBILL_TEST_ALL === "1" ? 150 : 12;
const ids = ["a", "b", "c"] as const;

interface Model {
  readonly run: string;
  readonly states: Map<string, "prepared" | "committed" | "rolled_back">;
  /** Which body it was stored with; none: rolled back before it was prepared. */
  readonly bodies: Map<string, number>;
}

interface Real {
  replicas: readonly [Replica, Replica];
  readonly restart: (which: 0 | 1) => Promise<void>;
}

type Command = fc.AsyncCommand<Model, Real>;

function bodyOf(variant: number): Readonly<Record<string, unknown>> {
  const messages = Array.from({ length: variant + 1 }, (_, index) =>
    message({ id: `m${index}`, payload: `body ${variant} ${index}`, key: null }),
  );
  return { barrier: null, messages };
}

/** A call, with what the model expects of its answer. */
function step(
  name: string,
  call: (replica: Replica, id: string) => Promise<Answer>,
  expected: (model: Model, id: string) => readonly [number, string?],
  then: (model: Model, id: string) => void,
) {
  return (slot: string, which: 0 | 1): Command => ({
    check: () => true,
    async run(model, real) {
      const id = `${model.run}-${slot}`;
      const [status, code] = expected(model, id);
      const answer = await call(real.replicas[which], id);
      expect([answer.status, answer.body.code], `${name} ${slot}`).toEqual([status, code]);
      if (status < 300) then(model, id);
      const state = model.states.get(id);
      if (status < 300 && state !== undefined) expect(answer.body.state).toBe(state);
    },
    toString: () => `${name}(${slot}, replica ${which})`,
  });
}

const refusalOf = { committed: "already_committed", rolled_back: "already_rolled_back" } as const;

function prepared(variant: number) {
  return step(
    `prepare ${variant}`,
    (replica, id) => replica.call("PUT", `/v1/producers/payments/half-messages/${id}`, bodyOf(variant)),
    ({ states, bodies }, id) => {
      const [state, body] = [states.get(id), bodies.get(id)];
      if (state === undefined) return [201];
      if (body !== undefined && body !== variant) return [422, "payload_mismatch"];
      return state === "prepared" ? [200] : [409, refusalOf[state]];
    },
    ({ states, bodies }, id) => {
      states.set(id, "prepared");
      bodies.set(id, variant);
    },
  );
}

function decided(name: string, to: "committed" | "rolled_back", call: (replica: Replica, id: string) => Promise<Answer>, creates: boolean) {
  return step(
    name,
    call,
    ({ states }, id) => {
      const state = states.get(id);
      if (state === undefined) return creates ? [200] : [404, "unknown_half_message"];
      return state === "prepared" || state === to ? [200] : [409, refusalOf[state]];
    },
    ({ states }, id) => states.set(id, to),
  );
}

function committedWith(variant: number) {
  return step(
    `commit with body ${variant}`,
    (replica, id) => replica.commit(id, { halfMessage: bodyOf(variant) }),
    ({ states, bodies }, id) => {
      const [state, body] = [states.get(id), bodies.get(id)];
      if (state === undefined) return [201];
      if (body !== undefined && body !== variant) return [422, "payload_mismatch"];
      return state === "rolled_back" ? [409, "already_rolled_back"] : [200];
    },
    ({ states, bodies }, id) => {
      if (!states.has(id)) bodies.set(id, variant);
      states.set(id, "committed");
    },
  );
}

const extended = step(
  "extend",
  (replica, id) => replica.call("POST", `/v1/producers/payments/half-messages/${id}/extend`, { forMs: 1_000 }),
  ({ states }, id) => {
    const state = states.get(id);
    if (state === undefined) return [404, "unknown_half_message"];
    return state === "prepared" ? [200] : [409, refusalOf[state]];
  },
  () => undefined,
);

const restart = (which: 0 | 1): Command => ({
  check: () => true,
  run: (_, real) => real.restart(which),
  toString: () => `replace replica ${which}`,
});

const slot = fc.constantFrom(...ids);
const which = fc.constantFrom(0 as const, 1 as const);
const steps = [
  prepared(0),
  prepared(0),
  prepared(1),
  decided("commit", "committed", (replica, id) => replica.commit(id), false),
  decided("rollback", "rolled_back", (replica, id) => replica.rollback(id), true),
  decided("force-commit", "committed", (replica, id) => replica.operate(id, "force-commit"), false),
  decided("force-rollback", "rolled_back", (replica, id) => replica.operate(id, "force-rollback"), false),
  committedWith(0),
  committedWith(1),
  extended,
].map((make) => fc.tuple(slot, which).map(([id, replica]) => make(id, replica)));

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    let replicas: [Replica, Replica];
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
      replicas = [await fixture.replica(), await fixture.replica()];
    });
    afterAll(() => fixture.close());

    test("whatever is called in whatever order, the answers and the tables are those of the model", async () => {
      let run = 0;
      await fc.assert(
        fc.asyncProperty(fc.commands([...steps, which.map(restart)], { maxCommands: 30 }), async (commands) => {
          run += 1;
          const model: Model = { run: `run${run}`, states: new Map(), bodies: new Map() };
          const real: Real = {
            get replicas() {
              return replicas;
            },
            set replicas(_) {},
            async restart(index) {
              await replicas[index].stop();
              replicas[index] = await fixture.replica();
            },
          };
          await fc.asyncModelRun(() => ({ model, real }), commands);
          await audit(model);
        }),
        { numRuns: runs },
      );
    });

    async function audit({ run, states, bodies }: Model): Promise<void> {
      const rows = await fixture.rows(`select id, state, version, decided_by from waybill_half_message where id like '${run}-%'`);
      expect(new Map(rows.map(({ id, state }) => [id, state]))).toEqual(states);
      for (const [id, state] of states) {
        const isDecided = state !== "prepared";
        const deciding = await fixture.rows(
          `select actor from waybill_decision_log where id = '${id}' and event in ('committed', 'rolled_back')`,
        );
        expect(deciding.map(({ actor }) => actor)).toEqual(isDecided ? [rows.find((row) => row.id === id)?.decided_by] : []);
        const variant = bodies.get(id);
        const deliveries = await fixture.rows(`select message_id from waybill_delivery where id = '${id}' order by seq`);
        const expected =
          state === "committed" && variant !== undefined ? Array.from({ length: variant + 1 }, (_, index) => `m${index}`) : [];
        expect(deliveries.map((row) => row.message_id)).toEqual(expected);
        const stored = await fixture.rows(`select payload from waybill_half_message_body where id = '${id}' order by ordinal`);
        const bytes = variant === undefined ? [] : Array.from({ length: variant + 1 }, (_, index) => `body ${variant} ${index}`);
        expect(stored.map(({ payload }) => Buffer.from(payload as Uint8Array).toString("utf8"))).toEqual(bytes);
      }
    }
  }),
);
