/**
 * Servers that start when the first test asks for them, once for all test files of a run.
 *
 *     test file ──"kafka"──▶ desk (in the run's set-up) ──▶ provideServer, once per name
 *               ◀──answer───   a second file that asks waits for the same start
 *
 * One line of JSON each way over a TCP connection on the loopback; its end without an answer means that the run is over. Nothing is
 * stopped in between: what was started ends with the run.
 */
import { connect, createServer, type Socket } from "node:net";
import type { ProvidedServer } from "./servers/provide-server.ts";

/** What a test gets to know of a server. */
export type DeskAnswer =
  | { readonly kind: "used"; readonly url: string; readonly version: string }
  | { readonly kind: "skipped"; readonly reason: string }
  | { readonly kind: "failed"; readonly message: string };

/**
 * What a run says about a server that was looked for. One that must be there and is not fails whoever asked, if the run is one of CI:
 * elsewhere tests are left out, and the run says so.
 */
export function deskAnswer(provided: ProvidedServer, rule: { readonly isOptional: boolean; readonly isCi: boolean }): DeskAnswer {
  if (provided.kind === "used") return { kind: "used", url: provided.url, version: provided.version };
  const reason = `${provided.reason}. To test on it: ${provided.advice}.`;
  if (!rule.isCi || rule.isOptional) return { kind: "skipped", reason };
  return { kind: "failed", message: `${provided.name} must be there when CI=true: ${reason}` };
}

export interface ServerDesk {
  /** `host:port`, for `askServerDesk`. */
  readonly address: string;
  /** Takes no questions any more. Starts under way are the caller's to wait for. */
  close(): Promise<void>;
}

/** A server's name is short; whoever sends more does not mean us. */
const questionBytesMax = 256;

/** Opens a desk. `answer` is called for each question and keeps its own memory. */
export async function openServerDesk(answer: (name: string) => Promise<DeskAnswer>): Promise<ServerDesk> {
  const sockets = new Set<Socket>();
  const desk = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => undefined); // whoever asked has gone
    let question = "";
    socket.setEncoding("utf8").on("data", (text: string) => {
      question += text;
      if (question.length > questionBytesMax) socket.destroy();
      else if (question.endsWith("\n")) {
        answer(question.trim())
          .catch((error: Error): DeskAnswer => ({ kind: "failed", message: error.message }))
          .then((given) => socket.end(`${JSON.stringify(given)}\n`))
          .catch(() => socket.destroy());
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    desk.once("error", reject);
    desk.listen({ port: 0, host: "127.0.0.1" }, resolve);
  });
  const { port } = desk.address() as { port: number };
  return {
    address: `127.0.0.1:${port}`,
    close() {
      const closed = new Promise<void>((resolve) => desk.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      return closed;
    },
  };
}

/** Asks a desk for a server. `deadlineMs` allows for a first download. */
export function askServerDesk(address: string, name: string, deadlineMs: number): Promise<DeskAnswer> {
  return new Promise((resolve, reject) => {
    const [host, port] = address.split(":");
    const socket = connect({ host: host ?? "", port: Number(port) });
    let answer = "";
    const deadline = setTimeout(() => socket.destroy(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs);
    socket.setEncoding("utf8").on("data", (text: string) => {
      answer += text;
    });
    socket.once("connect", () => socket.write(`${name}\n`));
    socket.once("error", (error) =>
      reject(new Error(`The run's set-up cannot be asked for "${name}": ${error.message}`, { cause: error })),
    );
    socket.once("close", () => {
      clearTimeout(deadline);
      if (answer.endsWith("\n")) resolve(JSON.parse(answer) as DeskAnswer);
      else reject(new Error(`The run ended before "${name}" was there.`)); // no effect after an error
    });
  });
}
