import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { freePort, waitUntil } from "@waybill/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Call, type Gate, startGate } from "../src/half-message/gate.ts";

let gate: Gate;
let server: Server;
let handle: RequestListener;
const patience = { deadlineMs: 30_000, signal: new AbortController().signal };

beforeEach(async () => {
  handle = (request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(201, { "x-seen": "yes" }).end(request.url));
  };
  server = createServer((request, response) => handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // One replica is there and one is not: every call finds the one that is.
  gate = await startGate([(server.address() as AddressInfo).port, await freePort()]);
});

afterEach(async () => {
  await gate.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const path = "/v1/producers/payments/half-messages/id-1";
const prepare = () => fetch(gate.url + path, { method: "PUT", body: "{}" });
const commit = () => fetch(`${gate.url + path}/commit`, { method: "POST", body: "{}" });

test("calls are passed on to a replica that is there, and answers back as they are; none there is 502", async () => {
  for (const path of ["/a", "/b?c=d", "/e"]) {
    const answer = await fetch(gate.url + path);
    expect([answer.status, answer.headers.get("x-seen"), await answer.text()]).toEqual([201, "yes", path]);
  }
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  // A kept connection may break first, which is no answer.
  await waitUntil(async () => (await prepare().catch(() => null))?.status === 502, { what: "a call is answered with 502" });
});

test("a fault happens in the middle of the next such call, once", async () => {
  const seen: Call[] = [];
  const happened = gate.next(
    { point: "answered", verbs: ["prepare"], isWanted: ({ status }) => status === 201 },
    (call) => {
      seen.push(call);
      return Promise.resolve("go on");
    },
    patience,
  );
  expect((await commit()).status).toBe(201);
  expect((await prepare()).status).toBe(201);
  expect(await happened).toBe(true);
  expect((await prepare()).status).toBe(201);
  expect(seen).toEqual([{ verb: "prepare", id: "id-1", body: "{}", replica: 0, status: 201 }]);
});

test("a call that is dropped goes no further, and its caller gets no answer", async () => {
  let calls = 0;
  const before = handle;
  handle = (request, response) => {
    calls += 1;
    before(request, response);
  };
  const arrived = gate.next({ point: "arrived", verbs: ["commit"] }, () => Promise.resolve("drop"), patience);
  await expect(commit()).rejects.toThrow();
  expect([await arrived, calls]).toEqual([true, 0]);
  const answered = gate.next({ point: "answered", verbs: ["commit"] }, () => Promise.resolve("drop"), patience);
  await expect(commit()).rejects.toThrow();
  expect([await answered, calls]).toEqual([true, 1]);
});

test("a replica that dies with a call is no answer, and the call is not made again", async () => {
  let calls = 0;
  handle = (request) => {
    calls += 1;
    request.socket.destroy();
  };
  await expect(commit()).rejects.toThrow();
  expect(calls).toBe(1);
});

test("waiting for a call that does not come ends at the deadline, or with the run", async () => {
  const moment = { point: "arrived", verbs: ["ack"] } as const;
  expect(await gate.next(moment, () => Promise.resolve("drop"), { ...patience, deadlineMs: 10 })).toBe(false);
  const stop = new AbortController();
  const waiting = gate.next(moment, () => Promise.resolve("drop"), { ...patience, signal: stop.signal });
  stop.abort();
  expect(await waiting).toBe(false);
  expect(await gate.next(moment, () => Promise.resolve("drop"), { ...patience, signal: stop.signal })).toBe(false);
});
