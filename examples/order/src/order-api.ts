/**
 * The service's HTTP side.
 *
 *     POST /orders        201 placed · 200 placed before · 402 refused · 409 the id is another order's · 400 · 503 ask again
 *     GET  /orders/{id}   200 · 404
 *     POST /messages      the inventory service's answers, for the inbox
 *     POST /confirmations  a consumer's word that it has handled a message, if it has no outbox to reply through
 *     GET  /livez /readyz /metrics
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { expositionType } from "@waybill/core";
import type { InboxReadiness } from "@waybill/inbox";
import type { Knex } from "knex";
import { findOrder } from "./find-order.ts";
import type { ShopMessages } from "./messages.ts";
import { parseOrder } from "./parse-order.ts";
import { placeOrder } from "./place-order.ts";
import { readJson } from "./read-json.ts";

export interface OrderApiOptions {
  readonly knex: Knex;
  readonly shop: ShopMessages;
  /** null: messages come from a broker. */
  readonly receiveMessage: RequestListener | null;
  /** null: nobody has a secret to confirm with. */
  readonly takeConfirmation: RequestListener | null;
  readonly readiness: () => Promise<InboxReadiness>;
  /** In Prometheus' text format. */
  readonly metrics: () => string;
  /** Told of requests that failed. */
  readonly onFailure: (error: unknown) => void;
}

interface Answer {
  readonly status: number;
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A listener for `node:http`. */
export function orderApi(options: OrderApiOptions): RequestListener {
  const { knex, shop, receiveMessage, takeConfirmation, readiness, metrics, onFailure } = options;

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const path = new URL(request.url ?? "/", "http://order").pathname;
    if (request.method === "POST" && path === "/orders") return await answerPlacement(knex, shop, request);
    if (request.method === "GET" && path === "/livez") return { status: 200, body: { status: "alive" } };
    if (request.method === "GET" && path === "/readyz") {
      const { isReady, reasons } = await readiness();
      return isReady ? { status: 200, body: { status: "ready" } } : { ...unavailable, body: { problem: "notReady", reasons } };
    }
    const orderId = /^\/orders\/([0-9a-f-]{36})$/.exec(path)?.[1];
    if (request.method === "GET" && orderId !== undefined) {
      const order = await findOrder(knex, orderId);
      return order === null ? { status: 404, body: { problem: "orderUnknown" } } : { status: 200, body: order };
    }
    return { status: 404, body: { problem: "pathUnknown" } };
  };

  return (request, response) => {
    if (request.method === "GET" && request.url === "/metrics") {
      response.writeHead(200, { "content-type": expositionType }).end(metrics());
      return;
    }
    if (receiveMessage !== null && request.method === "POST" && request.url === "/messages") {
      receiveMessage(request, response);
      return;
    }
    if (takeConfirmation !== null && request.url === "/confirmations") {
      takeConfirmation(request, response);
      return;
    }
    answer(request)
      .catch((error: unknown) => {
        onFailure(error);
        return unavailable;
      })
      .then((given) => send(response, given))
      .catch(() => response.destroy());
  };
}

/** Whether it was done is unknown, or it was not. Either way: again, with the same id. */
const unavailable: Answer = { status: 503, body: { problem: "tryAgain" }, headers: { "retry-after": "1" } };

async function answerPlacement(knex: Knex, shop: ShopMessages, request: IncomingMessage): Promise<Answer> {
  const parsed = parseOrder(await readJson(request));
  if ("problems" in parsed) return { status: 400, body: { problem: "orderInvalid", problems: parsed.problems } };
  const placement = await placeOrder(knex, shop, parsed.order);
  switch (placement.kind) {
    case "placed":
      return { status: 201, body: { orderId: parsed.order.orderId } };
    case "known":
      return { status: 200, body: { orderId: parsed.order.orderId } };
    case "refused":
      return { status: 402, body: { problem: placement.reason } };
    case "conflict":
      return { status: 409, body: { problem: "orderIdTaken" } };
  }
}

function send(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text), ...headers });
  response.end(text);
}
