/**
 * Stands in front of the replicas of a service, as a load balancer does, and knows every call of it.
 *
 *     payment service ──▶ gate ──▶ replica 1          arrived: not passed on yet
 *     order service   ──▶   │  └─▶ replica 2          passed: on its way to a replica
 *                           └ faults                  answered: the answer is here, and not passed back yet
 *
 * A second one stands in front of the payment service's `/checks`.
 *
 * A replica that is not there is passed by. It knows nothing of Waybill but the paths of the API; signatures do not cover the host, so calls pass as they are.
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Verb = "prepare" | "commit" | "rollback" | "ack" | "check" | "other";

export interface Call {
  readonly verb: Verb;
  /** The half message; null: the call is about none, or about several. */
  readonly id: string | null;
  readonly body: string;
  /** The replica that has it; null before it is passed on. */
  readonly replica: number | null;
  /** Of the answer; null before it. */
  readonly status: number | null;
}

/** A moment to wait for. */
export interface Moment {
  readonly point: "arrived" | "passed" | "answered";
  /** Any of them. */
  readonly verbs: readonly Verb[];
  readonly isWanted?: (call: Call) => boolean;
}

/** `drop`: it goes no further, and its caller gets no answer. */
export type Ending = "go on" | "drop";

export interface Gate {
  readonly url: string;
  /** Runs a fault in the middle of the next such call, and lets the call go on or not. True: it is done; false: no such call came in time. */
  next(moment: Moment, fault: (call: Call) => Promise<Ending>, patience: Patience): Promise<boolean>;
  close(): Promise<void>;
}

/** How long a moment is waited for. */
export interface Patience {
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

interface Waiting {
  readonly moment: Moment;
  readonly run: (call: Call) => Promise<Ending>;
}

const passOnDeadlineMs = 20_000;

export async function startGate(ports: readonly number[]): Promise<Gate> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const waiting = new Set<Waiting>();
  let turn = 0;

  const at = async (point: Moment["point"], call: Call, { socket }: IncomingMessage): Promise<Ending> => {
    // Whoever called is dead already: nothing happens to him any more.
    if (socket.destroyed) return "drop";
    for (const one of waiting) {
      const { moment } = one;
      if (moment.point !== point || !moment.verbs.includes(call.verb) || moment.isWanted?.(call) === false) continue;
      return one.run(call);
    }
    return "go on";
  };

  const handle = async (incoming: IncomingMessage, bytes: Buffer, outgoing: ServerResponse): Promise<void> => {
    let call: Call = { ...verbOf(incoming), body: bytes.toString("utf8"), replica: null, status: null };
    if ((await at("arrived", call, incoming)) === "drop") return void outgoing.destroy();
    turn += 1;
    for (let offset = 0; offset < ports.length; offset += 1) {
      const replica = (turn + offset) % ports.length;
      call = { ...call, replica };
      const passed = call;
      const answer = await pass(incoming, bytes, ports[replica] as number, agent, () => at("passed", passed, incoming));
      if (answer.kind === "notSent") continue;
      if (answer.kind === "unknown") return void outgoing.destroy();
      const ending = await at("answered", { ...call, status: answer.status }, incoming);
      if (ending === "drop") return void outgoing.destroy();
      outgoing.writeHead(answer.status, answer.headers).end(answer.body);
      return;
    }
    outgoing.writeHead(502, { "content-length": "0" }).end();
  };

  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("error", () => outgoing.destroy());
    incoming.on("end", () => {
      handle(incoming, Buffer.concat(chunks), outgoing).catch(() => outgoing.destroy());
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    next: (moment, fault, { deadlineMs, signal }) =>
      new Promise((resolve, reject) => {
        const giveUp = (): void => {
          end();
          resolve(false);
        };
        const timer = setTimeout(giveUp, deadlineMs);
        const end = (): void => {
          clearTimeout(timer);
          signal.removeEventListener("abort", giveUp);
          waiting.delete(one);
        };
        const one: Waiting = {
          moment,
          async run(call) {
            end();
            try {
              const ending = await fault(call);
              resolve(true);
              return ending;
            } catch (error) {
              reject(error instanceof Error ? error : new Error(String(error)));
              return "drop";
            }
          },
        };
        waiting.add(one);
        if (signal.aborted) giveUp();
        else signal.addEventListener("abort", giveUp, { once: true });
      }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      agent.destroy();
    },
  };
}

function verbOf({ method, url = "/" }: IncomingMessage): Pick<Call, "verb" | "id"> {
  const path = url.split("?", 1).join("");
  if (method === "POST" && path === "/checks") return { verb: "check", id: null };
  if (method === "POST" && /^\/v1\/consumers\/[^/]+\/deliveries:ack$/.test(path)) return { verb: "ack", id: null };
  const [, id = null, decision] = /^\/v1\/producers\/[^/]+\/half-messages\/([A-Za-z0-9_-]{1,64})(?:\/(commit|rollback))?$/.exec(path) ?? [];
  if (method === "PUT" && id !== null && decision === undefined) return { verb: "prepare", id };
  if (method === "POST" && (decision === "commit" || decision === "rollback")) return { verb: decision, id };
  return { verb: "other", id: null };
}

type Passed =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly headers: Readonly<Record<string, string | string[]>>;
      readonly body: Buffer;
    }
  /** Nobody listens there. */
  | { readonly kind: "notSent" }
  | { readonly kind: "unknown" };

/** Passes a call on to one replica. `onPassed` is told when the whole call is on its way. */
function pass(incoming: IncomingMessage, body: Buffer, port: number, agent: Agent, onPassed: () => Promise<Ending>): Promise<Passed> {
  return new Promise((resolve) => {
    const { connection: _, ...headers } = incoming.headers;
    const signal = AbortSignal.timeout(passOnDeadlineMs);
    const onward = request({ host: "127.0.0.1", port, path: incoming.url, method: incoming.method, headers, agent, signal }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", () => resolve({ kind: "unknown" }));
      answer.on("end", () => {
        const { connection: __, "keep-alive": ___, ...others } = answer.headers;
        resolve({
          kind: "answered",
          status: answer.statusCode ?? 502,
          headers: others as Record<string, string>,
          body: Buffer.concat(chunks),
        });
      });
    });
    onward.on("error", (error: NodeJS.ErrnoException) => resolve({ kind: error.code === "ECONNREFUSED" ? "notSent" : "unknown" }));
    onward.end(body, () => {
      onPassed().catch(() => undefined);
    });
  });
}
