import { createServer, request as httpRequest } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { type HandleDeliveries, isWaybillError, sign, signingSecret, type WaybillEvent } from "@waybill/core";
import { type HttpReceiver, type HttpReceiverOptions, httpReceiver } from "@waybill/http";
import { waitUntil } from "@waybill/testing";
import { afterEach, describe, expect, test } from "vitest";
import { toRequest } from "../src/binary-mode.ts";
import { bytes, newMessage } from "./destination-server.ts";

const ours = signingSecret(`whsec_${Buffer.alloc(24, 1).toString("base64")}`);
const others = signingSecret(`whsec_${Buffer.alloc(24, 2).toString("base64")}`);

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
});

interface Running {
  readonly receiver: HttpReceiver;
  readonly port: number;
  readonly handled: string[];
  readonly events: WaybillEvent[];
  stop(): Promise<void>;
}

const doneWith: HandleDeliveries = async (batch) => batch.map(() => ({ kind: "done" }));

async function startReceiver(options: Partial<HttpReceiverOptions> = {}, handle: HandleDeliveries = doneWith): Promise<Running> {
  const events: WaybillEvent[] = [];
  const handled: string[] = [];
  const receiver = httpReceiver({ secrets: [ours], onEvent: (event) => events.push(event), ...options });
  const { port } = await receiver.listen({ port: 0 });
  const abort = new AbortController();
  const consuming = receiver.consume(
    async (batch) => {
      handled.push(...batch.map(({ message }) => message.id));
      return handle(batch);
    },
    { signal: abort.signal },
  );
  const stop = async (): Promise<void> => {
    abort.abort();
    await consuming;
  };
  cleanups.push(async () => {
    await stop();
    await receiver.close({ deadlineMs: 500 });
  });
  return { receiver, port, handled, events, stop };
}

interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

interface Sending {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: Uint8Array;
  /** The body is announced and never sent. */
  readonly holdsBody?: boolean;
}

function send(port: number, { method = "POST", headers = {}, body = new Uint8Array(0), holdsBody = false }: Sending): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)) as Record<string, string>;
    const request = httpRequest({ host: "127.0.0.1", port, method, headers: given, agent: false });
    let isAnswered = false;
    request.on("response", (response) => {
      isAnswered = true;
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: text.trim() });
        request.destroy();
      });
    });
    request.on("error", (error) => isAnswered || reject(error));
    if (holdsBody) request.flushHeaders();
    else request.end(body);
  });
}

/** A request that would be accepted; what a test breaks it breaks in here. */
function signed({
  secret = ours,
  atMs = Date.now(),
  message = newMessage(),
} = {}): Required<Pick<Sending, "headers" | "body">> & { readonly id: string } {
  const request = toRequest(message);
  if ("problem" in request) throw new Error(request.problem);
  const signature = sign([secret], { id: message.id, timestampMs: atMs, body: request.body });
  return { headers: { ...request.headers, ...signature }, body: request.body, id: message.id };
}

describe("signatures", () => {
  test("a signed message is handed over and answered with 200", async () => {
    const running = await startReceiver();
    const request = signed();
    expect(await send(running.port, request)).toMatchObject({ status: 200 });
    expect(running.handled).toEqual([request.id]);
    expect(running.events).toEqual([]);
  });

  test("during a rotation either secret is accepted", async () => {
    const running = await startReceiver({ secrets: [others, ours] });
    expect(await send(running.port, signed({ secret: ours }))).toMatchObject({ status: 200 });
    expect(await send(running.port, signed({ secret: others }))).toMatchObject({ status: 200 });
  });

  const minutes = (count: number): number => Date.now() + count * 60_000;
  const without = (name: string): Sending => {
    const { headers, body } = signed();
    return { headers: { ...headers, [name]: undefined }, body };
  };
  const changed = (name: string, value: string): Sending => {
    const { headers, body } = signed();
    return { headers: { ...headers, [name]: value }, body };
  };

  test.each<[string, () => Sending, string]>([
    ["no signature", () => without("webhook-signature"), "signatureMissing"],
    ["no id", () => without("webhook-id"), "signature.missing"],
    ["no timestamp", () => without("webhook-timestamp"), "signature.missing"],
    ["another's secret", () => signed({ secret: others }), "signature.forged"],
    ["another body", () => ({ ...signed(), body: bytes('{"orderId":"8"}') }), "signature.forged"],
    ["another timestamp", () => changed("webhook-timestamp", String(Math.floor(Date.now() / 1000) + 1)), "signature.forged"],
    ["another id", () => changed("webhook-id", newMessage().id), "signature.forged"],
    ["another version", () => changed("webhook-signature", "v2,AAAA"), "signature.forged"],
    ["a signature of the wrong length", () => changed("webhook-signature", "v1,AAAA"), "signature.forged"],
    ["a timestamp that is none", () => changed("webhook-timestamp", "yesterday"), "signature.malformed"],
    ["a time six minutes ago", () => signed({ atMs: minutes(-6) }), "signature.stale"],
    ["a time six minutes ahead", () => signed({ atMs: minutes(6) }), "signature.stale"],
  ])("%s is refused with 401 and nothing is handed over", async (_what, make, reason) => {
    const running = await startReceiver();
    expect(await send(running.port, make())).toMatchObject({ status: 401, text: reason });
    expect(running.handled).toEqual([]);
    expect(running.events).toEqual([{ name: "http.refused", status: 401, reason }]);
  });

  test.each([-4, 4])("a clock that is off by %i minutes is accepted", async (off) => {
    const running = await startReceiver();
    expect(await send(running.port, signed({ atMs: minutes(off) }))).toMatchObject({ status: 200 });
  });

  test("an id beside the signed one is refused: the signature covers webhook-id only", async () => {
    const running = await startReceiver();
    const { headers, body } = signed();
    expect(await send(running.port, { headers: { ...headers, "ce-id": newMessage().id }, body })).toMatchObject({
      status: 400,
      text: "malformed.id",
    });
    expect(running.handled).toEqual([]);
  });

  test("a receiver without secrets does not start, unless it is told to trust this host, and then listens to nobody else", async () => {
    expect(() => httpReceiver({})).toThrow(expect.objectContaining({ code: "WAYBILL_CONFIG_INVALID" }));
    const trusting = httpReceiver({ insecureUnsigned: true });
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "receiver.example"]) {
      const error: unknown = await trusting.listen({ host, port: 0 }).catch((reason: unknown) => reason);
      expect(isWaybillError(error, "WAYBILL_CONFIG_INVALID")).toBe(true);
    }
  });

  test("unsigned is accepted over loopback when that is allowed", async () => {
    const running = await startReceiver({ secrets: [], insecureUnsigned: true });
    const request = toRequest(newMessage());
    if ("problem" in request) throw new Error(request.problem);
    expect(await send(running.port, request)).toMatchObject({ status: 200 });
    expect(running.handled).toHaveLength(1);
  });

  test("unsigned is refused from elsewhere, though it is allowed over loopback and a server of the application's listens everywhere", async () => {
    const running = await startReceiver({ secrets: [], insecureUnsigned: true });
    const request = toRequest(newMessage());
    if ("problem" in request) throw new Error(request.problem);
    for (const [side, address] of [
      ["remoteAddress", "10.0.0.7"],
      ["localAddress", "192.0.2.1"],
    ] as const) {
      const server = createServer(running.receiver.listener);
      server.on("connection", (socket) => Object.defineProperty(socket, side, { value: address }));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      cleanups.push(async () => void server.close());
      const answer = await send((server.address() as AddressInfo).port, {
        ...request,
        headers: { ...request.headers, ...signed().headers },
      });
      expect(answer.status).toBe(401);
      expect(await send((server.address() as AddressInfo).port, request)).toMatchObject({ status: 401, text: "signatureMissing" });
    }
    expect(running.handled).toEqual([]);
  });

  test("a forged signature is refused also where unsigned is allowed", async () => {
    const running = await startReceiver({ insecureUnsigned: true });
    expect(await send(running.port, signed({ secret: others }))).toMatchObject({ status: 401 });
  });
});

describe("requests that are no message", () => {
  test.each(["ce-id", "ce-type", "ce-partitionkey", "webhook-signature", "content-type"])(
    "a request with two of %s is refused: nobody knows which is meant",
    async (name) => {
      const running = await startReceiver();
      const { headers, body } = signed();
      const twice = [headers[name], headers[name]] as unknown as string;
      const { status } = await send(running.port, { headers: { ...headers, [name]: twice }, body });
      expect([400, 401]).toContain(status);
      expect(running.handled).toEqual([]);
      expect(running.events).toHaveLength(1);
    },
  );

  test.each<[string, number, string, (request: ReturnType<typeof signed>) => Sending]>([
    ["GET", 405, "method", ({ headers }) => ({ method: "GET", headers: { ...headers, "content-length": undefined } })],
    ["PUT", 405, "method", (request) => ({ ...request, method: "PUT" })],
    [
      "structured mode",
      415,
      "notBinaryMode",
      ({ headers, body }) => ({ headers: { ...headers, "content-type": "application/cloudevents+json" }, body }),
    ],
    [
      "a batch",
      415,
      "notBinaryMode",
      ({ headers, body }) => ({ headers: { ...headers, "content-type": "application/cloudevents-batch+json" }, body }),
    ],
    ["no type", 400, "malformed.type", ({ headers, body }) => ({ headers: { ...headers, "ce-type": undefined }, body })],
    ["no id", 400, "malformed.id", ({ headers, body }) => ({ headers: { ...headers, "ce-id": undefined }, body })],
    [
      "another specversion",
      400,
      "malformed.specversion",
      ({ headers, body }) => ({ headers: { ...headers, "ce-specversion": "0.3" }, body }),
    ],
    ["bytes that are no text", 400, "malformed.encoding", ({ headers, body }) => ({ headers: { ...headers, "ce-type": "%FF" }, body })],
  ])("%s is refused with %i", async (_what, status, reason, broken) => {
    const running = await startReceiver();
    expect(await send(running.port, broken(signed()))).toMatchObject({ status, text: reason });
    expect(running.handled).toEqual([]);
    expect(running.events).toEqual([{ name: "http.refused", status, reason }]);
  });
});

describe("limits", () => {
  test("a body that is announced as too large is refused before a byte of it is sent", async () => {
    const running = await startReceiver({ bodyBytesMax: 1_000 });
    const { headers } = signed();
    const answer = await send(running.port, { headers: { ...headers, "content-length": "1001" }, holdsBody: true });
    expect(answer).toMatchObject({ status: 413, text: "bodyTooLarge" });
  });

  test("a sender of much too much still reads its answer", async () => {
    const running = await startReceiver({ bodyBytesMax: 1_000 });
    const answer = await send(running.port, signed({ message: newMessage({ payload: Buffer.alloc(200_000) }) }));
    expect(answer).toMatchObject({ status: 413 });
    expect(await send(running.port, signed())).toMatchObject({ status: 200 });
  });

  test("a body that grows too large without announcing it is refused", async () => {
    const running = await startReceiver({ bodyBytesMax: 1_000 });
    const request = signed({ message: newMessage({ payload: Buffer.alloc(2_000) }) });
    const headers = { ...request.headers, "content-length": undefined, "transfer-encoding": "chunked" };
    expect(await send(running.port, { headers, body: request.body })).toMatchObject({ status: 413 });
    expect(running.handled).toEqual([]);
  });

  test("the largest message that append takes is accepted", async () => {
    const running = await startReceiver();
    expect(await send(running.port, signed({ message: newMessage({ payload: Buffer.alloc(999_000) }) }))).toMatchObject({ status: 200 });
  });

  test("a body that does not come is given up", async () => {
    const running = await startReceiver({ bodyDeadlineMs: 100 });
    expect(await send(running.port, { ...signed(), holdsBody: true })).toMatchObject({ status: 408, text: "bodyTooSlow" });
  });

  test("headers that do not come are given up after five seconds, and others are served meanwhile", async () => {
    const running = await startReceiver();
    const from = performance.now();
    const slow = await dial(running.port);
    let isClosed = false;
    slow.on("close", () => {
      isClosed = true;
    });
    slow.write("POST / HTTP/1.1\r\n");
    const drip = setInterval(() => slow.write("x"), 200);
    try {
      expect(await send(running.port, signed())).toMatchObject({ status: 200 });
      await waitUntil(() => isClosed, { what: "the slow connection is closed", deadlineMs: 9_000, intervalMs: 50 });
    } finally {
      clearInterval(drip);
    }
    expect(performance.now() - from).toBeGreaterThan(4_000);
  });

  test("requests beyond the number that may be under way are asked to come again", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const running = await startReceiver({ requestsMax: 2 }, async (batch) => {
      await gate;
      return doneWith(batch);
    });
    const first = [send(running.port, signed()), send(running.port, signed())];
    await waitUntil(() => running.handled.length === 2, { what: "two are under way" });
    const refused = await send(running.port, signed());
    expect(refused).toMatchObject({ status: 503, text: "overloaded", headers: { "retry-after": "1" } });
    release();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200]);
    expect(await send(running.port, signed())).toMatchObject({ status: 200 });
  });

  test("bodies are held up to a number of bytes", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const running = await startReceiver({ bodyBytesMax: 1_000, bytesMax: 1_500 }, async (batch) => {
      await gate;
      return doneWith(batch);
    });
    const big = (): Sending => signed({ message: newMessage({ payload: Buffer.alloc(900) }) });
    const first = send(running.port, big());
    await waitUntil(() => running.handled.length === 1, { what: "one is under way" });
    expect(await send(running.port, big())).toMatchObject({ status: 503, text: "overloaded" });
    release();
    expect((await first).status).toBe(200);
  });
});

describe("settlement", () => {
  test("200 is sent only after the handler has ended", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const running = await startReceiver({}, async (batch) => {
      await gate;
      return doneWith(batch);
    });
    let isAnswered = false;
    const sending = send(running.port, signed()).finally(() => {
      isAnswered = true;
    });
    await waitUntil(() => running.handled.length === 1, { what: "it is handed over" });
    await send(running.port, { method: "GET" });
    expect(isAnswered).toBe(false);
    release();
    expect((await sending).status).toBe(200);
  });

  test.each([
    [0, "1"],
    [999, "1"],
    [1_001, "2"],
    [60_000, "60"],
  ])("'again' after %i ms is 503 with Retry-After: %s", async (afterMs, retryAfter) => {
    const running = await startReceiver({}, async (batch) => batch.map(() => ({ kind: "again", afterMs })));
    expect(await send(running.port, signed())).toMatchObject({ status: 503, text: "again", headers: { "retry-after": retryAfter } });
    expect(running.events).toEqual([]);
  });

  test.each<[string, HandleDeliveries]>([
    [
      "rejects",
      async () => {
        throw new Error("canary-3f9c");
      },
    ],
    [
      "throws",
      () => {
        throw new Error("canary-3f9c");
      },
    ],
    ["settles nothing", async () => []],
  ])("a handler that %s is 503, and its error stays here", async (_what, handle) => {
    const running = await startReceiver({}, handle);
    const answer = await send(running.port, signed());
    expect(answer).toMatchObject({ status: 503, text: "again", headers: { "retry-after": "1" } });
    expect(JSON.stringify(answer)).not.toContain("canary");
  });

  test("a sender that goes away while its message is handled disturbs nobody", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const running = await startReceiver({}, async (batch) => {
      await gate;
      return doneWith(batch);
    });
    const { headers, body } = signed();
    const socket = await dial(running.port);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`POST / HTTP/1.1\r\nhost: x\r\n${lines.join("")}\r\n`);
    socket.write(body);
    await waitUntil(() => running.handled.length === 1, { what: "it is handed over" });
    socket.resetAndDestroy();
    release();
    expect(await send(running.port, signed())).toMatchObject({ status: 200 });
  });
});

describe("life cycle", () => {
  test("before there is a consumer, and after it stopped, senders are asked to come again", async () => {
    const receiver = httpReceiver({ secrets: [ours] });
    const { port } = await receiver.listen({ port: 0 });
    cleanups.push(() => receiver.close({ deadlineMs: 500 }));
    expect(await send(port, signed())).toMatchObject({ status: 503, text: "noConsumer", headers: { "retry-after": "1" } });
    const abort = new AbortController();
    const consuming = receiver.consume(doneWith, { signal: abort.signal });
    expect(await send(port, signed())).toMatchObject({ status: 200 });
    await expect(receiver.consume(doneWith, { signal: abort.signal })).rejects.toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
    abort.abort();
    await consuming;
    expect(await send(port, signed())).toMatchObject({ status: 503 });
  });

  test("an abort lets what is under way end, refuses the rest, and closes idle connections", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const running = await startReceiver({}, async (batch) => {
      await gate;
      return doneWith(batch);
    });
    const idle = await dial(running.port);
    idle.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    await new Promise((resolve) => idle.once("data", resolve));
    let isIdleClosed = false;
    idle.on("close", () => {
      isIdleClosed = true;
    });
    const sending = send(running.port, signed());
    await waitUntil(() => running.handled.length === 1, { what: "it is handed over" });
    const stopping = running.stop();
    expect(await send(running.port, signed())).toMatchObject({ status: 503, text: "stopping", headers: { connection: "close" } });
    expect(running.handled).toHaveLength(1);
    release();
    expect(await sending).toMatchObject({ status: 200, headers: { connection: "close" } });
    await stopping;
    await waitUntil(() => isIdleClosed, { what: "the idle connection is closed", deadlineMs: 2_000 });
  });

  test("a closed receiver accepts no connection, and a second close resolves", async () => {
    const running = await startReceiver();
    await running.stop();
    await Promise.all([running.receiver.close(), running.receiver.close()]);
    await expect(send(running.port, signed())).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("a port that is taken is an error of configuration", async () => {
    const running = await startReceiver();
    const second = httpReceiver({ secrets: [ours] });
    await expect(second.listen({ port: running.port })).rejects.toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
    const { port } = await second.listen({ port: 0 });
    expect(port).not.toBe(running.port);
    await second.close();
  });

  test("it works on a server of the application's own, at a path of its choice", async () => {
    const running = await startReceiver();
    const server = createServer((request, response) => {
      if (request.url === "/messages") running.receiver.listener(request, response);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanups.push(
      () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    );
    const { port } = server.address() as AddressInfo;
    expect((await send(port, signed())).status).toBe(404);
    const { headers, body } = signed();
    const answer = await fetch(`http://127.0.0.1:${port}/messages`, {
      method: "POST",
      headers: headers as Record<string, string>,
      body: Buffer.from(body),
    });
    expect(answer.status).toBe(200);
  });
});

function dial(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject).on("error", () => undefined);
      cleanups.push(async () => void socket.destroy());
      resolve(socket);
    });
  });
}
