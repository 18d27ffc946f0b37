import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Fault, type FaultProxy, startFaultProxy, type TestDatabase, testDatabase, waitUntil } from "../src/index.ts";

/** Answers each line with `did <line>` and remembers it. */
async function lineServer(): Promise<{
  readonly server: Server;
  readonly port: number;
  readonly heard: string[];
  readonly sockets: Set<Socket>;
}> {
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let rest = "";
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
    socket.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        heard.push(line);
        socket.write(`did ${line}\n`);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, port: (server.address() as { port: number }).port, heard, sockets };
}

describe("a link through the proxy", () => {
  let behind: Awaited<ReturnType<typeof lineServer>>;
  let proxy: FaultProxy;
  let log: { fault: Fault; link: number }[];

  beforeEach(async () => {
    log = [];
    behind = await lineServer();
    proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: behind.port }, onFault: (fired) => log.push(fired) });
  });
  afterEach(async () => {
    await proxy.stop();
    for (const socket of behind.sockets) socket.destroy();
    await new Promise((resolve) => behind.server.close(resolve));
  });

  async function dial(): Promise<{ readonly socket: Socket; readonly heard: () => string; readonly ended: Promise<string> }> {
    const socket = connect(proxy.port, proxy.host);
    let heard = "";
    const ended = new Promise<string>((resolve) => {
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
      socket.once("end", () => resolve("end"));
    });
    socket.setEncoding("utf8").on("data", (text: string) => {
      heard += text;
    });
    await once(socket, "connect");
    return { socket, heard: () => heard, ended };
  }

  it("passes everything, and its end, while no fault is in place", async () => {
    const { socket, heard, ended } = await dial();
    const large = "x".repeat(3_000_000);
    socket.write(`one\n${large}\n`);
    socket.end();
    expect(await ended).toBe("end");
    expect(heard()).toBe(`did one\ndid ${large}\n`);
    await waitUntil(() => proxy.connections === 0, { what: "no link is open" });
    expect(log).toEqual([]);
  });

  it("is reset before the server hears the pattern, although the pattern comes in two packets", async () => {
    const fault = proxy.inject({ kind: "cut", at: "beforeRequest", pattern: "commit" });
    const { socket, heard, ended } = await dial();
    socket.write("begin\nCOM");
    await waitUntil(() => heard() === "did begin\n", { what: "the first line is answered" });
    socket.write("MIT\n");
    expect(await ended).toBe("ECONNRESET");
    await waitUntil(() => behind.sockets.size === 0, { what: "the server's side is closed" });
    expect(behind.heard).toEqual(["begin"]);
    expect(fault.fired).toBe(1);
  });

  it("passes what comes before the pattern in the same packet when it is cut there", async () => {
    proxy.inject({ kind: "cut", at: "beforeRequest", pattern: "commit" });
    const { socket, ended } = await dial();
    socket.write("insert\ncommit\n");
    await ended;
    await waitUntil(() => behind.sockets.size === 0, { what: "the server's side is closed" });
    expect(behind.heard).toEqual(["insert"]);
  });

  it("is reset after the server was sent the pattern, and the server does it", async () => {
    proxy.inject({ kind: "cut", at: "afterRequest", pattern: "commit" });
    const { socket, heard, ended } = await dial();
    socket.write("commit\n");
    expect(await ended).toBe("ECONNRESET");
    await waitUntil(() => behind.heard.includes("commit"), { what: "the server heard it" });
    expect(heard()).toBe("");
  });

  it("is reset when the server has answered, and the answer never arrives", async () => {
    proxy.inject({ kind: "cut", at: "beforeReply", pattern: "commit" });
    const { socket, heard, ended } = await dial();
    socket.write("begin\n");
    await waitUntil(() => heard() === "did begin\n", { what: "the first line is answered" });
    socket.write("commit\n");
    expect(await ended).toBe("ECONNRESET");
    expect(behind.heard).toEqual(["begin", "commit"]);
    expect(heard()).toBe("did begin\n");
  });

  it("stays open while replies to the pattern vanish", async () => {
    const fault = proxy.inject({ kind: "swallowReplies", pattern: "commit" });
    const { socket, heard } = await dial();
    socket.write("begin\ncommit\n");
    await fault.hasFired();
    socket.write("select\n");
    await waitUntil(() => behind.heard.includes("select"), { what: "the server hears more" });
    expect(heard()).toBe("");
    expect(proxy.connections).toBe(1);
    const second = await dial();
    second.socket.write("commit\n");
    await waitUntil(() => second.heard() === "did commit\n", { what: "another link is unharmed" });
  });

  it("is cut as often as asked, after as many matches as asked", async () => {
    const fault = proxy.inject({ kind: "cut", at: "beforeReply", pattern: "commit", skip: 2, times: 2 });
    const ends: string[] = [];
    for (let round = 0; round < 6; round += 1) {
      const { socket, heard, ended } = await dial();
      socket.write("commit\n");
      ends.push(await Promise.race([ended, waitUntil(() => heard() !== "", { what: "an answer" }).then(() => "answer")]));
      socket.destroy();
    }
    expect(ends).toEqual(["answer", "answer", "ECONNRESET", "ECONNRESET", "answer", "answer"]);
    expect(fault.fired).toBe(2);
    expect(log.map(({ link }) => link)).toEqual([3, 4]);
  });

  it("is cut by chance, and by the same chances for the same seed", async () => {
    const run = async (seed: number): Promise<string> => {
      const fault = proxy.inject({ kind: "cut", at: "beforeReply", pattern: "commit", probability: 0.5, seed, times: 100 });
      let pattern = "";
      for (let round = 0; round < 16; round += 1) {
        const { socket, heard, ended } = await dial();
        socket.write("commit\n");
        pattern += await Promise.race([ended.then(() => "x"), waitUntil(() => heard() !== "", { what: "an answer" }).then(() => ".")]);
        socket.destroy();
      }
      fault.lift();
      return pattern;
    };
    const first = await run(3);
    expect(await run(3)).toBe(first);
    expect(first).toMatch(/x/);
    expect(first).toMatch(/\./);
  });

  it("is late by the latency in both directions, in order", async () => {
    const fault = proxy.inject({ kind: "latency", delayMs: 40 });
    const { socket, heard } = await dial();
    const startedAt = performance.now();
    for (const word of ["a", "b", "c"]) socket.write(`${word}\n`);
    await waitUntil(() => heard() === "did a\ndid b\ndid c\n", { what: "all are answered" });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(79);
    expect(fault.fired).toBeGreaterThanOrEqual(2);
  });

  it("is silent in a black hole, without an end, and goes on when it is lifted", async () => {
    const { socket, heard } = await dial();
    socket.write("a\n");
    await waitUntil(() => heard() === "did a\n", { what: "the link works" });
    const hole = proxy.inject({ kind: "blackHole" });
    const late = await dial();
    socket.write("b\n");
    late.socket.write("c\n");
    await hole.hasFired(2);
    const hasPassed = (): boolean => heard() !== "did a\n" || late.heard() !== "" || behind.heard.length > 1;
    const probe = await waitUntil(hasPassed, { what: "anything passes", deadlineMs: 100 }).catch(() => "nothing");
    expect(probe).toBe("nothing");
    expect(proxy.connections).toBe(2);
    hole.lift();
    await waitUntil(() => heard() === "did a\ndid b\n" && late.heard() === "did c\n", { what: "what waited has passed" });
  });

  it("is refused while new links are refused; open ones stay", async () => {
    const { socket, heard } = await dial();
    await waitUntil(() => behind.sockets.size === 1, { what: "the first link is through" });
    const fault = proxy.inject({ kind: "refuse" });
    const refused = connect(proxy.port, proxy.host);
    const [error] = (await once(refused, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNRESET");
    socket.write("a\n");
    await waitUntil(() => heard() === "did a\n", { what: "the open link works" });
    expect(fault.fired).toBe(1);
    proxy.heal();
    const { socket: later, heard: heardLater } = await dial();
    later.write("b\n");
    await waitUntil(() => heardLater() === "did b\n", { what: "a new link works" });
  });

  it("is reset on both sides when all are cut", async () => {
    const links = [await dial(), await dial()];
    await waitUntil(() => behind.sockets.size === 2, { what: "both are through" });
    expect(proxy.cutAll()).toBe(2);
    expect(await Promise.all(links.map(({ ended }) => ended))).toEqual(["ECONNRESET", "ECONNRESET"]);
    await waitUntil(() => behind.sockets.size === 0, { what: "the server lost both" });
  });

  it("is reset when nobody answers behind the proxy", async () => {
    const { port: nowhere } = await lineServer().then(async ({ server, port }) => {
      await new Promise((resolve) => server.close(resolve));
      return { port };
    });
    const other = await startFaultProxy({ target: { host: "127.0.0.1", port: nowhere } });
    const socket = connect(other.port, other.host);
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNRESET");
    await other.stop();
  });

  it("a fault that does not fire says so at its deadline", async () => {
    const fault = proxy.inject({ kind: "cut", at: "afterRequest", pattern: "never" });
    await expect(fault.hasFired(1, 20)).rejects.toThrow("the fault cut has fired 1 times");
  });
});

describe("COMMIT through the proxy", () => {
  let database: TestDatabase;
  let proxy: FaultProxy;

  beforeAll(async () => {
    database = await testDatabase();
    const { hostname, port } = new URL(database.url);
    proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
    const client = await through(database.url);
    await client.query("create table seen (id int)");
    await client.end();
  });
  afterAll(async () => {
    await proxy.stop();
    await database.drop();
  });
  afterEach(() => proxy.heal());

  async function through(url: string): Promise<Client> {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  async function insertThrough(id: number): Promise<unknown> {
    const client = await through(proxy.url(database.url));
    await client.query("begin");
    await client.query("insert into seen values ($1)", [id]);
    return client.query("commit").then(
      () => "committed",
      (error: unknown) => error,
    );
  }

  async function isThere(id: number): Promise<boolean> {
    const client = await through(database.url);
    const { rows } = await client.query("select from seen where id = $1", [id]);
    await client.end();
    return rows.length > 0;
  }

  it("is committed when the link is cut before the reply, and the client does not know", async () => {
    proxy.inject({ kind: "cut", at: "beforeReply", pattern: "commit" });
    expect(await insertThrough(1)).toBeInstanceOf(Error);
    expect(await isThere(1)).toBe(true);
  });

  it("is not committed when the link is cut before the request", async () => {
    proxy.inject({ kind: "cut", at: "beforeRequest", pattern: "commit" });
    expect(await insertThrough(2)).toBeInstanceOf(Error);
    expect(await isThere(2)).toBe(false);
  });

  it("is committed in a moment when the link is cut after the request", async () => {
    proxy.inject({ kind: "cut", at: "afterRequest", pattern: "commit" });
    expect(await insertThrough(3)).toBeInstanceOf(Error);
    await waitUntil(() => isThere(3), { what: "it is committed" });
  });
});
