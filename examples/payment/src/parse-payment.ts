import type { PaymentTaken } from "./messages.ts";

const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const centsMax = 10_000_000_000;

/** A payment from a request's body, or every rule it breaks. */
export function parsePayment(body: unknown): { readonly payment: PaymentTaken } | { readonly problems: readonly string[] } {
  const { paymentId, orderId, customerId, cents } = (typeof body === "object" && body !== null ? body : {}) as Readonly<
    Record<string, unknown>
  >;
  const problems = [
    isUuid(paymentId) ? "" : "paymentId must be a UUID in lower case, chosen by you",
    isUuid(orderId) ? "" : "orderId must be a UUID in lower case",
    typeof customerId === "string" && /^[\w.-]{1,60}$/.test(customerId)
      ? ""
      : "customerId must be 1 to 60 letters, digits, '.', '_' or '-'",
    Number.isInteger(cents) && (cents as number) >= 1 && (cents as number) <= centsMax
      ? ""
      : `cents must be a whole number from 1 to ${centsMax}`,
  ].filter((problem) => problem !== "");
  if (problems.length > 0) return { problems };
  return { payment: { paymentId, orderId, customerId, cents } as PaymentTaken };
}

function isUuid(value: unknown): boolean {
  return typeof value === "string" && uuidPattern.test(value);
}
