/**
 * Two replicas on one database, each a process of its own, and one of them ends while both are at work: in order, or killed.
 *
 * Producers call either, and whoever has no answer asks the other with the same id. In the end every half message is what its producer said, or what its
 * check was answered; each was decided once; what is committed arrived, all of its copies alike, and nothing else did.
 */
import { newMessageId } from "@waybill/core";
import { forEachDatabaseInTurn, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createChecker } from "../src/index.ts";
import { type Arrivals, listenForArrivals } from "./arrivals.ts";
import { type Answer, type HalfMessageFixture, halfMessageFixture, secrets } from "./half-message-fixture.ts";
import { type ServiceChild, startServiceChild } from "./service-child.ts";

const producersAtOnce = 8;
const halfMessages = process.env.WAYBILL_TEST_ALL === "1" ? 2_000 : 400;
/** Of those, what is done when one of the replicas ends. */
const doneBefore = 100;

type Fate = "committed" | "rolled_back";

await forEachDatabaseInTurn("half-message replica loss", (server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    let arrivals: Arrivals;
    let replicas: readonly [ServiceChild, ServiceChild];
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
    });
    afterEach(async () => {
      for (const { child } of replicas) child.kill();
      await Promise.all(replicas.map(({ child }) => child.exited));
      await arrivals.close();
    });
    afterAll(() => fixture.close());

    test.each(["SIGTERM", "SIGKILL"] as const)(
      "one of two replicas ends by %s while both are at work: nothing that was answered is lost, and the other one finishes it",
      async (signal) => {
        arrivals = await listenForArrivals();
        const options = { url: fixture.url, destination: arrivals.url("/web"), checks: arrivals.url("/checks") };
        replicas = [await startServiceChild(options), await startServiceChild(options)];
        /** What became of the local transaction, once its prepare was acknowledged. */
        const fates = new Map<string, Fate>();
        const checker = createChecker({
          producer: "payments",
          secret: `whsec_${Buffer.from(secrets["payments-1"]).toString("base64")}`,
          decide: async ({ id }) => ({ decision: fates.get(id) ?? "pending", binding: true }),
        });
        arrivals.reply = async ({ url, headers }, response, body) => {
          if (url !== "/checks") return void response.end();
          const answer = await checker.answer({ headers, body });
          response.writeHead(answer.status, answer.headers).end(answer.body);
        };

        let turn = 0;
        const acknowledged: { readonly id: string; readonly state: unknown }[] = [];
        /** Asks one replica after the other until one has done it. */
        const insist = (what: string, ask: (replica: ServiceChild) => Promise<Answer | null>): Promise<Answer> =>
          waitUntil(
            async () => {
              turn += 1;
              const answer = await ask(replicas[turn % 2] as ServiceChild);
              // A replica that is gone, or about to go, or whose answer to a repetition says that it was done.
              if (answer === null || answer.status === 503) return null;
              expect([what, answer.status]).toEqual([what, expect.toBeOneOf([200, 201])]);
              return answer;
            },
            { what, deadlineMs: 60_000 },
          );
        let begun = 0;
        let done = 0;
        const produce = async (): Promise<void> => {
          while (begun < halfMessages) {
            const nth = begun++;
            const id = newMessageId();
            const fate: Fate = nth % 3 === 0 ? "rolled_back" : "committed";
            await insist("prepare", (replica) => replica.prepare(id));
            fates.set(id, fate);
            // Every fifth producer dies here, and its check tells.
            if (nth % 5 !== 0) {
              const { body } = await insist(fate, (replica) => (fate === "committed" ? replica.commit(id) : replica.rollback(id)));
              acknowledged.push({ id, state: body["state"] });
            }
            done += 1;
          }
        };
        const producing = Promise.all(Array.from({ length: producersAtOnce }, produce));
        await Promise.race([producing, waitUntil(() => done >= doneBefore, { what: "both are at work" })]);
        expect(begun).toBeLessThan(halfMessages);
        const struckMs = performance.now();
        replicas[0].child.kill(signal);
        expect(await replicas[0].child.exited).toEqual(signal === "SIGTERM" ? { code: 0, signal: null } : { code: null, signal });
        expect(performance.now() - struckMs).toBeLessThan(10_000);
        await producing;
        expect(acknowledged.filter(({ id, state }) => state !== fates.get(id))).toEqual([]);

        const isOpen = "state in ('prepared', 'suspended')";
        await waitUntil(async () => (await fixture.count("half_message", isOpen)) === 0, { what: "all are decided", deadlineMs: 60_000 });
        const isUnderWay = "state <> 'acked'";
        await waitUntil(async () => (await fixture.count("delivery", isUnderWay)) === 0, { what: "all is delivered", deadlineMs: 60_000 });
        const states = await fixture.rows("select id, state from waybill_half_message");
        const mine = new Map(states.map(({ id, state }) => [id, state]));
        for (const [id, fate] of fates) expect([id, mine.get(id)]).toEqual([id, fate]);
        const decided = await fixture.rows(
          "select id, count(*) as n from waybill_decision_log where event in ('committed', 'rolled_back') group by id",
        );
        expect(decided.filter(({ n }) => Number(n) !== 1)).toEqual([]);
        expect(await fixture.count("decision_log", "event = 'conflict'")).toBe(0);
        const wanted = [...fates].flatMap(([id, fate]) => (fate === "committed" ? [id] : []));
        expect(new Set(arrivals.ids("/web"))).toEqual(new Set(wanted));
        const copies = new Set(arrivals.all.flatMap(({ path, id, body }) => (path === "/web" ? [`${id} ${body}`] : [])));
        expect(copies.size).toBe(wanted.length);
        expect(await replicas[1].stop()).toEqual({ code: 0, signal: null });
      },
    );
  }),
);
