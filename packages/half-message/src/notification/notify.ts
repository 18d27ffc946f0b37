/** One signed call to a receiver, and what it came to. */
import { type Clock, type HttpCaller, type HttpReach, percentEncode, retryAfterMs, type Secret, sign, toCloudEvent } from "@waybill/core";
import { outgoingDelivery } from "../delivery/outgoing-delivery.ts";
import type { ClaimedDelivery } from "../delivery-store.ts";
import type { Receiver } from "../receiver-store.ts";
import type { ReceiverRules } from "./receiver-options.ts";
import type { NotificationAnswer } from "./schedule.ts";

export interface NotifyOptions {
  readonly http: HttpCaller;
  readonly rules: ReceiverRules;
  readonly allowNetworks: readonly string[];
  readonly clock: Clock;
}

/** More of an answer is not read; of what is read only the status and whether it was a success are kept. */
const responseBytesMax = 65_536;

/** Sends a notification. Never unsigned: without a secret nothing is sent. */
export async function notify(
  delivery: ClaimedDelivery,
  receiver: Receiver,
  secrets: readonly Secret[],
  trustedUntilMs: number,
  { http, rules, allowNetworks, clock }: NotifyOptions,
): Promise<NotificationAnswer> {
  if (secrets.length === 0) return { kind: "notSent", reason: "noSecret" };
  const deadlineMs = Math.min(rules.timeoutMs, trustedUntilMs - clock.monotonicMs());
  if (deadlineMs <= 0) return { kind: "notSent", reason: "leaseLost" };
  const reach: HttpReach = { allowNetworks, ports: rules.allowPorts, allowPlain: rules.allowHttp };
  const answer = await http.call(
    { method: "POST", url: receiver.url, headers: headersOf(delivery, secrets, clock.wallMs()), body: delivery.payload },
    {
      deadlineMs,
      connectMs: Math.min(rules.connectTimeoutMs, deadlineMs),
      responseBytesMax,
      takesPartialBody: true,
      mayWrite: () => clock.monotonicMs() < trustedUntilMs,
      reach,
    },
  );
  if (answer.kind !== "answered") return answer;
  const { status, body, headers } = answer;
  return { kind: "answered", status, body, retryAfterMs: retryAfterMs(headers, rules.retryAfterCapMs) };
}

function headersOf(delivery: ClaimedDelivery, secrets: readonly Secret[], nowMs: number): Record<string, string> {
  const message = outgoingDelivery(delivery, 0);
  const headers: Record<string, string> = { "content-type": delivery.headers["content-type"] ?? "application/octet-stream" };
  for (const [name, value] of Object.entries(toCloudEvent(message))) headers[`ce-${name}`] = percentEncode(value);
  headers["waybill-attempt"] = String(delivery.attempt);
  return { ...headers, ...sign(secrets, { id: delivery.messageId, timestampMs: nowMs, body: delivery.payload }) };
}
