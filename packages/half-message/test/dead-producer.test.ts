/**
 * One producer of a hundred is dead, with very many half messages undecided: its endpoint takes calls and answers none. The others' checks go out in
 * time, every answer is recorded, whoever prepares meanwhile is served, and little of what is called is in vain.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { newMessageId, secret } from "@waybill/core";
import { httpCaller } from "@waybill/http";
import { forEachDatabaseInTurn, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createChecker, type ProducerOptions } from "../src/index.ts";
import { type HalfMessageFixture, halfMessageFixture } from "./half-message-fixture.ts";
import { checkSecret } from "./producer-fixture.ts";

const everything = process.env.WAYBILL_TEST_ALL === "1";
const producers = 100;
const undecidedOfDead = everything ? 100_000 : 5_000;
/** As many as are asked for at once: all answers come together, and they are more than the service takes into its line. */
const undecidedOfOthers = everything ? 1_000 : 200;
/** From the start of the service to the first check of the last of the others, and to the last decision. */
const askedWithinMs = 15_000;
const decidedWithinMs = everything ? 240_000 : 120_000;
const nameOf = (nth: number): string => `producer-${nth}`;
const dead = nameOf(0);

await forEachDatabaseInTurn("half-message dead producer", (server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
    });
    afterAll(() => fixture.close());

    test(
      `one producer of ${producers} is dead with ${undecidedOfDead} undecided: the others' checks go out in time, and calls to it stay below 5 % of all`,
      async () => {
        const calls = new Map<string, number>();
        const firstMs = new Map<string, number>();
        const checkers = new Map(
          Array.from({ length: producers }, (_, nth) => {
            const producer = nameOf(nth);
            return [producer, createChecker({ producer, secret: checkSecret, decide: async () => ({ decision: "committed" }) })] as const;
          }),
        );
        const endpoint = createServer((request, response) => {
          const producer = (request.url ?? "").slice(1);
          calls.set(producer, (calls.get(producer) ?? 0) + 1);
          if (!firstMs.has(producer)) firstMs.set(producer, performance.now());
          if (producer !== dead)
            checkers
              .get(producer)
              ?.handle(request, response)
              .catch(() => response.destroy());
        });
        await new Promise<void>((resolve) => endpoint.listen(0, "127.0.0.1", resolve));
        const { port } = endpoint.address() as AddressInfo;
        const optionsOf = (producer: string): ProducerOptions => ({
          check: {
            via: "push",
            url: `http://127.0.0.1:${port}/${producer}`,
            secret: secret(checkSecret),
            allowHttp: true,
            allowNetworks: ["127.0.0.0/8"],
            allowPorts: [port],
          },
        });
        await insert(dead, 1, undecidedOfDead);
        await insert(null, producers - 1, undecidedOfOthers);
        const pulled = { payments: { check: { via: "pull" } }, orders: { check: { via: "pull" } } } as const;
        const fromMs = performance.now();
        const replica = await fixture.replica({
          http: httpCaller(),
          producers: { ...pulled, ...Object.fromEntries([...checkers.keys()].map((producer) => [producer, optionsOf(producer)])) },
        });
        const refused: unknown[] = [];
        const others = (producers - 1) * undecidedOfOthers;
        await waitUntil(
          async () => {
            const { status, body } = await replica.prepare(newMessageId());
            if (status !== 201) refused.push(body);
            return (await fixture.count("half_message", "state = 'committed'")) === others;
          },
          { what: "all others are decided", deadlineMs: decidedWithinMs, intervalMs: 20 },
        );
        expect(refused).toEqual([]);
        expect(replica.events.filter(({ name }) => name === "halfMessage.checkNotRecorded")).toEqual([]);
        const all = [...calls.values()].reduce((sum, one) => sum + one, 0);
        const ofDead = calls.get(dead) ?? 0;
        firstMs.delete(dead);
        const lastAskedMs = Math.max(...firstMs.values()) - fromMs;
        expect(firstMs.size).toBe(producers - 1);
        expect(lastAskedMs).toBeLessThan(askedWithinMs);
        expect(ofDead).toBeGreaterThan(0);
        expect(ofDead / all).toBeLessThan(0.05);
        expect(await fixture.count("half_message", `producer = '${dead}' and state = 'prepared'`)).toBe(undecidedOfDead);
        endpoint.closeAllConnections();
        await replica.stop();
        await new Promise<void>((resolve) => endpoint.close(() => resolve()));
      },
      everything ? 600_000 : 180_000,
    );

    /** Due since a moment ago, of one producer or of all but the first. */
    async function insert(producer: string | null, from: number, each: number): Promise<void> {
      const columns = "(producer, id, state, fingerprint, message_count, prepare_token, prepared_by, check_at, suspend_at)";
      const count = producer === null ? from * each : each;
      for (let begun = 0; begun < count; begun += 10_000) {
        const rows = Math.min(10_000, count - begun);
        const name =
          producer === null
            ? { postgres: `'producer-' || ((n + ${begun}) / ${each} + 1)`, mysql: `concat('producer-', (n + ${begun}) div ${each} + 1)` }
            : { postgres: `'${producer}'`, mysql: `'${producer}'` };
        const sql =
          server.dialect === "postgres"
            ? `insert into waybill_half_message ${columns}
               select ${name.postgres}, 'due-' || (n + ${begun}), 'prepared', sha256('x'), 0, 1, 'k', now(), now() + interval '1 hour'
               from generate_series(0, ${rows - 1}) n`
            : `insert into waybill_half_message ${columns}
               with recursive digit (n) as (select 0 union all select n + 1 from digit where n < 9),
               number (n) as (select a.n + 10 * b.n + 100 * c.n + 1000 * d.n from digit a cross join digit b cross join digit c cross join digit d)
               select ${name.mysql}, concat('due-', n + ${begun}), 'prepared', unhex(sha2('x', 256)), 0, 1, 'k', utc_timestamp(6), utc_timestamp(6) + interval 1 hour
               from number where n < ${rows}`;
        await fixture.database.execute(sql, [], { deadlineMs: 60_000 });
      }
    }
  }),
);
