import { createServer } from "node:http";
import { sign, signingSecret, systemClock } from "@waybill/core";
import { forEachDatabase, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createChecker, type Producer } from "../src/index.ts";
import { newId } from "./barrier-fixture.ts";
import type { Replica } from "./half-message-fixture.ts";
import { hasItsTurn } from "./has-its-turn.ts";
import { checkEndpoint, checkSecret, type ProducerFixture, producerFixture, soon, taken } from "./producer-fixture.ts";

const everything = process.env.WAYBILL_TEST_ALL === "1";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: ProducerFixture;
    const replicas: Replica[] = [];
    const own = server.dialect === "postgres" ? "pg" : "mysql2";
    const start = async (...given: Parameters<ProducerFixture["replica"]>): Promise<Replica> => {
      const replica = await fixture.replica(...given);
      replicas.push(replica);
      return replica;
    };
    const numbersOf = (id: string): readonly number[] =>
      fixture.endpoint.asked.filter((one) => one.id === id).map(({ checkNumber }) => checkNumber);
    /** Answers every check so. */
    const always = (decide: Parameters<typeof createChecker>[0]["decide"]): void => {
      const checker = createChecker({ producer: "payments", secret: checkSecret, decide });
      fixture.endpoint.handle = (request, response) => checker.handle(request, response);
    };
    const bodyOf = (id: string): { readonly messages: readonly unknown[] } => ({
      messages: [{ id, type: "shop.payment.taken.v1", topic: "payments", payload: "{}" }],
    });
    const prepareMany = async (replica: Replica, count: number): Promise<readonly string[]> => {
      const ids = Array.from({ length: count }, newId);
      for (let from = 0; from < count; from += 100) {
        const operations = ids.slice(from, from + 100).map((id) => ({ op: "prepare", id, halfMessage: bodyOf(id) }));
        const answer = await replica.call("POST", "/v1/producers/payments/half-messages:batch", { operations });
        expect((answer.body["results"] as { status: number }[]).every(({ status }) => status === 201)).toBe(true);
      }
      return ids;
    };
    const now = server.dialect === "postgres" ? "now()" : "utc_timestamp(6)";
    const makeDue = (): Promise<unknown> =>
      fixture.service.database.execute(`update waybill_half_message set check_at = ${now} where decided_at is null`, []);
    /** Of all that is prepared. */
    const endTime = (): Promise<unknown> =>
      fixture.service.database.execute(`update waybill_half_message set suspend_at = ${now} where state = 'prepared'`, []);
    /** A half message whose local transaction has committed, and whose producer has said nothing of it. No check is due. */
    const committed = async (producer: Producer): Promise<string> => {
      const half = await producer.prepare(taken());
      const open = await fixture.shop.begin(own);
      await half.join(open.handle);
      await open.commit();
      return half.id;
    };
    const count = (state: string): Promise<number> => fixture.service.count("half_message", `state = '${state}'`);

    beforeAll(async () => {
      fixture = await producerFixture(server);
    });
    beforeEach(() => fixture.clear());
    afterEach(async () => {
      await Promise.all(replicas.splice(0).map((replica) => replica.stop()));
    });
    afterAll(() => fixture.close());

    test("H2 a check answers committed while the producer commits: one delivery, one deciding log entry", async () => {
      const replica = await start();
      const { producer } = fixture.producer(replica);
      for (let round = 0; round < 5; round++) {
        const id = await committed(producer);
        await makeDue();
        await waitUntil(() => numbersOf(id).length > 0, { what: "a check is made", intervalMs: 1 });
        await replica.commit(id);
        const shown = await fixture.until(replica, id, "committed");
        expect((shown["log"] as { event: string }[]).map(({ event }) => event)).toEqual(["committed"]);
        expect(await fixture.service.count("delivery", `id = '${id}'`)).toBe(1);
      }
    });

    test("H3 a check rolled back, then the slow producer commits: its transaction is fenced, its commit call gets 409, nothing is delivered", async () => {
      const replica = await start();
      const { producer } = fixture.producer(replica, { checkAfterMs: 150 });
      const half = await producer.prepare(taken());
      const shown = await fixture.until(replica, half.id, "rolled_back");
      expect(shown["decidedBy"]).toBe("check:1");
      const open = await fixture.shop.begin(own);
      await expect(half.join(open.handle)).rejects.toMatchObject({ code: "WAYBILL_FENCED" });
      await open.rollback();
      expect(await replica.commit(half.id)).toMatchObject({ status: 409, body: { code: "already_rolled_back" } });
      const after = (await replica.show(half.id)).body;
      expect((after["log"] as { event: string }[]).map(({ event }) => event)).toEqual(["rolled_back", "conflict"]);
      expect(replica.alerts.map(({ kind }) => kind)).toContain("decision_conflict");
      expect(await fixture.service.count("delivery")).toBe(0);
    });

    test("H4 a decision while checks are queued: no further check of that id is sent", async () => {
      const replica = await start({ checkConcurrency: 1, checkBatch: 1 });
      let open: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      always(async () => {
        await gate;
        return { decision: "pending" };
      });
      const ids = await prepareMany(replica, 5);
      await waitUntil(() => fixture.endpoint.asked.length === 1, { what: "the first check is under way" });
      const asked = fixture.endpoint.asked[0]?.id;
      for (const id of ids) expect((await replica.commit(id)).status).toBe(200);
      open();
      // Asked for one after the other, the oldest first: whatever was queued would come before it.
      const [last] = (await prepareMany(replica, 1)) as [string];
      await waitUntil(() => numbersOf(last).length > 0, { what: "a later one is asked for" });
      expect(new Set(fixture.endpoint.asked.map(({ id }) => id))).toEqual(new Set([asked, last]));
    });

    test("H5 the producer's commit call is lost and everything restarts: delivered, and the whole history tells who decided", async () => {
      const first = await start();
      const { producer } = fixture.producer(first);
      const id = await committed(producer);
      const forced = await producer.prepare(taken());
      const byKey = await producer.prepare(taken());
      await byKey.settle();
      await first.operate(forced.id, "force-commit", "the customer called");
      await producer.close();
      await first.stop();
      replicas.splice(0);
      const second = await start();
      fixture.producer(second);
      await second.operate(id, "check-now");
      const shown = await fixture.until(second, id, "committed");
      expect(shown["decidedBy"]).toBe("check:1");
      expect(shown["log"]).toMatchObject([{ event: "committed", from: "prepared", to: "committed", actor: "check:1" }]);
      expect((shown["deliveries"] as unknown[]).length).toBe(1);
      expect((await second.show(forced.id)).body["log"]).toMatchObject([{ actor: "operator:operator-1", reason: "the customer called" }]);
      expect((await second.show(byKey.id)).body["log"]).toMatchObject([{ event: "rolled_back", actor: "producer:payments-1" }]);
    });

    test.runIf(hasItsTurn(server, "H6"))(
      "H6 more checks are due than are asked at once: none is lost, and the tables do not grow",
      async () => {
        const replica = await start({ checkConcurrency: 2, checkBatch: 10 });
        const seen = new Map<string, number>();
        always(async ({ id }) => {
          const times = (seen.get(id) ?? 0) + 1;
          seen.set(id, times);
          return times < 3 ? { decision: "pending" } : { decision: "rolled_back", binding: true };
        });
        const ids = await prepareMany(replica, 80);
        const rows = async (): Promise<readonly number[]> =>
          Promise.all(["half_message", "half_message_body", "decision_log", "nonce"].map((table) => fixture.service.count(table)));
        const before = await rows();
        await waitUntil(async () => (await count("rolled_back")) === 80, { what: "all are decided", deadlineMs: 60_000, intervalMs: 100 });
        const after = await rows();
        expect([after[0], after[1]]).toEqual([before[0], before[1]]);
        expect(ids.every((id) => seen.get(id) === 3)).toBe(true);
      },
    );

    test("H8 a restarted producer that has sent nothing yet receives its checks", async () => {
      const replica = await start();
      const { producer } = fixture.producer(replica);
      const id = await committed(producer);
      await producer.close();
      fixture.producer(replica);
      await makeDue();
      await fixture.until(replica, id, "committed");
    });

    test("H12 suspended half messages are listed with their counters, and resume checks at once", async () => {
      const replica = await start({ suspendedCheckMs: 0 });
      always(async () => ({ decision: "expired" }));
      const [id, other] = (await prepareMany(replica, 2)) as [string, string];
      for (const each of [id, other]) await fixture.until(replica, each, "suspended");
      const asOperator = { key: "operator-1", at: "admin" } as const;
      const listed = await replica.call("GET", "/admin/v1/half-messages?state=suspended", undefined, asOperator);
      expect(listed.body["items"]).toEqual(
        [id, other]
          .sort()
          .map((each) => expect.objectContaining({ id: each, checks: expect.objectContaining({ answered: 1, unanswered: 0 }) })),
      );
      // Nothing asks for them by itself now.
      always(async () => ({ decision: "committed" }));
      expect(await replica.operate(id, "resume")).toMatchObject({ status: 200, body: { state: "prepared" } });
      expect((await fixture.until(replica, id, "committed"))["decidedBy"]).toBe("check:2");
      expect([numbersOf(other), (await replica.show(other)).body["state"]]).toEqual([[1], "suspended"]);
    });

    test.runIf(hasItsTurn(server, "H13"))(
      "H13 pending a great many times is asked on, never dropped; 429 and 503 are asked again and count as no answer",
      async () => {
        const replica = await start({
          pendingDelaysMs: [50],
          unansweredBackoff: { firstMs: 50, maxMs: 50 },
          breaker: { failuresMax: 1_000, firstMs: 50, maxMs: 50 },
        });
        always(async () => ({ decision: "pending" }));
        const [id] = (await prepareMany(replica, 1)) as [string];
        await waitUntil(() => numbersOf(id).length >= (everything ? 100 : 30), { what: "it was asked very often", deadlineMs: 60_000 });
        fixture.endpoint.handle = (_, response) => void response.writeHead(numbersOf(id).length % 2 === 0 ? 429 : 503).end();
        await waitUntil(async () => Number(((await replica.show(id)).body["checks"] as { unanswered: number }).unanswered) >= 2, {
          what: "refusals are counted",
        });
        const { answered } = (await replica.show(id)).body["checks"] as { answered: number };
        await waitUntil(async () => Number(((await replica.show(id)).body["checks"] as { unanswered: number }).unanswered) >= 5, {
          what: "and go on",
        });
        const shown = (await replica.show(id)).body;
        expect([shown["state"], (shown["checks"] as { answered: number }).answered]).toEqual(["prepared", answered]);
      },
    );

    test("H14 one producer with a great many due checks: another's single check is not behind them", async () => {
      const many = everything ? 50_000 : 5_000;
      const other = await checkEndpoint();
      const both = {
        payments: { ...soon, check: fixture.endpoint.check },
        orders: { ...soon, check: other.check },
      };
      let open: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      // All calls that may be made for the many at once are under way until the single one is decided.
      always(async () => {
        await gate;
        return { decision: "pending" };
      });
      const checker = createChecker({ producer: "orders", secret: checkSecret, decide: async () => ({ decision: "committed" }) });
      other.handle = (request, response) => checker.handle(request, response);
      const dialect =
        server.dialect === "postgres"
          ? `insert into waybill_half_message (producer, id, state, fingerprint, message_count, prepare_token, prepared_by, check_at, suspend_at)
           select 'payments', 'due-' || n, 'prepared', sha256('x'), 0, 1, 'payments-1', now(), now() + interval '1 hour' from generate_series(1, ${many}) n`
          : `insert into waybill_half_message (producer, id, state, fingerprint, message_count, prepare_token, prepared_by, check_at, suspend_at)
           with recursive digit (n) as (select 0 union all select n + 1 from digit where n < 9)
           select 'payments', concat('due-', a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n), 'prepared', unhex(sha2('x', 256)), 0, 1, 'payments-1', utc_timestamp(6), utc_timestamp(6) + interval 1 hour
           from digit a cross join digit b cross join digit c cross join digit d cross join digit e where a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n < ${many}`;
      await fixture.service.database.execute(dialect, [], { deadlineMs: 60_000 });
      const replica = await start({}, { producers: both });
      await waitUntil(() => fixture.endpoint.asked.length > 50, { what: "the many are asked for" });
      const before = fixture.endpoint.asked.length;
      expect((await replica.prepare("single", bodyOf("single"), "orders")).status).toBe(201);
      await waitUntil(() => other.asked.length > 0, { what: "the single one is asked for" });
      expect(fixture.endpoint.asked.length - before).toBeLessThan(many / 2);
      await waitUntil(async () => (await replica.show("single", "orders")).body["state"] === "committed", { what: "it is decided" });
      expect(await count("prepared")).toBe(many);
      open();
      await other.close();
    });

    test.runIf(hasItsTurn(server, "H15"))(
      "H15 a check endpoint that gives anything but an answer leaves it prepared, at the deadline suspended, with an alert, never decided",
      async () => {
        const json = "application/json";
        const replies: Readonly<Record<string, readonly [status: number, type: string, body: string]>> = {
          "stack-trace": [200, "text/plain", "Error: boom\n    at handler (app.js:1:1)"],
          html: [200, "text/html", "<html>OK</html>"],
          nothing: [200, json, ""],
          "another-word": [200, json, '{"decision":"COMMIT"}'],
          unsigned: [200, json, '{"version":1,"producer":"payments","answers":[]}'],
          "no-content": [204, json, ""],
          redirect: [302, json, ""],
          "not-found": [404, json, "{}"],
          failure: [500, "text/plain", "no"],
        };
        const ids = Object.keys(replies);
        const replica = await start({ checkBatch: 1, breaker: { failuresMax: 1_000, firstMs: 50, maxMs: 50 } });
        fixture.endpoint.handle = (request, response) => {
          let text = "";
          request.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
          request.on("end", () => {
            const [status, type, body] = replies[/"id":"([^"]+)"/.exec(text)?.[1] ?? ""] ?? [500, json, ""];
            response.writeHead(status, { "content-type": type, location: "/elsewhere" }).end(body);
          });
        };
        for (const id of ids) expect((await replica.prepare(id, bodyOf(id))).status).toBe(201);
        await waitUntil(() => ids.every((id) => numbersOf(id).length > 0), { what: "all are asked for" });
        expect(await count("prepared")).toBe(ids.length);
        await endTime();
        for (const id of ids) {
          const shown = await fixture.until(replica, id, "suspended");
          expect(shown["checks"]).toMatchObject({ answered: 0 });
          expect(shown["log"]).toMatchObject([{ event: "suspended", reason: "deadline" }]);
          await waitUntil(() => replica.alerts.some(({ kind, subject }) => kind === "suspended" && subject === `payments/${id}`), {
            what: "and an alert is raised",
          });
        }
        const before = numbersOf("html").length;
        await waitUntil(() => numbersOf("html").length > before, { what: "it is asked for slowly on" });
        always(async () => ({ decision: "committed" }));
        for (const id of ids) await fixture.until(replica, id, "committed");
      },
    );

    test("a half message is suspended while a check of it is under way: the check's answer counts", async () => {
      const replica = await start({ checkTimeoutMs: 30_000, suspendGraceMs: 50 }, { leaseMs: 60_000 });
      let open: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      always(async () => {
        await gate;
        return { decision: "committed" };
      });
      const [id] = (await prepareMany(replica, 1)) as [string];
      await waitUntil(() => numbersOf(id).length > 0, { what: "a check is under way" });
      await endTime();
      await fixture.until(replica, id, "suspended");
      open();
      expect((await fixture.until(replica, id, "committed"))["decidedBy"]).toBe("check:1");
      expect(numbersOf(id)).toEqual([1]);
    });

    test.runIf(hasItsTurn(server, "H15, not configured"))(
      "H15 a check endpoint that is not configured leaves it prepared, at the deadline suspended, with alerts",
      async () => {
        const replica = await start({ check: { via: "push" }, unreachableAlertMs: 200 });
        const [id] = (await prepareMany(replica, 1)) as [string];
        const kinds = (): readonly string[] => replica.alerts.map(({ kind }) => kind);
        await waitUntil(() => kinds().includes("producer_unreachable"), { what: "an alert is raised" });
        expect((await replica.show(id)).body["state"]).toBe("prepared");
        await endTime();
        await fixture.until(replica, id, "suspended");
        await waitUntil(() => kinds().includes("suspended"), { what: "an alert is raised of that, too" });
      },
    );

    test.runIf(hasItsTurn(server, "forged"))(
      "an answer with another barrier, a forged or stale one, and one under another request's id are no answers",
      async () => {
        const replica = await start();
        const { producer } = fixture.producer(replica, { checkAfterMs: 150 });
        const half = await producer.prepare(taken());
        const secrets = [signingSecret(checkSecret)];
        let forge: "barrier" | "secret" | "id" | "stale" = "barrier";
        fixture.endpoint.handle = (request, response) => {
          const chunks: Buffer[] = [];
          request.on("data", (chunk: Buffer) => chunks.push(chunk));
          request.on("end", () => {
            const { checks } = JSON.parse(Buffer.concat(chunks).toString("utf8")) as {
              checks: { id: string; token: string; barrier: string }[];
            };
            const answers = checks.map(({ id, token, barrier }) => ({
              id,
              token,
              barrier: forge === "barrier" ? newId() : barrier,
              decision: "committed",
            }));
            const body = JSON.stringify({ version: 1, producer: "payments", answers });
            const signed = sign(forge === "secret" ? [signingSecret(`whsec_${Buffer.alloc(32, 1).toString("base64")}`)] : secrets, {
              id: forge === "id" ? newId() : (request.headers["webhook-id"] as string),
              timestampMs: Date.now() - (forge === "stale" ? 3_600_000 : 0),
              body: Buffer.from(body),
            });
            response.writeHead(200, { "content-type": "application/json", ...signed }).end(body);
          });
        };
        for (const each of ["barrier", "secret", "id", "stale"] as const) {
          forge = each;
          const before = numbersOf(half.id).length;
          await waitUntil(() => numbersOf(half.id).length >= before + 2, { what: `${each} is asked again` });
        }
        const shown = (await replica.show(half.id)).body;
        expect([shown["state"], (shown["checks"] as { answered: number }).answered]).toEqual(["prepared", 0]);
        expect(replica.alerts.map(({ kind }) => kind)).toContain("barrier_mismatch");
        fixture.producer(replica);
        await fixture.until(replica, half.id, "rolled_back");
      },
    );

    test.runIf(hasItsTurn(server, "H18"))("H18 a checker slower than checkTimeoutMs never has one id twice at once", async () => {
      const replica = await start({ checkTimeoutMs: 200 }, { leaseMs: 2_000 });
      const second = await start({ checkTimeoutMs: 200 }, { leaseMs: 2_000 });
      // It never answers, and may be at work for as long as the lease lasts.
      const atMs: number[] = [];
      fixture.endpoint.handle = () => void atMs.push(performance.now());
      const [id] = (await prepareMany(replica, 1)) as [string];
      await waitUntil(() => numbersOf(id).length >= 2, { what: "it was asked for again", deadlineMs: 60_000 });
      // Three times the call's own time, and as much less than the lease as a slow machine may need from the claim to the call.
      expect((atMs[1] ?? 0) - (atMs[0] ?? 0)).toBeGreaterThan(600);
      expect(second.alerts).toEqual([]);
    });

    test.runIf(hasItsTurn(server, "H19"))(
      "H19 a producer that was down for long is decided by the first check after it is back, and no operator is needed",
      async () => {
        const replica = await start({
          unansweredBackoff: { firstMs: 100, maxMs: 200 },
          breaker: { failuresMax: 3, firstMs: 100, maxMs: 200 },
        });
        const { producer } = fixture.producer(replica);
        const id = await committed(producer);
        const answering = fixture.endpoint.handle;
        fixture.endpoint.handle = (_, response) => void response.writeHead(502).end();
        await makeDue();
        await waitUntil(() => numbersOf(id).length >= 6, { what: "it was asked for in vain" });
        let answered = 0;
        fixture.endpoint.handle = (request, response) => {
          answered += 1;
          return answering(request, response);
        };
        await fixture.until(replica, id, "committed");
        expect(answered).toBe(1);
      },
    );

    test.runIf(hasItsTurn(server, "Retry-After"))("a producer that answers Retry-After is left alone for that long", async () => {
      const replica = await start();
      fixture.endpoint.handle = (_, response) => void response.writeHead(503, { "retry-after": "1" }).end();
      const [id] = (await prepareMany(replica, 1)) as [string];
      await waitUntil(() => numbersOf(id).length === 1, { what: "it is asked for" });
      const fromMs = performance.now();
      await waitUntil(() => numbersOf(id).length === 2, { what: "it is asked for again" });
      expect(performance.now() - fromMs).toBeGreaterThan(150);
    });

    test.runIf(hasItsTurn(server, "not found"))(
      "not found suspends after its grace and never rolls back; a rollback that is not binding is no more",
      async () => {
        const replica = await start({ unfencedGraceMs: 500 });
        let answer: { decision: "not_found" } | { decision: "rolled_back" } = { decision: "not_found" };
        always(async () => answer);
        for (const each of [{ decision: "not_found" } as const, { decision: "rolled_back" } as const]) {
          answer = each;
          const [id] = (await prepareMany(replica, 1)) as [string];
          const shown = await fixture.until(replica, id, "suspended");
          expect(shown["log"]).toMatchObject([{ event: "suspended", reason: "not_binding" }]);
        }
        expect(await count("rolled_back")).toBe(0);
      },
    );

    test("an answer that is too old for the barrier suspends", async () => {
      const replica = await start();
      always(async () => ({ decision: "expired" }));
      const [id] = (await prepareMany(replica, 1)) as [string];
      expect((await fixture.until(replica, id, "suspended"))["log"]).toMatchObject([{ reason: "barrier_expired" }]);
    });

    test("H32 two replicas and a great many due checks: each check number is sent once", async () => {
      const many = everything ? 1_000 : 200;
      // Due at once when both replicas are there. Leases longer than the slowest machine needs for a call, so that each is asked in its turn.
      const waiting = [{ checkAfterMs: 3_600_000, checkTimeoutMs: 10_000 }, { leaseMs: 30_000 }] as const;
      const first = await start(...waiting);
      always(async () => ({ decision: "pending" }));
      const ids = await prepareMany(first, many);
      await start(...waiting);
      await makeDue();
      await waitUntil(() => new Set(fixture.endpoint.asked.map(({ id }) => id)).size === ids.length, {
        what: "all are asked for",
        deadlineMs: 60_000,
      });
      const seen = fixture.endpoint.asked.map(({ id, checkNumber }) => `${id}/${checkNumber}`);
      expect(new Set(seen).size).toBe(seen.length);
    });

    test.runIf(hasItsTurn(server, "H33")).each([3_600_000, -3_600_000])(
      "H33 the wall clock of a replica is off by %i ms: due times and leases are the same, and its signatures fail",
      async (off) => {
        const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + off };
        const replica = await start({ checkAfterMs: 800 }, { clock });
        const signatures: string[] = [];
        const checker = createChecker({ producer: "payments", secret: checkSecret, decide: async () => ({ decision: "committed" }) });
        fixture.endpoint.handle = (request, response) => {
          response.on("finish", () => signatures.push(String(response.statusCode)));
          return checker.handle(request, response);
        };
        // By a replica whose clock is right: the one that is wrong refuses the producer's signature.
        const right = await start({ check: { via: "pull" } });
        expect(await replica.prepare(newId(), {})).toMatchObject({ status: 401, body: { code: "signature_expired" } });
        const fromMs = performance.now();
        const id = newId();
        await right.prepare(id, { check: { afterMs: 800, suspendAfterMs: 60_000 } });
        await waitUntil(() => numbersOf(id).length > 0, { what: "it is asked for", intervalMs: 5 });
        expect(performance.now() - fromMs).toBeGreaterThan(750);
        await waitUntil(() => signatures.length > 0, { what: "it is answered" });
        expect(signatures[0]).toBe("401");
        expect((await right.show(id)).body["state"]).toBe("prepared");
      },
    );

    test("pull: a producer that nobody can call fetches its checks and answers them, and waits for what is not due yet", async () => {
      const replica = await start({ check: { via: "pull" } });
      const { producer } = fixture.producer(replica);
      const stop = new AbortController();
      const running = producer.runChecks({ signal: stop.signal });
      const [kept, dropped] = [await committed(producer), (await producer.prepare(taken())).id];
      await makeDue();
      expect((await fixture.until(replica, kept, "committed"))["decidedBy"]).toBe("check:1");
      expect((await fixture.until(replica, dropped, "rolled_back"))["decidedBy"]).toBe("check:1");
      expect(fixture.endpoint.asked).toEqual([]);
      stop.abort();
      await running;
    });

    test.runIf(hasItsTurn(server, "pull, lease"))(
      "pull: what was claimed and not answered is asked for again when its lease ends, under the next number and another token",
      async () => {
        const replica = await start({ check: { via: "pull" } }, { leaseMs: 2_000 });
        const [id] = (await prepareMany(replica, 1)) as [string];
        const claim = async (waitMs: number): Promise<{ id: string; checkNumber: number; token: string }[]> =>
          (await replica.call("POST", "/v1/producers/payments/checks:claim", { max: 10, waitMs })).body["checks"] as {
            id: string;
            checkNumber: number;
            token: string;
          }[];
        const [first] = await claim(30_000);
        expect(first).toMatchObject({ id, checkNumber: 1 });
        expect(await claim(0)).toEqual([]);
        const [second] = await claim(30_000);
        expect(second).toMatchObject({ id, checkNumber: 2 });
        const answer = async (token: string, decision: string): Promise<unknown> =>
          (await replica.call("POST", "/v1/producers/payments/checks:answer", { answers: [{ id, token, barrier: null, decision }] })).body[
            "results"
          ];
        expect(await answer(first?.token ?? "", "committed")).toMatchObject([{ applied: false, why: "stale_token" }]);
        const said = ["committed", "pending"].map((decision) => ({ id, token: second?.token ?? "", barrier: null, decision }));
        const both = await replica.call("POST", "/v1/producers/payments/checks:answer", { answers: said });
        const refused = { applied: false, state: "prepared", why: "contradiction" };
        expect(both.body["results"]).toMatchObject([refused, refused]);
        expect(await answer(second?.token ?? "", "committed")).toMatchObject([{ applied: true, state: "committed" }]);
        expect(await answer(second?.token ?? "", "committed")).toMatchObject([{ applied: false, why: "already_decided" }]);
      },
    );

    test.runIf(hasItsTurn(server, "pull, nobody"))("pull: nobody asks, and at its deadline it is suspended, with an alert", async () => {
      const replica = await start({ check: { via: "pull" }, unreachableAlertMs: 300 });
      const id = newId();
      await replica.prepare(id, { check: { afterMs: 100, suspendAfterMs: 400 } });
      await fixture.until(replica, id, "suspended");
      for (const wanted of ["suspended", "producer_unreachable"])
        await waitUntil(() => replica.alerts.some(({ kind }) => kind === wanted), { what: `an alert that it is ${wanted}` });
    });

    test("direct: the service looks into the producer's barrier itself", async () => {
      const replica = await start({ check: { via: "direct", database: fixture.shop.database } });
      const { producer } = fixture.producer(replica);
      const [kept, dropped] = [await committed(producer), (await producer.prepare(taken())).id];
      await makeDue();
      await fixture.until(replica, kept, "committed");
      await fixture.until(replica, dropped, "rolled_back");
      expect((await fixture.shop.rows())[dropped]).toBe("fenced");
      expect(fixture.endpoint.asked).toEqual([]);
    });

    test("a check carries the trace of its message", async () => {
      const replica = await start();
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
      const heard: (string | string[] | undefined)[] = [];
      const { producer } = fixture.producer(replica, { checkAfterMs: 150 });
      const answering = fixture.endpoint.handle;
      fixture.endpoint.handle = (request, response) => {
        heard.push(request.headers["traceparent"]);
        return answering(request, response);
      };
      const message = { ...taken(), headers: new Map([...taken().headers, ["traceparent", traceparent]]) };
      const half = await producer.prepare(message);
      await fixture.until(replica, half.id, "rolled_back");
      expect(heard).toContain(traceparent);
    });

    test.runIf(hasItsTurn(server, "hanging"))(
      "a dead producer's endpoint that hangs keeps nobody else waiting, and the service stops within its time",
      async () => {
        const calls = new Set<object>();
        const hanging = createServer((request) => {
          calls.add(request.socket);
          request.socket.on("close", () => calls.delete(request.socket));
        });
        await new Promise<void>((resolve) => hanging.listen(0, "127.0.0.1", resolve));
        const { port } = hanging.address() as { port: number };
        const dead = { ...fixture.endpoint.check, url: `http://127.0.0.1:${port}/`, allowPorts: [port] };
        const replica = await start(
          {},
          {
            leaseMs: 600_000,
            shutdownMs: 500,
            producers: { payments: { ...soon, check: fixture.endpoint.check }, orders: { ...soon, check: dead, checkTimeoutMs: 300_000 } },
          },
        );
        const { producer } = fixture.producer(replica, { checkAfterMs: 150 });
        for (let n = 0; n < 20; n++) await replica.prepare(`dead-${n}`, bodyOf(`dead-${n}`), "orders");
        await waitUntil(() => calls.size > 0, { what: "the dead one is asked" });
        const half = await producer.prepare(taken());
        await fixture.until(replica, half.id, "rolled_back");
        await replica.stop();
        replicas.splice(0);
        expect(calls.size).toBeGreaterThan(0);
        hanging.closeAllConnections();
        hanging.close();
      },
    );
  }),
);
