import type { NewOrder } from "./place-order.ts";

const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** An order from a request's body, or every rule it breaks. */
export function parseOrder(body: unknown): { readonly order: NewOrder } | { readonly problems: readonly string[] } {
  const { orderId, customerId, sku, quantity, totalCents } = (typeof body === "object" && body !== null ? body : {}) as Readonly<
    Record<string, unknown>
  >;
  const problems = [
    typeof orderId === "string" && uuidPattern.test(orderId) ? "" : "orderId must be a UUID in lower case, chosen by you",
    isName(customerId) ? "" : "customerId must be 1 to 60 letters, digits, '.', '_' or '-'",
    isName(sku) ? "" : "sku must be 1 to 60 letters, digits, '.', '_' or '-'",
    isWhole(quantity, 1, 1_000) ? "" : "quantity must be a whole number from 1 to 1000",
    isWhole(totalCents, 0, 10_000_000_000) ? "" : "totalCents must be a whole number from 0 to 10000000000",
  ].filter((problem) => problem !== "");
  if (problems.length > 0) return { problems };
  return { order: { orderId, customerId, sku, quantity, totalCents } as NewOrder };
}

function isName(value: unknown): boolean {
  return typeof value === "string" && /^[\w.-]{1,60}$/.test(value);
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}
