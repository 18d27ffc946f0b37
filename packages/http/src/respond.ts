/** Answers to requests whose body may not have been read. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "@waybill/core";
import { swallowBody } from "./read-body.ts";

/** A refused body is swallowed so far, so that the sender reads our answer instead of a reset; one that is longer ends the connection. */
const swallowed = { bytesMax: 262_144, deadlineMs: 1_000 } as const;

/** What is answered: a status, a word about it, and headers. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Ends the connection with this answer. */
export const lastOne: Readonly<Record<string, string>> = { connection: "close" };

/** Answers. A body that was not read is swallowed as far as is reasonable; what is longer ends the connection. */
export function respond(request: IncomingMessage, response: ServerResponse, { status, reason, headers = {} }: Refusal, clock: Clock): void {
  const text = `${reason}\n`;
  const all = { "content-type": "text/plain", "content-length": String(text.length), ...headers };
  if (bytesLeft(request) <= swallowed.bytesMax) {
    response.writeHead(status, all).end(text);
    return;
  }
  response.writeHead(status, { ...all, ...lastOne }).write(text);
  // The answer is complete for the sender; `end` would close the socket, and unread bytes would make a reset of it.
  swallowBody(request, { ...swallowed, clock }, () => response.end());
}

function bytesLeft(request: IncomingMessage): number {
  if (request.complete) return 0;
  const length = request.headers["content-length"];
  return length === undefined ? (request.headers["transfer-encoding"] === undefined ? 0 : Number.POSITIVE_INFINITY) : Number(length);
}
