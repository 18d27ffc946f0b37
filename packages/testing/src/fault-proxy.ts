/**
 * A TCP proxy that breaks on purpose, for one link: a client and its database, a relay and its HTTP receiver.
 *
 *     client ──requests──▶ [ latency · pieces · black hole · cut at a pattern ] ──▶ server
 *     client ◀───replies── [ latency · pieces · black hole · swallowed · cut   ] ◀── server
 *
 * Where a link is cut decides what is true afterwards, so each place is exact:
 *
 *     beforeRequest   bytes up to the pattern went out, the pattern did not: the server surely did not do it
 *     afterRequest    the pattern went out: the server does it, now or in a moment
 *     beforeReply     the server has answered and the client will never hear it: it is surely done
 *
 * The client's side of a cut link is reset (RST). The server's side ends with FIN, so that it reads everything it was sent; a reset
 * could take back bytes that lie unread in its buffer. `cutAll` resets both sides.
 *
 * Every fault counts how often it fired: a test whose fault never fired proves nothing.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { type Direction, directionOf, type Pieces } from "./fault-direction.ts";
import { type FaultTrigger, type InjectedFault, injectedFault, startTrigger, type TriggerState } from "./fault-trigger.ts";

/** A place in the client's stream. */
export interface AtPattern extends FaultTrigger {
  /** Bytes, also across packets; at most 4 096. Text is compared as UTF-8, ignoring the case of ASCII letters. Default: any byte. */
  readonly pattern?: string | Uint8Array;
}

export type Fault =
  /** Bytes arrive later by `delayMs`, in both directions, in order. Fires once per packet. */
  | { readonly kind: "latency"; readonly delayMs: number }
  /** Bytes arrive in pieces of at most `bytes`, a tenth of a millisecond apart, in both directions: a reader that takes a packet for a message fails. Fires once per packet that is cut. */
  | { readonly kind: "slice"; readonly bytes: number }
  /** So many bytes a second and no more, in each direction of a link; what waits when it is lifted still passes like that. Fires once per packet. */
  | { readonly kind: "bandwidth"; readonly bytesPerSecond: number }
  /** Nothing passes in either direction and nobody is told; new links are accepted and stay silent. Fires once per link. Lifted, what waited passes. */
  | { readonly kind: "blackHole" }
  /** New links are reset at once. Fires once per link. */
  | { readonly kind: "refuse" }
  /** The link is cut when the client sends the pattern. */
  | ({ readonly kind: "cut"; readonly at: "beforeRequest" | "afterRequest" | "beforeReply" } & AtPattern)
  /** The server hears the pattern; from then on its replies vanish while the link stays open. Fires at the first reply that vanishes. */
  | ({ readonly kind: "swallowReplies" } & AtPattern);

export interface FaultProxyOptions {
  readonly target: { readonly host: string; readonly port: number };
  /** Default: a free one of the system's choice. */
  readonly port?: number;
  /** Told synchronously whenever a fault fires: a log for an audit. */
  readonly onFault?: (fired: { readonly fault: Fault; readonly link: number }) => void;
}

export interface FaultProxy {
  readonly host: string;
  readonly port: number;
  /** Links that are open now. */
  readonly connections: number;
  /** The same URL, but through the proxy. */
  url(original: string): string;
  /** Puts a fault in place, for open links and new ones. */
  inject(fault: Fault): InjectedFault;
  /** Resets both sides of every open link and answers how many there were. */
  cutAll(): number;
  /** Lifts all faults. */
  heal(): void;
  /** Resets what is open and closes the port. A second stop resolves with the first. */
  stop(): Promise<void>;
}

/** Starts a proxy on 127.0.0.1 that forwards to `target`, unharmed until a fault is injected. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const host = "127.0.0.1";
  const faults = new Set<ActiveFault>();
  const links = new Set<Link>();
  let linkCount = 0;
  const fire = (active: ActiveFault, link: number): void => {
    active.fired += 1;
    options.onFault?.({ fault: active.fault, link });
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    linkCount += 1;
    const refusal = [...faults].find(({ fault }) => fault.kind === "refuse");
    if (refusal !== undefined) {
      fire(refusal, linkCount);
      client.on("error", () => undefined).resetAndDestroy();
      return;
    }
    const link = openLink({ id: linkCount, client, target: options.target, faults, fire, onClosed: () => links.delete(link) });
    links.add(link);
  });
  await listen(server, host, options.port ?? 0);
  const { port } = server.address() as { port: number };
  const refreshAll = (): void => {
    for (const link of links) link.refresh();
  };
  let stopped: Promise<void> | null = null;

  const proxy: FaultProxy = {
    host,
    port,
    get connections() {
      return [...links].filter((link) => link.isOpen()).length;
    },
    url(original) {
      const url = new URL(original);
      url.hostname = host;
      url.port = String(port);
      return url.href;
    },
    inject(fault) {
      if ("pattern" in fault && (fault.pattern?.length ?? 0) > patternBytesMax)
        throw new RangeError(`A pattern has at most ${patternBytesMax} bytes.`);
      const active: ActiveFault = {
        fault,
        fired: 0,
        trigger: startTrigger(fault.kind === "cut" || fault.kind === "swallowReplies" ? fault : {}),
        caught: new Set(),
      };
      faults.add(active);
      refreshAll();
      return injectedFault(fault.kind, active, () => {
        faults.delete(active);
        refreshAll();
      });
    },
    cutAll() {
      const open = proxy.connections;
      for (const link of links) link.reset();
      return open;
    },
    heal() {
      faults.clear();
      refreshAll();
    },
    stop() {
      stopped ??= new Promise((resolve) => {
        server.close(() => resolve());
        proxy.cutAll();
      });
      return stopped;
    },
  };
  return proxy;
}

/** Of what a bandwidth lets through. */
const piecesPerSecond = 50;

interface ActiveFault {
  readonly fault: Fault;
  fired: number;
  readonly trigger: TriggerState;
  /** Links that a black hole has counted. */
  readonly caught: Set<number>;
}

interface Link {
  /** False once the client's side is closed; the server's may still read. */
  isOpen(): boolean;
  /** Looks again at which faults are in place. */
  refresh(): void;
  reset(): void;
}

interface LinkOptions {
  readonly id: number;
  readonly client: Socket;
  readonly target: { readonly host: string; readonly port: number };
  readonly faults: ReadonlySet<ActiveFault>;
  readonly fire: (active: ActiveFault, link: number) => void;
  /** Both sides are closed. */
  readonly onClosed: () => void;
}

/** One client's connection and ours to the server behind it. */
function openLink({ id, client, target, faults, fire, onClosed }: LinkOptions): Link {
  const server = connect({ host: target.host, port: target.port, allowHalfOpen: true, noDelay: true });
  /** What to do with the next reply, once a request has asked for it. */
  let onReply: { readonly active: ActiveFault; readonly cuts: boolean; hasFired: boolean } | null = null;
  let isCut = false;
  const scanner = patternScanner();

  const delayMs = (): number => {
    let longest = 0;
    for (const active of faults) {
      if (active.fault.kind !== "latency") continue;
      fire(active, id);
      longest = Math.max(longest, active.fault.delayMs);
    }
    return longest;
  };
  const piecesOf = (bytes: number): Pieces | null => {
    let pieces: Pieces | null = null;
    for (const active of faults) {
      const { fault } = active;
      if (fault.kind === "slice" && bytes > fault.bytes) pieces = { bytes: fault.bytes, everyMs: 0.1 };
      else if (fault.kind === "bandwidth")
        pieces = { bytes: Math.max(1, Math.floor(fault.bytesPerSecond / piecesPerSecond)), everyMs: 1_000 / piecesPerSecond };
      else continue;
      fire(active, id);
    }
    return pieces;
  };
  const isDark = (): boolean => {
    const hole = [...faults].find(({ fault }) => fault.kind === "blackHole");
    if (hole === undefined) return false;
    if (!hole.caught.has(id)) {
      hole.caught.add(id);
      fire(hole, id);
    }
    return true;
  };
  /** The client hears a reset; the server reads what it was sent and then the end. */
  const cut = (active: ActiveFault): void => {
    isCut = true;
    fire(active, id);
    client.resetAndDestroy();
    up.end();
    server.removeAllListeners("data").resume();
  };
  const requests = (chunk: Buffer): void => {
    if (isCut) return;
    const hit = scanner.find(chunk, faults);
    if (hit === null) return up.forward(chunk);
    const { active, start } = hit;
    if (active.fault.kind === "cut" && active.fault.at === "beforeRequest") {
      if (start > 0) up.forward(chunk.subarray(0, start));
      return cut(active);
    }
    up.forward(chunk);
    if (active.fault.kind === "cut" && active.fault.at === "afterRequest") cut(active);
    else onReply = { active, cuts: active.fault.kind === "cut", hasFired: false };
  };
  const replies = (chunk: Buffer): void => {
    if (onReply === null) return down.forward(chunk);
    if (onReply.cuts) return cut(onReply.active);
    if (!onReply.hasFired) fire(onReply.active, id);
    onReply.hasFired = true;
  };
  const up: Direction = directionOf({ from: client, to: server, delayMs, piecesOf, isDark, onData: requests });
  const down: Direction = directionOf({ from: server, to: client, delayMs, piecesOf, isDark, onData: replies });

  for (const [socket, other, rest] of [
    [client, server, up],
    [server, client, down],
  ] as const) {
    socket.on("error", () => undefined); // `close` follows and says all we need
    socket.once("close", (hadError) => {
      if (client.destroyed && server.destroyed) onClosed();
      if (isCut) return;
      if (hadError) other.resetAndDestroy();
      else rest.end();
    });
  }
  return {
    isOpen: () => !client.destroyed,
    refresh() {
      up.refresh();
      down.refresh();
    },
    reset() {
      isCut = true;
      client.resetAndDestroy();
      server.resetAndDestroy();
    },
  };
}

interface PatternScanner {
  /** The fault that fires on what `chunk` completes, and where in `chunk` its pattern begins (0 if it began before). */
  find(chunk: Buffer, faults: ReadonlySet<ActiveFault>): { readonly active: ActiveFault; readonly start: number } | null;
}

/** How much of the stream is remembered, so that a pattern is found across packets. */
const patternBytesMax = 4_096;

/** Finds patterns in the client's stream, also where packets end in the middle of one. */
function patternScanner(): PatternScanner {
  let tail = Buffer.alloc(0);
  return {
    find(chunk, faults) {
      const seen = Buffer.concat([tail, chunk]);
      const before = tail.length;
      tail = seen.subarray(Math.max(0, seen.length - patternBytesMax));
      for (const active of faults) {
        const { fault } = active;
        if (fault.kind !== "cut" && fault.kind !== "swallowReplies") continue;
        for (const start of matches(seen, before, fault.pattern)) {
          if (active.trigger.take()) return { active, start: Math.max(0, start - before) };
        }
      }
      return null;
    },
  };
}

/** Where the pattern begins, for every match that ends after the first `before` bytes. */
function matches(seen: Buffer, before: number, pattern: string | Uint8Array | undefined): readonly number[] {
  if (pattern === undefined) return [before];
  // Latin-1 keeps one character per byte, and its lower case changes no length.
  const bytes = typeof pattern === "string" ? Buffer.from(pattern, "utf8") : Buffer.from(pattern);
  const isText = typeof pattern === "string";
  const lower = (buffer: Buffer): string => buffer.toString("latin1").replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  const [haystack, needle] = isText ? [lower(seen), lower(bytes)] : [seen.toString("latin1"), bytes.toString("latin1")];
  const found: number[] = [];
  for (
    let at = haystack.indexOf(needle, Math.max(0, before - needle.length + 1));
    at !== -1;
    at = haystack.indexOf(needle, at + needle.length)
  ) {
    found.push(at);
  }
  return found;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}
