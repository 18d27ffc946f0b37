/**
 * Stands in front of a service's `/messages`, writes down what a relay sends, then passes it on.
 *
 *     relay ──▶ recorder ──▶ service
 *                  └ id, topic, key, sequence, digest: in memory and in a file, before a byte is passed on
 *
 * It knows nothing of Waybill but the names of CloudEvents' HTTP headers. While its service is dead it answers 502: what it wrote
 * down is then not known to have been handled, and comes again.
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { digest, type Received } from "@waybill/auditor";
import { noteArrivals, type Recorder } from "./recorder.ts";

export interface HttpRecorderOptions {
  /** The name under which the audit knows who sends here. */
  readonly subscription: string;
  /** Where the service listens. */
  readonly port: number;
  /** One JSON object per line. */
  readonly file: string;
}

const passOnDeadlineMs = 20_000;

export async function startHttpRecorder({ subscription, port, file }: HttpRecorderOptions): Promise<Recorder> {
  const arrivals = noteArrivals(file);
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });

  const record = (incoming: IncomingMessage, body: Buffer): void => {
    const attribute = (name: string): string | null => {
      const value = incoming.headers[`ce-${name}`];
      return typeof value === "string" ? decodeURIComponent(value) : null;
    };
    const sequence = attribute("sequence");
    const entry: Received = {
      subscription,
      messageId: attribute("id") ?? "",
      payloadDigest: digest(body),
      topic: attribute("topic") ?? "",
      key: attribute("partitionkey"),
      sequence: sequence === null ? null : BigInt(sequence),
    };
    arrivals.note(entry);
  };

  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("error", () => outgoing.destroy());
    incoming.on("end", () => {
      const body = Buffer.concat(chunks);
      record(incoming, body);
      passOn(incoming, body, outgoing);
    });
  });

  const passOn = (incoming: IncomingMessage, body: Buffer, outgoing: ServerResponse): void => {
    const { connection: _, ...headers } = incoming.headers;
    const onward = request(
      {
        host: "127.0.0.1",
        port,
        path: "/messages",
        method: incoming.method,
        headers,
        agent,
        signal: AbortSignal.timeout(passOnDeadlineMs),
      },
      (answer) => {
        const { connection: __, "keep-alive": ___, ...answerHeaders } = answer.headers;
        outgoing.writeHead(answer.statusCode ?? 502, answerHeaders);
        answer.on("error", () => outgoing.destroy());
        answer.pipe(outgoing);
      },
    );
    onward.on("error", () => {
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(502, { "content-length": "0" }).end();
    });
    onward.end(body);
  };

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/${subscription}`,
    received: arrivals.received,
    distinct: arrivals.distinct,
    next: arrivals.next,
    readToEnd: async () => undefined,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      agent.destroy();
      arrivals.close();
    },
  };
}
