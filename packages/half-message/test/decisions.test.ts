import { newMessageId } from "@waybill/core";
import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Answer, type HalfMessageFixture, halfMessageFixture, message, type Replica } from "./half-message-fixture.ts";

const everything = process.env.WAYBILL_TEST_ALL === "1";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    let one: Replica;
    let other: Replica;
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
      one = await fixture.replica();
      other = await fixture.replica();
    });
    afterAll(() => fixture.close());

    const statuses = (answers: readonly Answer[]): readonly number[] => answers.map(({ status }) => status).sort((a, b) => a - b);
    const deciding = (id: string): Promise<number> =>
      fixture.count("decision_log", `id = '${id}' and event in ('committed', 'rolled_back')`);
    const deliveries = (id: string): Promise<number> => fixture.count("delivery", `id = '${id}'`);

    test("H1 the same commit twice, also at once on two replicas, makes one delivery and is told once as a change", async () => {
      for (let round = 0; round < 20; round += 1) {
        const id = newMessageId();
        await one.prepare(id);
        const answers = await Promise.all([one.commit(id), other.commit(id), one.commit(id)]);
        expect(statuses(answers)).toEqual([200, 200, 200]);
        expect(answers.filter(({ body }) => body.changed === true)).toHaveLength(1);
        expect(await deliveries(id)).toBe(1);
        expect(await deciding(id)).toBe(1);
      }
    });

    test("H9 a commit on another replica than the prepare, also after all were restarted, works", async () => {
      const [first, second] = [newMessageId(), newMessageId()];
      await one.prepare(first);
      expect(await other.commit(first)).toMatchObject({ status: 200, body: { changed: true } });
      await one.prepare(second);
      await Promise.all([one.stop(), other.stop()]);
      one = await fixture.replica();
      other = await fixture.replica();
      expect(await other.commit(second)).toMatchObject({ status: 200, body: { changed: true } });
    });

    test("H29 identical prepares on two replicas at once make one row and one set of bodies", async () => {
      for (let round = 0; round < 20; round += 1) {
        const id = newMessageId();
        const body = { messages: [message({ id: `${id}-1` }), message({ id: `${id}-2` })] };
        const answers = await Promise.all([one.prepare(id, body), other.prepare(id, body)]);
        expect(statuses(answers)).toEqual([200, 201]);
        expect(await fixture.count("half_message", `id = '${id}'`)).toBe(1);
        expect(await fixture.count("half_message_body", `id = '${id}'`)).toBe(2);
      }
    });

    test("H31 a commit with its body before the prepare creates it decided; a bare one waits for the prepare", async () => {
      const [carried, bare] = [newMessageId(), newMessageId()];
      const halfMessage = { barrier: null, messages: [message()] };
      expect(await one.commit(carried, { halfMessage })).toMatchObject({
        status: 201,
        body: { state: "committed", created: true, changed: true },
      });
      expect(await one.prepare(carried)).toMatchObject({ status: 409, body: { code: "already_committed" } });
      expect(await deliveries(carried)).toBe(1);
      expect(await one.commit(bare)).toMatchObject({ status: 404, body: { code: "unknown_half_message" } });
      await one.prepare(bare);
      expect(await one.commit(bare)).toMatchObject({ status: 200, body: { changed: true } });
    });

    test("commits with a body at once, on two replicas, create one", async () => {
      for (let round = 0; round < 10; round += 1) {
        const id = newMessageId();
        const halfMessage = { barrier: null, messages: [message()] };
        const answers = await Promise.all([one.commit(id, { halfMessage }), other.commit(id, { halfMessage }), one.prepare(id)]);
        expect(answers.filter(({ body }) => body.changed === true)).toHaveLength(1);
        expect(await deliveries(id)).toBe(1);
        expect(await fixture.count("half_message_body", `id = '${id}'`)).toBe(1);
      }
    });

    test("a rollback before the prepare spends the id: a later prepare must not begin", async () => {
      const id = newMessageId();
      expect(await one.rollback(id)).toMatchObject({ status: 200, body: { state: "rolled_back", created: true, changed: true } });
      expect(await one.rollback(id)).toMatchObject({ status: 200, body: { created: false, changed: false } });
      expect(await one.prepare(id)).toMatchObject({ status: 409, body: { code: "already_rolled_back" } });
      expect(await one.commit(id)).toMatchObject({ status: 409, body: { code: "already_rolled_back" } });
      expect(await deliveries(id)).toBe(0);
    });

    test("H3 a commit after a rollback is refused, entered in the log and told, and nothing is delivered", async () => {
      const id = newMessageId();
      await one.prepare(id);
      await one.rollback(id);
      expect(await one.commit(id)).toMatchObject({ status: 409, body: { code: "already_rolled_back", state: "rolled_back" } });
      expect(await deliveries(id)).toBe(0);
      expect(await fixture.count("decision_log", `id = '${id}' and event = 'conflict'`)).toBe(1);
      expect(one.alerts).toContainEqual(expect.objectContaining({ kind: "decision_conflict", subject: `payments/${id}` }));
    });

    test("H35 force-rollback against the producer's commit has one winner, and the other one is refused and in the log", async () => {
      for (let round = 0; round < (everything ? 300 : 40); round += 1) {
        const id = newMessageId();
        await one.prepare(id);
        const answers = await Promise.all([one.commit(id), other.operate(id, "force-rollback")]);
        expect(statuses(answers)).toEqual([200, 409]);
        const isCommitted = answers[0]?.status === 200;
        expect(await deciding(id)).toBe(1);
        expect(await deliveries(id)).toBe(isCommitted ? 1 : 0);
        expect(await fixture.count("decision_log", `id = '${id}' and event = 'conflict'`)).toBe(1);
      }
    });

    test("a batch answers each operation as if it had come alone, those of one id in their order", async () => {
      const [first, second, third] = [newMessageId(), newMessageId(), newMessageId()];
      const halfMessage = { barrier: null, messages: [message()] };
      const operations = [
        { op: "prepare", id: first, halfMessage },
        { op: "prepare", id: second, halfMessage: { messages: [message({ topic: "elsewhere" })] } },
        { op: "commit", id: first },
        { op: "rollback", id: third, reason: "never began" },
        { op: "prepare", id: third, halfMessage },
        { op: "commit", id: "a.b" },
      ];
      const { status, body } = await one.call("POST", "/v1/producers/payments/half-messages:batch", { operations });
      expect(status).toBe(200);
      expect(body.results).toMatchObject([
        { id: first, status: 201 },
        { id: second, status: 422, body: { code: "topic_not_routed" } },
        { id: first, status: 200, body: { state: "committed", changed: true } },
        { id: third, status: 200, body: { state: "rolled_back" } },
        { id: third, status: 409, body: { code: "already_rolled_back" } },
        { status: 400, body: { code: "malformed_request" } },
      ]);
    });

    test("an extension moves the next check, and never behind the deadline", async () => {
      const id = newMessageId();
      await one.prepare(id, { check: { afterMs: 1_000, suspendAfterMs: 60_000 } });
      const target = `/v1/producers/payments/half-messages/${id}/extend`;
      const { status, body } = await one.call("POST", target, { forMs: 30_000 });
      expect(status).toBe(200);
      const afterMs = Date.parse(String(body.nextCheckAt)) - Date.parse(String(body.preparedAt));
      expect(afterMs).toBeGreaterThan(29_000);
      const { body: capped } = await one.call("POST", target, { forMs: 3_600_000 });
      expect(capped.nextCheckAt).toBe(capped.suspendAt);
      await one.commit(id);
      expect(await one.call("POST", target, { forMs: 1_000 })).toMatchObject({ status: 409, body: { code: "already_committed" } });
    });

    test("an operator may look at a payload, and the log says that he did", async () => {
      const id = newMessageId();
      await one.prepare(id, { messages: [message({ payload: "hé" })] });
      const target = `/admin/v1/producers/payments/half-messages/${id}/payloads`;
      const { status, body } = await one.call("GET", `${target}/0`, undefined, { key: "operator-1", at: "admin" });
      expect([status, Buffer.from(String(body.payloadBase64), "base64").toString("utf8")]).toEqual([200, "hé"]);
      expect(await one.call("GET", `${target}/1`, undefined, { key: "operator-1", at: "admin" })).toMatchObject({ status: 404 });
      const { body: shown } = await one.show(id);
      expect(shown.log).toMatchObject([{ event: "revealed", actor: "operator:operator-1", reason: "message 0" }]);
    });

    test("metrics say how many half messages of a producer are undecided, and how near the next deadline is", async () => {
      const own = await fixture.replica();
      const read = async (name: string): Promise<number | null> => {
        const { body } = await own.call("GET", "/metrics", undefined, { key: "operator-1", at: "admin" });
        const found = new RegExp(`^${name}\\{producer="orders"\\} (\\S+)$`, "m").exec(String(body.text));
        return found === null ? null : Number(found[1]);
      };
      const id = newMessageId();
      expect([await read("waybill_half_undecided"), await read("waybill_half_deadline_seconds")]).toEqual([0, null]);
      await own.prepare(id, { check: { suspendAfterMs: 60_000 } }, "orders");
      expect(await read("waybill_half_undecided")).toBe(1);
      expect(await read("waybill_half_deadline_seconds")).toBeGreaterThan(30);
      await own.commit(id, {}, "orders");
      expect([await read("waybill_half_undecided"), await read("waybill_half_deadline_seconds")]).toEqual([0, null]);
      await own.stop();
    });

    test("a list shows a producer's half messages by id, page by page, and nobody else's", async () => {
      const ids = ["list-a", "list-b", "list-c"];
      for (const id of ids) await one.prepare(id, {}, "orders");
      await one.rollback("list-b", "orders");
      const list = (query: string) => one.call("GET", `/v1/producers/orders/half-messages?${query}`, undefined, { key: "orders-1" });
      const idsOf = ({ body }: Answer): unknown => (body.items as { id: string }[]).map(({ id }) => id);
      const first = await list("limit=2&after=list");
      expect(idsOf(first)).toEqual(["list-a", "list-b"]);
      const rest = await list(`limit=2&after=${String(first.body.next)}`);
      expect([idsOf(rest), rest.body.next]).toEqual([["list-c"], null]);
      expect(idsOf(await list("state=rolled_back"))).toEqual(["list-b"]);
    });
  }),
);
