import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { waitUntil } from "@waybill/testing";
import { expect, test } from "vitest";
import { createLoad } from "../src/load.ts";
import { createPlan, requestOf } from "../src/plan.ts";

test("a request is made until it is known what became of it, always with its own id", async () => {
  const { orders } = createPlan(1, 40);
  const attempts = new Map<string, number>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { orderId, totalCents } = JSON.parse(Buffer.concat(chunks).toString()) as { orderId: string; totalCents: number };
      const attempt = (attempts.get(orderId) ?? 0) + 1;
      attempts.set(orderId, attempt);
      if (attempt === 1) request.socket.destroy();
      else if (attempt === 2) response.writeHead(503).end();
      else response.writeHead(totalCents > 100_000_000 ? 402 : 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const load = createLoad({
    requests: orders.map(requestOf),
    url,
    concurrency: 8,
    topic: "orders",
    mayBegin: () => 40,
    signal: AbortSignal.timeout(20_000),
  });
  const intents = await load.run();
  expect(load.answered()).toBe(40);
  expect(load.repeated()).toBe(80);
  expect([...attempts.values()].every((count) => count === 3)).toBe(true);
  expect(new Map(intents.map(({ messageId, outcome }) => [messageId, outcome]))).toEqual(
    new Map(orders.map(({ orderId, isRolledBack }) => [orderId, isRolledBack ? "rolledBack" : "committed"])),
  );
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test("a request that nobody answered until the end is unknown", async () => {
  const load = createLoad({
    requests: createPlan(1, 20).orders.map(requestOf),
    url: "http://127.0.0.1:1",
    mayBegin: () => 20,
    concurrency: 4,
    topic: "orders",
    signal: AbortSignal.timeout(200),
  });
  const intents = await load.run();
  expect(intents).toHaveLength(20);
  expect(new Set(intents.map(({ outcome }) => outcome))).toEqual(new Set(["unknown"]));
});

test("a request waits until it may begin", async () => {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(request.url ?? "");
    request.resume();
    response.writeHead(201).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let mayBegin = 7;
  const load = createLoad({
    requests: createPlan(1, 20).orders.map(requestOf),
    url,
    concurrency: 4,
    topic: "orders",
    mayBegin: () => mayBegin,
    signal: AbortSignal.timeout(20_000),
  });
  const running = load.run();
  await waitUntil(() => load.answered() === 7, { what: "seven orders are placed" });
  expect(seen).toHaveLength(7);
  mayBegin = 20;
  await running;
  expect(seen).toHaveLength(20);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
