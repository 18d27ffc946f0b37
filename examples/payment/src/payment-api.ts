/**
 * The service's HTTP side.
 *
 *     POST /payments        201 taken · 200 taken before · 402 refused · 409 the id is another payment's · 400 · 503 ask again
 *     GET  /payments/{id}   200 · 404
 *     POST /checks          the half-message service asks what became of transactions; signed, so nobody else can
 *     GET  /livez /readyz
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { parsePayment } from "./parse-payment.ts";
import { readJson } from "./read-json.ts";
import { statements } from "./statements.ts";
import { type PaymentParts, takePayment } from "./take-payment.ts";

export interface PaymentApiOptions extends PaymentParts {
  readonly isReady: () => Promise<boolean>;
  /** Told of requests that failed. */
  readonly onFailure: (error: unknown) => void;
}

interface Answer {
  readonly status: number;
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A listener for `node:http`. */
export function paymentApi(options: PaymentApiOptions): RequestListener {
  const { producer, database, isReady, onFailure } = options;

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const path = new URL(request.url ?? "/", "http://payment").pathname;
    if (request.method === "POST" && path === "/payments") return await answerPayment(options, request);
    if (request.method === "GET" && path === "/livez") return { status: 200, body: { status: "alive" } };
    if (request.method === "GET" && path === "/readyz") return (await isReady()) ? { status: 200, body: { status: "ready" } } : unavailable;
    const paymentId = /^\/payments\/([0-9a-f-]{36})$/.exec(path)?.[1];
    if (request.method === "GET" && paymentId !== undefined) {
      const [row] = await database.query(statements[database.dialect].findPayment, [paymentId]);
      if (row === undefined) return { status: 404, body: { problem: "paymentUnknown" } };
      return { status: 200, body: { paymentId, orderId: row["order_id"], customerId: row["customer_id"], cents: Number(row["cents"]) } };
    }
    return { status: 404, body: { problem: "pathUnknown" } };
  };

  return (request, response) => {
    if (request.method === "POST" && request.url === "/checks") {
      // Looks into the barrier, and fences what has not begun: a later COMMIT of it fails.
      producer.handleChecks(request, response).catch(() => response.destroy());
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

async function answerPayment(parts: PaymentParts, request: IncomingMessage): Promise<Answer> {
  const parsed = parsePayment(await readJson(request));
  if ("problems" in parsed) return { status: 400, body: { problem: "paymentInvalid", problems: parsed.problems } };
  const { paymentId } = parsed.payment;
  switch (await takePayment(parts, parsed.payment)) {
    case "taken":
      return { status: 201, body: { paymentId } };
    case "known":
      return { status: 200, body: { paymentId } };
    case "refused":
      return { status: 402, body: { problem: "limitExceeded" } };
    case "conflict":
      return { status: 409, body: { problem: "paymentIdTaken" } };
  }
}

function send(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text), ...headers });
  response.end(text);
}
