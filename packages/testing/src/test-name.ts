import { randomBytes } from "node:crypto";

/**
 * A name that nobody else has, for a topic, an exchange, a queue or a consumer group of one test: `orders` → `orders-3f9c1b2a77d0`.
 * Letters, digits and hyphens, so that every broker takes it. Who makes something under it removes it.
 */
export function testName(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString("hex")}`;
}
