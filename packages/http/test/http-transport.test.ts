import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { type PublishOutcome, signingSecret, type Transport, type WaybillEvent } from "@waybill/core";
import { type HttpTransportOptions, httpCaller, httpTransport } from "@waybill/http";
import { freePort, manualClock, selfSigned, waitUntil } from "@waybill/testing";
import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, test } from "vitest";
import { newMessage, startDestination, startRawDestination } from "./destination-server.ts";

const secretText = `whsec_${Buffer.alloc(24, 1).toString("base64")}`;
const secrets = [signingSecret(secretText)];

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function start<Started extends { close(): Promise<void> }>(starting: Promise<Started>): Promise<Started> {
  const started = await starting;
  opened.push(started);
  return started;
}

function transportTo(url: string, more: Partial<HttpTransportOptions> = {}): Transport {
  const transport = httpTransport({ url, secrets, ...more } as HttpTransportOptions);
  opened.push({ close: () => transport.close({ deadlineMs: 500 }) });
  return transport;
}

async function publishOne(transport: Transport, topic = "orders", deadlineMs = 5_000): Promise<PublishOutcome> {
  const [outcome] = await transport.publish([newMessage({ topic })], { deadlineMs });
  if (outcome === undefined) throw new Error("no outcome");
  return outcome;
}

/** `unknown (message) connectionLost`, say, or `rejected status 413`. */
function shown(outcome: PublishOutcome | undefined): string {
  if (outcome === undefined || outcome.kind === "confirmed") return String(outcome?.kind);
  const { reason, brokerCode } = outcome.error.facts;
  const scope = "scope" in outcome ? ` (${outcome.scope})` : "";
  return `${outcome.kind}${scope} ${reason}${reason === "status" ? ` ${brokerCode}` : ""}`;
}

describe("answers", () => {
  test("every status has its outcome, and no redirect is followed", async () => {
    const destination = await start(
      startDestination((request, response) => {
        const status = Number(request.url?.slice("/in/s".length));
        response.writeHead(status, { location: `http://127.0.0.1:${destination.port}/in/elsewhere` }).end();
      }),
    );
    const transport = transportTo(destination.url);
    const statuses = Array.from({ length: 400 }, (_, index) => 200 + index);
    const batch = statuses.map((status) => newMessage({ topic: `s${status}` }));
    const outcomes = await transport.publish(batch, { deadlineMs: 20_000 });
    const kinds = outcomes.map((outcome) => ("scope" in outcome ? `${outcome.kind} (${outcome.scope})` : outcome.kind));
    const expected = (status: number): string => {
      if (status < 300) return "confirmed";
      if (status < 400) return "retry (topic)";
      if ([400, 413, 415, 422, 431].includes(status)) return "rejected";
      if ([401, 403, 404, 405, 407, 410, 421, 426, 429, 451, 501, 505].includes(status)) return "retry (topic)";
      return status < 500 ? "retry (message)" : "unknown (message)";
    };
    expect(kinds).toEqual(statuses.map(expected));
    expect(destination.requests).toHaveLength(400);
    expect(destination.requests.filter(({ url }) => url === "/in/elsewhere")).toEqual([]);
  });

  test("what is posted is signed for this attempt and verifies with another implementation", async () => {
    const destination = await start(startDestination());
    const second = signingSecret(`whsec_${Buffer.alloc(32, 2).toString("base64")}`);
    const message = newMessage();
    await transportTo(destination.url, { secrets: [second, ...secrets] }).publish([message], { deadlineMs: 5_000 });
    const headers = destination.requests[0]?.headers as Record<string, string>;
    expect(new Webhook(secretText).verify('{"orderId":"7"}', headers)).toEqual({ orderId: "7" });
    expect(headers).toMatchObject({
      "webhook-id": message.id,
      "ce-id": message.id,
      "content-length": "15",
      "content-type": "application/json",
    });
  });

  test("Retry-After of a limited destination pauses it, and only it", async () => {
    const limited = new Set(["orders"]);
    const destination = await start(
      startDestination((request, response) => {
        const isLimited = limited.has(request.url?.slice("/in/".length) ?? "");
        response.writeHead(isLimited ? 429 : 200, isLimited ? { "retry-after": "7" } : {}).end();
      }),
    );
    const transport = transportTo(destination.url);
    expect(await publishOne(transport)).toMatchObject({ kind: "retry", scope: "topic", afterMs: 7_000 });
    const paused = await publishOne(transport);
    expect(shown(paused)).toBe("retry (topic) retryAfter");
    expect(paused.kind === "retry" && (paused.afterMs ?? 0)).toBeGreaterThan(6_000);
    expect(shown(await publishOne(transport, "payments"))).toBe("confirmed");
    expect(destination.requests).toHaveLength(2);
  });

  test("a date in Retry-After is compared with the answer's own date, however wrong its clock is", async () => {
    const destination = await start(
      startDestination((_request, response) => {
        response.sendDate = false;
        response.writeHead(429, { date: "Wed, 21 Oct 2015 07:28:00 GMT", "retry-after": "Wed, 21 Oct 2015 07:28:30 GMT" }).end();
      }),
    );
    expect(await publishOne(transportTo(destination.url))).toMatchObject({ afterMs: 30_000 });
  });

  test("a destination that is gone is reported and waits", async () => {
    const events: WaybillEvent[] = [];
    const destination = await start(startDestination((_request, response) => response.writeHead(410).end()));
    expect(shown(await publishOne(transportTo(destination.url, { onEvent: (event) => events.push(event) })))).toBe(
      "retry (topic) status 410",
    );
    expect(events).toEqual([{ name: "http.destinationGone", topic: "orders" }]);
  });

  test("a topic that is not listed waits, and one that cannot be in the URL is rejected", async () => {
    const destination = await start(startDestination());
    const listed = httpTransport({ topics: { orders: { url: destination.url, secrets } } });
    opened.push({ close: () => listed.close({ deadlineMs: 500 }) });
    expect(shown(await publishOne(listed))).toBe("confirmed");
    expect(shown(await publishOne(listed, "payments"))).toBe("retry (topic) topicUnknown");
    expect(shown(await publishOne(transportTo(destination.url), ".."))).toBe("rejected topicInvalid");
  });
});

describe("messages that cannot be sent", () => {
  test("are rejected one by one, and their batch goes on", async () => {
    const destination = await start(startDestination());
    const batch = [
      newMessage(),
      newMessage({ createdAtMs: Number.NaN }),
      newMessage({ headers: new Map([["host", "elsewhere.example"]]) }),
      newMessage({ createdAtMs: Number.POSITIVE_INFINITY }),
    ];
    const outcomes = await transportTo(destination.url).publish(batch, { deadlineMs: 5_000 });
    expect(outcomes.map(shown)).toEqual(["confirmed", "rejected requestInvalid", "rejected headersInvalid", "confirmed"]);
    expect(new Set(destination.received.map(({ id }) => id))).toEqual(new Set([batch[0]?.id, batch[3]?.id]));
  });
});

describe("broken answers", () => {
  const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const headEnds = answer.indexOf("\r\n\r\n") + 4;
  const places = Array.from({ length: answer.length + 1 }, (_, index) => index);

  test("cut after each byte: confirmed from the moment the status is whole, unknown before", async () => {
    const destination = await start(
      startRawDestination((socket, { text }) => {
        const length = Number(/^POST \/in\/cut(\d+) /.exec(text)?.[1]);
        socket.end(answer.slice(0, length));
      }),
    );
    const batch = places.map((place) => newMessage({ topic: `cut${place}` }));
    const outcomes = await transportTo(destination.url).publish(batch, { deadlineMs: 10_000 });
    expect(outcomes.map(({ kind }) => kind)).toEqual(places.map((place) => (place < headEnds ? "unknown" : "confirmed")));
  });

  test("reset after each byte: never confirmed without a whole status, never surely not stored", async () => {
    const destination = await start(
      startRawDestination((socket, { text }) => {
        const length = Number(/^POST \/in\/reset(\d+) /.exec(text)?.[1]);
        if (length === 0) socket.resetAndDestroy();
        else socket.write(answer.slice(0, length), () => socket.resetAndDestroy());
      }),
    );
    const batch = places.map((place) => newMessage({ topic: `reset${place}` }));
    const outcomes = await transportTo(destination.url).publish(batch, { deadlineMs: 10_000 });
    for (const [place, outcome] of outcomes.entries())
      expect(place < headEnds ? ["unknown"] : ["unknown", "confirmed"]).toContain(outcome.kind);
  });

  test.each([
    ["no HTTP", "SSH-2.0-OpenSSH_9.6\r\n", "responseMalformed"],
    ["headers without end", `HTTP/1.1 200 OK\r\n${"x-filler: 0123456789\r\n".repeat(4_000)}`, "responseTooLarge"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "responseMalformed"],
    ["an upgrade", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "connectionLost"],
  ])("%s is unknown", async (_what, text, reason) => {
    const destination = await start(startRawDestination((socket) => socket.end(text, "latin1")));
    expect(shown(await publishOne(transportTo(destination.url)))).toBe(`unknown (message) ${reason}`);
  });

  test("a reset while the request is still being written is unknown", async () => {
    const destination = await start(startRawDestination((socket) => socket.resetAndDestroy(), { readsBody: false }));
    const big = newMessage({ payload: Buffer.alloc(900_000) });
    const [outcome] = await transportTo(destination.url).publish([big], { deadlineMs: 5_000 });
    expect(shown(outcome)).toBe("unknown (message) connectionLost");
  });

  test("an answer that comes while the request is still being written counts", async () => {
    const destination = await start(
      startRawDestination((socket) => socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"), { readsBody: false }),
    );
    const big = newMessage({ payload: Buffer.alloc(900_000) });
    const [outcome] = await transportTo(destination.url).publish([big], { deadlineMs: 5_000 });
    expect(shown(outcome)).toBe("rejected status 413");
  });
});

describe("slow and endless answers", () => {
  test("a destination that never answers is unknown at its deadline, and slows nobody else", async () => {
    const silent = await start(startRawDestination(() => undefined));
    const good = await start(startDestination());
    const transport = httpTransport({
      topics: { silent: { url: silent.url, secrets, deadlineMs: 600 }, orders: { url: good.url, secrets } },
    });
    opened.push({ close: () => transport.close({ deadlineMs: 500 }) });
    const startedAt = performance.now();
    const stuck = transport.publish(
      Array.from({ length: 8 }, () => newMessage({ topic: "silent" })),
      { deadlineMs: 5_000 },
    );
    const tookMs: number[] = [];
    for (let time = 0; time < 50; time += 1) {
      const from = performance.now();
      expect(shown(await publishOne(transport))).toBe("confirmed");
      tookMs.push(performance.now() - from);
    }
    expect(tookMs.sort((one, other) => one - other)[45]).toBeLessThan(100);
    const outcomes = await stuck;
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(["unknown"]));
    expect(performance.now() - startedAt).toBeLessThan(2_500);
  });

  test("a status followed by one byte at a time counts at the deadline", async () => {
    const timers = new Set<NodeJS.Timeout>();
    opened.push({ close: async () => timers.forEach((timer) => clearInterval(timer)) });
    const destination = await start(
      startRawDestination((socket) => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        timers.add(setInterval(() => socket.write("x"), 50));
      }),
    );
    const startedAt = performance.now();
    expect(shown(await publishOne(transportTo(destination.url, { deadlineMs: 500 })))).toBe("confirmed");
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test("headers at one byte at a time are unknown at the deadline", async () => {
    const timers = new Set<NodeJS.Timeout>();
    opened.push({ close: async () => timers.forEach((timer) => clearInterval(timer)) });
    const text = `HTTP/1.1 200 OK\r\nx: ${"y".repeat(1_000)}`;
    const destination = await start(
      startRawDestination((socket) => {
        let place = 0;
        timers.add(setInterval(() => socket.write(text[place++] ?? "z"), 20));
      }),
    );
    expect(shown(await publishOne(transportTo(destination.url, { deadlineMs: 400 })))).toBe("unknown (message) deadline");
  });

  test("of a body of a gigabyte little is read, then the socket is gone", async () => {
    let written = 0;
    let isClosed = false;
    const chunk = Buffer.alloc(65_536, "x");
    const destination = await start(
      startRawDestination((socket) => {
        socket.on("close", () => {
          isClosed = true;
        });
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${2 ** 30}\r\n\r\n`);
        const pour = (): void => {
          while (written < 2 ** 30 && !socket.destroyed) {
            written += chunk.byteLength;
            if (!socket.write(chunk)) return void socket.once("drain", pour);
          }
        };
        pour();
      }),
    );
    expect(shown(await publishOne(transportTo(destination.url)))).toBe("confirmed");
    await waitUntil(() => isClosed, { what: "the destination saw the socket close" });
    expect(written).toBeLessThan(2 ** 24);
  });

  test("the call's deadline wins over the destination's, and what waits for a slot then was not sent", async () => {
    const silent = await start(startRawDestination(() => undefined));
    const transport = transportTo(silent.url, { concurrency: 1 });
    const startedAt = performance.now();
    const outcomes = await transport.publish([newMessage(), newMessage()], { deadlineMs: 300 });
    expect(outcomes.map(shown)).toEqual(["unknown (message) deadline", "retry (topic) deadline"]);
    expect(performance.now() - startedAt).toBeLessThan(1_500);
  });
});

describe("the end of a call", () => {
  test("what gets its slot in the last quarter of the call's time is not sent", async () => {
    const clock = manualClock();
    const destination = await start(
      startDestination((_request, response) => {
        clock.advance(800).then(
          () => response.end(),
          () => undefined,
        );
      }),
    );
    const outcomes = await transportTo(destination.url, { concurrency: 1, clock }).publish([newMessage(), newMessage()], {
      deadlineMs: 1_000,
    });
    expect(outcomes.map(shown)).toEqual(["confirmed", "retry (topic) deadline"]);
    expect(destination.received).toHaveLength(1);
  });

  test("what is connected in the last quarter of its time is not sent", async () => {
    const clock = manualClock();
    const destination = await start(startDestination());
    let asked = 0;
    // Asked before the dial: the time passes while the connection is made.
    const mayWrite = (): boolean => {
      asked += 1;
      if (asked === 1) clock.advance(800).catch(() => undefined);
      return true;
    };
    const [outcome] = await transportTo(destination.url, { clock }).publish([newMessage()], { deadlineMs: 1_000, mayWrite });
    expect(shown(outcome)).toBe("retry (topic) deadline");
    expect([asked, destination.received.length]).toEqual([1, 0]);
  });
});

describe("connections", () => {
  const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

  test("a kept connection that the receiver closed meanwhile costs nothing: sent once more, with the same id", async () => {
    const ids: string[] = [];
    const destination = await start(
      startRawDestination((socket, { text, onSocket }) => {
        ids.push(/ce-id: (\S+)/.exec(text)?.[1] ?? "");
        if (onSocket === 1) socket.write(ok);
        else socket.resetAndDestroy();
      }),
    );
    const transport = transportTo(destination.url, { concurrency: 1 });
    expect(shown(await publishOne(transport))).toBe("confirmed");
    expect(shown(await publishOne(transport))).toBe("confirmed");
    expect(ids).toHaveLength(3);
    expect(ids[1]).toBe(ids[2]);
  });

  test("it is sent once more only, and stays unknown whatever comes of that", async () => {
    const sockets: Socket[] = [];
    const destination = await start(
      startRawDestination((socket, { inAll }) => {
        sockets.push(socket);
        if (inAll === 1) socket.write(ok);
        else socket.resetAndDestroy();
      }),
    );
    const transport = transportTo(destination.url, { concurrency: 1 });
    expect(shown(await publishOne(transport))).toBe("confirmed");
    expect(shown(await publishOne(transport))).toBe("unknown (message) connectionLost");
    expect(sockets).toHaveLength(3);
  });

  test("a second try that cannot even connect leaves it unknown: the first may have been stored", async () => {
    const raw = await start(
      startRawDestination((socket, { onSocket }) => {
        if (onSocket === 1) return void socket.write(ok);
        // Nobody listens any more when the reset arrives.
        raw.close().catch(() => undefined);
        socket.resetAndDestroy();
      }),
    );
    const transport = transportTo(raw.url, { concurrency: 1 });
    expect(shown(await publishOne(transport))).toBe("confirmed");
    expect((await publishOne(transport)).kind).toBe("unknown");
  });

  test("a kept connection that broke off in the middle of an answer is not tried again", async () => {
    let requests = 0;
    const destination = await start(
      startRawDestination((socket, { inAll }) => {
        requests = inAll;
        if (inAll === 1) socket.write(ok);
        else socket.write("HTTP/1.1 2", () => socket.resetAndDestroy());
      }),
    );
    const transport = transportTo(destination.url, { concurrency: 1 });
    expect(shown(await publishOne(transport))).toBe("confirmed");
    expect(shown(await publishOne(transport))).toBe("unknown (message) connectionLost");
    expect(requests).toBe(2);
  });

  test("requests under way never exceed the concurrency, over all calls, and a key has one", async () => {
    let underWay = 0;
    let most = 0;
    const ofKey = new Set<string | null>();
    const destination = await start(
      startDestination((_request, response, message) => {
        underWay += 1;
        most = Math.max(most, underWay);
        expect(ofKey.has(message.key)).toBe(false);
        if (message.key !== null) ofKey.add(message.key);
        setTimeout(() => {
          underWay -= 1;
          ofKey.delete(message.key);
          response.end();
        }, 2);
      }),
    );
    const transport = transportTo(destination.url, { concurrency: 3 });
    const call = (name: string): Promise<readonly PublishOutcome[]> =>
      transport.publish(
        Array.from({ length: 40 }, (_, index) => newMessage({ key: `${name}${index % 10}` })),
        { deadlineMs: 10_000 },
      );
    const outcomes = (await Promise.all([call("a"), call("b"), call("c")])).flat();
    expect(new Set(outcomes.map(shown))).toEqual(new Set(["confirmed"]));
    expect(most).toBe(3);
    const sockets = new Set(destination.requests.map(({ socket }) => socket));
    expect(sockets.size).toBeLessThanOrEqual(3);
  });

  test("an idle connection is dropped after four seconds", async () => {
    let closedAt = 0;
    const destination = await start(
      startRawDestination((socket) => {
        socket.write(ok);
        socket.on("close", () => {
          closedAt = performance.now();
        });
      }),
    );
    expect(shown(await publishOne(transportTo(destination.url)))).toBe("confirmed");
    const from = performance.now();
    await waitUntil(() => closedAt > 0, { what: "the connection is closed", deadlineMs: 8_000, intervalMs: 50 });
    expect(closedAt - from).toBeGreaterThan(3_500);
    // Node's servers close after 5 s: we must have been first.
    expect(closedAt - from).toBeLessThan(4_900);
  });

  test("nothing is written once the lease ran out, also on a connection that was opened for it", async () => {
    const destination = await start(startDestination());
    const transport = transportTo(destination.url);
    let asked = 0;
    const [outcome] = await transport.publish([newMessage()], { deadlineMs: 5_000, mayWrite: () => ++asked < 2 });
    expect(shown(outcome)).toBe("retry (transport) leaseLost");
    expect(asked).toBe(2);
    expect(destination.requests).toEqual([]);
    expect(shown(await publishOne(transport))).toBe("confirmed");
  });

  test("a proxy from the environment is ignored", async () => {
    const destination = await start(startDestination());
    const before = process.env["HTTP_PROXY"];
    process.env["HTTP_PROXY"] = process.env["http_proxy"] = `http://127.0.0.1:${await freePort()}`;
    try {
      expect(shown(await publishOne(transportTo(destination.url)))).toBe("confirmed");
    } finally {
      delete process.env["http_proxy"];
      if (before === undefined) delete process.env["HTTP_PROXY"];
      else process.env["HTTP_PROXY"] = before;
    }
  });

  test("closing waits for what is under way and then sends nothing more", async () => {
    let release: () => void = () => undefined;
    const destination = await start(
      startDestination((_request, response) => {
        release = () => response.end();
      }),
    );
    const transport = transportTo(destination.url, { concurrency: 1 });
    const call = transport.publish([newMessage(), newMessage()], { deadlineMs: 5_000 });
    const waitsForSlot = transport.publish([newMessage()], { deadlineMs: 5_000 });
    await waitUntil(() => destination.received.length === 1, { what: "the first has arrived" });
    const closing = transport.close({ deadlineMs: 5_000 });
    release();
    expect((await call).map(shown)).toEqual(["confirmed", "retry (transport) closed"]);
    expect((await waitsForSlot).map(shown)).toEqual(["retry (transport) closed"]);
    await closing;
    expect(destination.received).toHaveLength(1);
  });
});

describe("a destination that is down", () => {
  test("five failures open its breaker; then it is answered at once, without a dial, until a probe finds it back", async () => {
    const events: WaybillEvent[] = [];
    let isUp = false;
    const destination = await start(
      startRawDestination((socket) => {
        if (isUp) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        else socket.resetAndDestroy();
      }),
    );
    const transport = transportTo(destination.url, { onEvent: (event) => events.push(event) });
    for (let time = 0; time < 5; time += 1) expect((await publishOne(transport)).kind).toBe("unknown");
    expect(events).toEqual([{ name: "http.breakerOpened", topic: "orders" }]);
    const from = performance.now();
    const batch = Array.from({ length: 200 }, () => newMessage());
    const outcomes = await transport.publish(batch, { deadlineMs: 5_000 });
    expect(performance.now() - from).toBeLessThan(200);
    expect(outcomes.filter(({ kind }) => kind === "retry").length).toBeGreaterThan(190);
    isUp = true;
    await waitUntil(async () => (await publishOne(transport)).kind === "confirmed", {
      what: "the destination is found again",
      deadlineMs: 6_000,
    });
    expect(events.at(-1)).toEqual({ name: "http.breakerClosed", topic: "orders" });
    expect(shown(await publishOne(transport))).toBe("confirmed");
  });

  test("while its probe hangs, it holds no other message", async () => {
    let requests = 0;
    const destination = await start(
      startRawDestination((socket, { inAll }) => {
        requests = inAll;
        if (inAll <= 5) socket.resetAndDestroy();
      }),
    );
    const transport = transportTo(destination.url, { concurrency: 1 });
    for (let time = 0; time < 5; time += 1) await publishOne(transport);
    let probe: Promise<PublishOutcome> = Promise.resolve({ kind: "confirmed" });
    await waitUntil(
      () => {
        if (requests === 5) probe = publishOne(transport, "orders", 1_500);
        return requests === 6;
      },
      { what: "the probe is under way" },
    );
    const from = performance.now();
    expect(shown(await publishOne(transport))).toBe("retry (topic) breakerOpen");
    expect(performance.now() - from).toBeLessThan(200);
    await probe;
  });

  test("a refused connection and a name that is nobody's were surely not stored", async () => {
    const port = await freePort();
    expect(shown(await publishOne(transportTo(`http://127.0.0.1:${port}/`)))).toBe("retry (topic) notConnected");
    const [outcome] = await transportTo("http://waybill.invalid/").publish([newMessage()], { deadlineMs: 5_000 });
    expect(shown(outcome)).toMatch(/^retry \(topic\) (notConnected|deadline)$/);
  });
});

describe("TLS", () => {
  async function startTls(): Promise<{ readonly url: string; readonly cert: string; readonly requests: string[]; close(): Promise<void> }> {
    const { cert, key } = selfSigned();
    const requests: string[] = [];
    const server = createHttpsServer({ cert, key }, (request, response) => {
      requests.push(request.url ?? "");
      request.resume().on("end", () => response.end());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return {
      url: `https://localhost:${port}/`,
      cert,
      requests,
      close: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    };
  }

  test("a certificate that nobody vouches for stops the topic before anything was written", async () => {
    const destination = await start(startTls());
    const outcome = await publishOne(transportTo(destination.url));
    expect(shown(outcome)).toBe("retry (topic) notConnected");
    expect(outcome.kind === "retry" && outcome.error.facts.brokerCode).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
    expect(destination.requests).toEqual([]);
  });

  test("with its authority named it is trusted, and the connection kept", async () => {
    const destination = await start(startTls());
    const transport = transportTo(destination.url, { tls: { ca: destination.cert } });
    for (let time = 0; time < 3; time += 1) expect(shown(await publishOne(transport))).toBe("confirmed");
    expect(destination.requests).toHaveLength(3);
  });
});

describe("the HTTP caller", () => {
  const request = { method: "GET", headers: {}, body: null } as const;
  const limits = { deadlineMs: 2_000, responseBytesMax: 1_000 };

  test("does not dial what is not public, however it is written", async () => {
    const destination = await start(startDestination());
    const caller = httpCaller({ allowPlain: true, ports: [80, destination.port] });
    for (const host of ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"]) {
      expect(await caller.call({ ...request, url: `http://${host}:${destination.port}/` }, limits)).toEqual({
        kind: "notSent",
        reason: "addressBlocked",
      });
    }
    expect(destination.connectionsMade()).toBe(0);
  });

  test.each([
    ["http://receiver.example/", "schemeRefused"],
    ["https://user@receiver.example/", "credentialsInUrl"],
    ["https://receiver.example:444/", "portRefused"],
    ["nonsense", "urlInvalid"],
  ])("does not send to %s: %s", async (url, reason) => {
    expect(await httpCaller().call({ ...request, url }, limits)).toEqual({ kind: "notSent", reason });
  });

  test("a call's own reach takes the place of the caller's, and opens nothing if one of its ranges may not be opened", async () => {
    const destination = await start(startRawDestination((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")));
    const url = `http://127.0.0.1:${destination.port}/`;
    const caller = httpCaller();
    const reach = { allowPlain: true, ports: [destination.port], allowNetworks: ["127.0.0.1"] };
    const callWith = (own: typeof reach) => caller.call({ ...request, url }, { ...limits, reach: own });
    expect(await callWith(reach)).toMatchObject({ kind: "answered", status: 200 });
    expect(await callWith({ ...reach, allowPlain: false })).toEqual({ kind: "notSent", reason: "schemeRefused" });
    expect(await callWith({ ...reach, ports: [443] })).toEqual({ kind: "notSent", reason: "portRefused" });
    expect(await callWith({ ...reach, allowNetworks: [] })).toEqual({ kind: "notSent", reason: "addressBlocked" });
    for (const range of ["169.254.0.0/16", "nonsense"])
      expect(await callWith({ ...reach, allowNetworks: ["127.0.0.1", range] })).toEqual({ kind: "notSent", reason: "networkRefused" });
    expect(destination.connectionsMade()).toBe(1);
    const generous = httpCaller({ allowPlain: true, ports: [destination.port], allowNetworks: ["127.0.0.1"] });
    expect(await generous.call({ ...request, url }, { ...limits, reach: { allowNetworks: [] } })).toMatchObject({
      reason: "addressBlocked",
    });
  });

  test("a connection that does not come is given up at its own deadline, surely not sent", async () => {
    const silent = await start(startRawDestination(() => undefined));
    const caller = httpCaller({ ports: [silent.port], allowNetworks: ["127.0.0.1"] });
    const startedMs = performance.now();
    const call = caller.call(
      { ...request, url: `https://127.0.0.1:${silent.port}/` },
      { deadlineMs: 20_000, connectMs: 100, responseBytesMax: 100 },
    );
    expect(await call).toEqual({ kind: "notSent", reason: "connectDeadline" });
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  test("nothing is written when the one who calls may no longer write", async () => {
    const destination = await start(startDestination());
    const caller = httpCaller({ allowPlain: true, ports: [destination.port], allowNetworks: ["127.0.0.1"] });
    const answer = await caller.call({ ...request, url: `http://127.0.0.1:${destination.port}/` }, { ...limits, mayWrite: () => false });
    expect(answer).toEqual({ kind: "notSent", reason: "leaseLost" });
    expect(destination.received).toEqual([]);
  });

  test("answers status, headers and body; half a body is unknown", async () => {
    const destination = await start(
      startRawDestination((socket, { text }) => {
        const length = text.startsWith("GET /long") ? 2_000 : 5;
        socket.end(`HTTP/1.1 404 Not Found\r\nContent-Length: ${length}\r\nX-One: 1\r\n\r\n${"y".repeat(length)}`);
      }),
    );
    const caller = httpCaller({ allowPlain: true, ports: [destination.port], allowNetworks: ["127.0.0.1"] });
    const url = `http://127.0.0.1:${destination.port}`;
    const answer = await caller.call({ ...request, url: `${url}/short` }, limits);
    expect(answer).toMatchObject({ kind: "answered", status: 404, headers: { "x-one": "1" } });
    expect(answer.kind === "answered" && Buffer.from(answer.body).toString()).toBe("yyyyy");
    expect(await caller.call({ ...request, url: `${url}/long` }, limits)).toEqual({ kind: "unknown", reason: "responseIncomplete" });
    const partial = await caller.call({ ...request, url: `${url}/long` }, { ...limits, takesPartialBody: true });
    expect(partial).toMatchObject({ kind: "answered", status: 404 });
  });
});
