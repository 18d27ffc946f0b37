/**
 * The service's HTTP side.
 *
 *     PUT  /stock/{sku}   { onHand }: 200 · 409 less than is reserved · 400
 *     GET  /stock/{sku}   200 · 404
 *     POST /messages      the order service's messages, for the inbox
 *     GET  /livez /readyz /metrics
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { expositionType } from "@waybill/core";
import type { InboxReadiness } from "@waybill/inbox";
import { committedValue, type Database } from "@waybill/sql";
import { readJson } from "./read-json.ts";
import { statements } from "./statements.ts";

export interface InventoryApiOptions {
  readonly database: Database;
  /** null: messages come from a broker. */
  readonly receiveMessage: RequestListener | null;
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
export function inventoryApi(options: InventoryApiOptions): RequestListener {
  const { database, receiveMessage, readiness, metrics, onFailure } = options;

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const path = new URL(request.url ?? "/", "http://inventory").pathname;
    if (request.method === "GET" && path === "/livez") return { status: 200, body: { status: "alive" } };
    if (request.method === "GET" && path === "/readyz") {
      const { isReady, reasons } = await readiness();
      return isReady ? { status: 200, body: { status: "ready" } } : { ...unavailable, body: { problem: "notReady", reasons } };
    }
    const sku = /^\/stock\/([\w.-]{1,60})$/.exec(path)?.[1];
    if (sku !== undefined && request.method === "GET") return await answerStock(database, sku);
    if (sku !== undefined && request.method === "PUT") return await setStock(database, sku, await readJson(request));
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
    answer(request)
      .catch((error: unknown) => {
        onFailure(error);
        return unavailable;
      })
      .then((given) => send(response, given))
      .catch(() => response.destroy());
  };
}

/** Setting stock again does no harm: again, if there was no answer. */
const unavailable: Answer = { status: 503, body: { problem: "tryAgain" }, headers: { "retry-after": "1" } };

async function answerStock(database: Database, sku: string): Promise<Answer> {
  const [row] = await database.query(statements[database.dialect].readStock, [sku]);
  if (row === undefined) return { status: 404, body: { problem: "skuUnknown" } };
  return { status: 200, body: { sku, onHand: row["on_hand"], reserved: row["reserved"] } };
}

async function setStock(database: Database, sku: string, body: unknown): Promise<Answer> {
  const onHand = typeof body === "object" && body !== null && "onHand" in body ? body.onHand : null;
  if (!Number.isInteger(onHand) || (onHand as number) < 0 || (onHand as number) > 1_000_000_000) {
    return { status: 400, body: { problem: "onHand must be a whole number from 0 to 1000000000" } };
  }
  const wanted = onHand as number;
  const outcome = await database.unitOfWork(
    async (tx) => {
      const sql = statements[tx.dialect];
      const [article] = await tx.query(sql.lockStock, [sku]);
      const reserved = Number(article?.["reserved"] ?? 0);
      if (reserved > wanted) return null;
      if (article === undefined) await tx.query(sql.insertStock, [sku, wanted]);
      else await tx.query(sql.setOnHand, [wanted, sku]);
      return { sku, onHand: wanted, reserved };
    },
    { operation: "set stock" },
  );
  const set = committedValue("set stock", outcome);
  return set === null ? { status: 409, body: { problem: "moreIsReserved" } } : { status: 200, body: set };
}

function send(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text), ...headers });
  response.end(text);
}
