/** A producer killed at every step: what it leaves is decided by what its database says, and by nothing else. */
import type { ProducerEvent } from "@waybill/core";
import { type Child, forEachDatabase, startChild, startFaultProxy, type TestDatabaseServer, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newId } from "../barrier-fixture.ts";
import { type Replica, secrets } from "../half-message-fixture.ts";
import { hasItsTurn } from "../has-its-turn.ts";
import { type ProducerFixture, producerFixture } from "../producer-fixture.ts";

const program = new URL("../../dist-programs/test/crash/producer.child.js", import.meta.url);

/** COMMIT with what stands before it on the wire. */
function commitOn({ dialect, name }: TestDatabaseServer): string {
  if (dialect === "postgres") return "commit\u0000";
  return name.startsWith("mariadb") ? "\u0003commit" : "\u0001commit";
}

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: ProducerFixture;
    let replica: Replica;
    beforeAll(async () => {
      fixture = await producerFixture(server);
      replica = await fixture.replica({ check: { via: "pull" } }, { leaseMs: 1_000 });
    });
    beforeEach(() => fixture.clear());
    afterAll(() => fixture.close());

    const start = (wanted: {
      readonly does: "send" | "answer";
      readonly id?: string;
      readonly database?: string;
      readonly killAt?: ProducerEvent["name"];
    }): Promise<Child> => {
      const { does, id = "", database = fixture.shop.place.url, killAt = null } = wanted;
      const service = `http://127.0.0.1:${replica.ports.public}`;
      return startChild(program, { args: [JSON.stringify({ does, id, database, service, secret: secrets["payments-1"], killAt })] });
    };
    /** The producer is back, in this process. */
    const answer = (): (() => Promise<void>) => {
      const { producer } = fixture.producer(replica);
      const stop = new AbortController();
      const running = producer.runChecks({ signal: stop.signal });
      return async () => {
        stop.abort();
        await running;
      };
    };
    /** What must hold whenever somebody answers checks: the decision is what the database says, and what is delivered follows it. */
    const settled = async (id: string, state: "committed" | "rolled_back"): Promise<string> => {
      const stopAnswering = answer();
      const shown = await fixture.until(replica, id, state);
      await stopAnswering();
      const [payments, delivered] = [await fixture.shop.payments(), await fixture.service.count("delivery", `id = '${id}'`)];
      expect([payments, delivered]).toEqual(state === "committed" ? [1, 1] : [0, 0]);
      expect((shown["log"] as { event: string }[]).map(({ event }) => event)).toEqual([state]);
      return String(shown["decidedBy"]).replace(/[0-9]+$/, "n");
    };

    const killed = [
      ["producer.prepared", "rolled_back"],
      ["producer.joined", "rolled_back"],
      ["producer.worked", "rolled_back"],
      ["producer.committed", "committed"],
      ["producer.reporting", "committed"],
    ] as const;
    test.each(killed.filter(([at]) => hasItsTurn(server, at)))("H39 killed at %s: %s, by check-back", async (killAt, state) => {
      const id = newId();
      const child = await start({ does: "send", id, killAt });
      expect(await child.exited).toEqual({ code: null, signal: "SIGKILL" });
      expect(await settled(id, state)).toBe("check:n");
      expect(await fixture.shop.rows()).toEqual({ [id]: state === "committed" ? "committed" : "fenced" });
    });

    test.runIf(hasItsTurn(server, "producer.reported"))(
      "H39 killed after its commit was reported: committed, and reporting again changes nothing",
      async () => {
        const id = newId();
        const child = await start({ does: "send", id, killAt: "producer.reported" });
        expect(await child.exited).toEqual({ code: null, signal: "SIGKILL" });
        expect(await settled(id, "committed")).toBe("producer:payments-n");
        expect(await replica.commit(id)).toMatchObject({ status: 200, body: { changed: false } });
      },
    );

    test.each([
      { at: "swallowReplies", state: "committed", what: "when the database has committed and the producer never hears of it" },
      { at: "beforeRequest", state: "rolled_back", what: "before the COMMIT has reached the database" },
    ] as const)("killed in COMMIT, $what: $state, as the database says", async ({ at, state }) => {
      const { hostname, port } = new URL(fixture.shop.place.url);
      let child: Child | null = null;
      const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) }, onFault: () => child?.kill() });
      const pattern = commitOn(server);
      proxy.inject(at === "swallowReplies" ? { kind: "swallowReplies", pattern } : { kind: "cut", at, pattern });
      const id = newId();
      child = await start({ does: "send", id, database: proxy.url(fixture.shop.place.url) });
      expect(await child.exited).toEqual({ code: null, signal: "SIGKILL" });
      expect(await settled(id, state)).toBe("check:n");
      await proxy.stop();
    });

    const killedAnswering = ["producer.checksArrived", "producer.checksAnswered"] as const;
    test.each(killedAnswering.filter((at) => hasItsTurn(server, at)))(
      "killed while it answers a check, at %s: the next check reads the same fate",
      async (killAt) => {
        const [committed, rolledBack] = [newId(), newId()];
        for (const [id, at] of [
          [committed, "producer.committed"],
          [rolledBack, "producer.worked"],
        ] as const) {
          const child = await start({ does: "send", id, killAt: at });
          await child.exited;
        }
        const answering = await start({ does: "answer", killAt });
        expect(await answering.exited).toEqual({ code: null, signal: "SIGKILL" });
        const stopAnswering = answer();
        await waitUntil(
          async () => {
            const states = await Promise.all([committed, rolledBack].map(async (id) => (await replica.show(id)).body["state"]));
            return states.join() === "committed,rolled_back";
          },
          { what: "both are decided" },
        );
        await stopAnswering();
        expect(await fixture.shop.rows()).toEqual({ [committed]: "committed", [rolledBack]: "fenced" });
        expect(await fixture.service.count("delivery")).toBe(1);
      },
    );

    test.runIf(hasItsTurn(server, "producer.preparing"))("killed before it could prepare: nothing is there", async () => {
      const id = newId();
      const child = await start({ does: "send", id, killAt: "producer.preparing" });
      expect(await child.exited).toEqual({ code: null, signal: "SIGKILL" });
      expect((await replica.show(id)).status).toBe(404);
      expect(await fixture.shop.rows()).toEqual({});
    });
  }),
);
