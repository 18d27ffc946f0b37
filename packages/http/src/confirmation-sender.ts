/**
 * Confirms messages to their producer over HTTP, for a consumer that has no outbox. Call it once `process` has resolved as done.
 *
 *     confirm ─▶ resolve ─▶ connect ─▶ (TLS) ─▶ write ───────▶ status
 *                └────────── failed ──────────┘  └─ unknown ─┘  200: ok · 4xx, 3xx: failed · any other: unknown
 *
 * Nothing is repeated here: what failed or is unknown may be sent again at any time, and if it is not, the producer sends the message again, whose duplicate
 * is confirmed.
 */
import { type Clock, type ConfigProblem, sign, systemClock, throwConfigProblems } from "@waybill/core";
import type { Confirmation } from "./confirmation-receiver.ts";
import { connections } from "./connections.ts";
import { checkDestination, type HttpDestination } from "./destination.ts";
import { exchange } from "./exchange.ts";

export interface ConfirmationSenderOptions extends Pick<HttpDestination, "url" | "allowNetworks" | "tls"> {
  /** Signing secrets of this consumer, made with `signingSecret`; two while one is being replaced. */
  readonly secrets: NonNullable<HttpDestination["secrets"]>;
  /** Milliseconds for one confirmation, from resolving the name to the last byte of the answer. Default 10 000. */
  readonly deadlineMs?: number;
  readonly clock?: Clock;
}

/**
 * What became of a confirmation. `ok`: it is committed at the producer's, which waited for it or, if it is late or doubled, did not. `failed`: surely not noted.
 * `unknown`: it may be, now or later.
 */
export type SentConfirmation =
  | { readonly kind: "ok"; readonly isWaitedFor: boolean }
  | { readonly kind: "failed" | "unknown"; readonly reason: string };

export interface ConfirmationSender {
  /** Never rejects; resolves within the deadline. */
  confirm(confirmation: Confirmation): Promise<SentConfirmation>;
  /** Ends what is under way, as unknown where something was written, and closes every connection. */
  close(): void;
}

const responseBytesMax = 1_024;
const socketsMax = 8;

/** @throws WAYBILL_CONFIG_INVALID */
export function confirmationSender(options: ConfirmationSenderOptions): ConfirmationSender {
  const { deadlineMs = 10_000, clock = systemClock, ...destination } = options;
  const problems: ConfigProblem[] = destination.secrets.length === 0 ? [{ option: "secrets", problem: "give a signing secret" }] : [];
  const checked = checkDestination({ ...destination, deadlineMs }, (name) => name, problems);
  throwConfigProblems("The confirmation sender", problems);
  const url = checked?.urlOf("confirmations") ?? null;
  if (checked === null || url === null) throw new Error("A destination without problems has a URL.");
  const own = connections(checked.guard, { isTls: url.protocol === "https:", tls: checked.tls, socketsMax });
  let isClosed = false;

  return {
    async confirm({ messageId, consumer }) {
      if (isClosed) return { kind: "failed", reason: "closed" };
      const body = Buffer.from(JSON.stringify({ messageId, consumer }));
      const headers = {
        "content-type": "application/json",
        "content-length": String(body.byteLength),
        ...sign(checked.secrets, { id: messageId, timestampMs: clock.wallMs(), body }),
      };
      const ended = await exchange(own, { method: "POST", url, headers, body }, { deadlineMs, responseBytesMax }, clock);
      if (ended.kind !== "answered") return { kind: ended.kind === "notSent" ? "failed" : "unknown", reason: ended.reason };
      const { status } = ended;
      const word = Buffer.from(ended.body).toString("utf8").trim();
      if (status === 200 && (word === "waitedFor" || word === "notWaitedFor")) return { kind: "ok", isWaitedFor: word === "waitedFor" };
      // Another 2xx is no word of a confirmation receiver.
      return { kind: status >= 300 && status <= 499 ? "failed" : "unknown", reason: `status.${status}` };
    },
    close() {
      isClosed = true;
      own.destroy("closed");
    },
  };
}
