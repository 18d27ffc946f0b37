import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { signingSecret, systemClock, verifySignature, type WaybillEvent } from "@waybill/core";
import { waitUntil } from "@waybill/testing";
import { afterEach, expect, test } from "vitest";
import { type AlertHookOptions, alertHook, type StartedAlertHook } from "../src/index.ts";

const secret = signingSecret(`whsec_${Buffer.alloc(24, 7).toString("base64")}`);
const alert = { kind: "failure_rate", subject: "inventory", detail: "11 of the last 1000 attempts failed." } as const;

interface Called {
  readonly headers: Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string> & IncomingHttpHeaders;
  readonly body: Buffer;
}

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A hook whose calls are answered with these statuses, and with 200 when there are none left. */
async function setUp(
  statuses: readonly number[] = [],
  options: Partial<AlertHookOptions> = {},
): Promise<{ readonly hook: StartedAlertHook; readonly calls: Called[]; readonly events: WaybillEvent[] }> {
  const left = [...statuses];
  const calls: Called[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      calls.push({ headers: request.headers as Called["headers"], body: Buffer.concat(chunks) });
      response.writeHead(left.shift() ?? 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const events: WaybillEvent[] = [];
  const hook = alertHook({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`,
    secrets: [secret],
    backoff: { firstMs: 1, maxMs: 5 },
    onEvent: (event) => void events.push(event),
    ...options,
  });
  closing.push(async () => {
    await hook.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { hook, calls, events };
}

test("an alert is posted as JSON, signed", async () => {
  const { hook, calls, events } = await setUp();
  hook.onAlert(alert);
  await waitUntil(() => events.length === 1, { what: "it was told" });
  expect(events).toEqual([{ name: "http.alertTold", kind: "failure_rate", subject: "inventory", attempts: 1 }]);
  const { headers, body } = calls[0] as Called;
  expect(JSON.parse(body.toString())).toMatchObject({ version: 1, ...alert });
  expect(headers["content-type"]).toBe("application/json");
  verifySignature([secret], headers, body, systemClock.wallMs());
});

test("what is not taken is told again under the same id, and given up after its calls; later ones have their turn", async () => {
  const { hook, calls, events } = await setUp([500, 503, 200, 404, 404, 404], { attemptsMax: 3 });
  hook.onAlert(alert);
  hook.onAlert({ ...alert, kind: "dead_letter" });
  hook.onAlert({ ...alert, subject: "order" });
  await waitUntil(() => events.length === 3, { what: "all have ended" });
  expect(events).toMatchObject([
    { name: "http.alertTold", kind: "failure_rate", attempts: 3 },
    { name: "http.alertNotTold", kind: "dead_letter", attempts: 3, reason: "status 404" },
    { name: "http.alertTold", subject: "order", attempts: 1 },
  ]);
  const ids = calls.map(({ headers }) => headers["webhook-id"]);
  expect([ids.length, new Set(ids.slice(0, 3)).size, new Set(ids.slice(3, 6)).size, new Set(ids).size]).toEqual([7, 1, 1, 3]);
});

test("no more than a hundred wait, and after its close nothing is told: every alert is accounted for", async () => {
  const { hook, events } = await setUp(
    Array.from({ length: 1_000 }, () => 500),
    { backoff: { firstMs: 60_000, maxMs: 60_000 } },
  );
  for (let index = 0; index < 110; index += 1) hook.onAlert(alert);
  const reasons = (): readonly string[] => events.flatMap((event) => (event.name === "http.alertNotTold" ? [event.reason] : []));
  expect(reasons()).toEqual(Array.from({ length: 10 }, () => "tooMany"));
  await hook.close();
  hook.onAlert(alert);
  expect(reasons()).toHaveLength(111);
  expect(reasons().at(-1)).toBe("stopping");
});

test("a hook without a secret, or to a plain URL that is not of this host, is refused", () => {
  expect(() => alertHook({ url: "https://alerts.example/", secrets: [] })).toThrow(/secrets/);
  expect(() => alertHook({ url: "http://alerts.example/", secrets: [secret] })).toThrow(/url/);
  expect(() => alertHook({ url: "nowhere", secrets: [secret], attemptsMax: 0 })).toThrow(/attemptsMax/);
});
