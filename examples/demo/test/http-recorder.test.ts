import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digest, readReceivedLog } from "@waybill/auditor";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startHttpRecorder } from "../src/http-recorder.ts";
import type { Recorder } from "../src/recorder.ts";

let folder: string;
let recorder: Recorder;
let server: Server;
let handle: RequestListener;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "waybill-recorder-"));
  server = createServer((request, response) => handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  recorder = await startHttpRecorder({
    subscription: "orders",
    port: (server.address() as AddressInfo).port,
    file: join(folder, "log.jsonl"),
  });
});

afterEach(async () => {
  await recorder.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

const send = (headers: Record<string, string> = {}): Promise<Response> =>
  fetch(recorder.url, {
    method: "POST",
    headers: { "ce-id": "a", "ce-topic": "orders", "ce-partitionkey": "gr%C3%BCn", "ce-sequence": "7", ...headers },
    body: '{"a":1}',
  });
const entry = { subscription: "orders", messageId: "a", topic: "orders", key: "grün", sequence: 7n, payloadDigest: digest('{"a":1}') };

test("a message is written down before it is passed on, and the answer passed back", async () => {
  let before = -1;
  handle = (request, response) => {
    before = recorder.received.length;
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () =>
      response
        .writeHead(503, { "retry-after": "3" })
        .end(`${request.url} ${String(request.headers["ce-id"])} ${Buffer.concat(chunks).toString()}`),
    );
  };
  const next = recorder.next(5_000);
  const answer = await send();
  expect([answer.status, answer.headers.get("retry-after"), await answer.text()]).toEqual([503, "3", '/messages a {"a":1}']);
  expect(before).toBe(1);
  expect(recorder.received).toEqual([entry]);
  expect(await next).toBe(true);
  expect(await readReceivedLog(join(folder, "log.jsonl"))).toEqual([entry]);
});

test("repetitions are all written down, and counted once", async () => {
  handle = (_, response) => response.end();
  await send();
  await send();
  await send({ "ce-id": "b" });
  expect(recorder.received).toHaveLength(3);
  expect(recorder.distinct()).toBe(2);
  expect((await readFile(join(folder, "log.jsonl"), "utf8")).trim().split("\n")).toHaveLength(3);
});

test("a service that is dead, or dies while it answers, is a 502 or a broken connection, never a confirm", async () => {
  handle = (request) => request.socket.destroy();
  expect((await send()).status).toBe(502);
  handle = (request, response) => {
    response.writeHead(200, { "content-length": "10" });
    response.write("half");
    setImmediate(() => request.socket.destroy());
  };
  await expect(send().then((answer) => answer.text())).rejects.toThrow();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect((await send()).status).toBe(502);
  expect(recorder.received).toHaveLength(3);
});

test("waiting for a message that does not come ends at the deadline", async () => {
  expect(await recorder.next(10)).toBe(false);
});
