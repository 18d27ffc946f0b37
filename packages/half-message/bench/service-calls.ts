/** Calls of a half-message service over HTTP, signed as a client signs them, and what the benchmark asks of it. */
import { Agent, request as httpRequest } from "node:http";
import { newMessageId, secret, signRequest, systemClock } from "@waybill/core";

export interface ServiceCalls {
  /** Prepares and commits one half message with one message of 500 bytes, which goes out an hour later. */
  pair(payload: string): Promise<void>;
  /** The same of so many, prepared in one call and committed in another. */
  batch(payload: string, count: number): Promise<void>;
}

/** Keys `payments-0` … of one secret: several, for prepares are limited per second and key. */
export const keysOfPayments = 8;

const base = "/v1/producers/payments/half-messages";

/** Over kept connections, at most so many; whatever is not 200 or 201 ends the benchmark. */
export function openServiceCalls(port: number, key: string, connections: number): ServiceCalls {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let calls = 0;
  const call = (method: "PUT" | "POST", target: string, body: unknown): Promise<Readonly<Record<string, unknown>>> =>
    new Promise((resolve, reject) => {
      const bytes = Buffer.from(JSON.stringify(body));
      calls += 1;
      const signed = signRequest(
        { id: `payments-${calls % keysOfPayments}`, secret: secret(key) },
        { method, target, body: bytes },
        { createdMs: systemClock.wallMs(), nonce: newMessageId() },
      );
      const headers = { ...signed, "content-type": "application/json", "content-length": String(bytes.length) };
      const sent = httpRequest({ agent, host: "127.0.0.1", port, method, path: target, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          if (response.statusCode === 200 || response.statusCode === 201) resolve(JSON.parse(text) as Record<string, unknown>);
          else reject(new Error(`${method} ${target} was answered with ${response.statusCode ?? 0}.`));
        });
      });
      sent.on("error", reject);
      sent.end(bytes);
    });

  return {
    async pair(payload) {
      const id = newMessageId();
      await call("PUT", `${base}/${id}`, halfMessageOf(id, payload));
      await call("POST", `${base}/${id}/commit`, {});
    },
    async batch(payload, count) {
      const ids = Array.from({ length: count }, newMessageId);
      for (const operations of [
        ids.map((id) => ({ op: "prepare", id, halfMessage: halfMessageOf(id, payload) })),
        ids.map((id) => ({ op: "commit", id })),
      ]) {
        const { results } = await call("POST", `${base}:batch`, { operations });
        const refused = (results as readonly { status: number }[]).find(({ status }) => status !== 200 && status !== 201);
        if (refused !== undefined) throw new Error(`An operation of a batch was answered with ${refused.status}.`);
      }
    },
  };
}

function halfMessageOf(id: string, payload: string): object {
  return { barrier: null, messages: [{ type: "bench.v1", topic: "payments", key: id, payload, delayMs: 3_600_000 }] };
}
