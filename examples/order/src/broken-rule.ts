/** What of this service's tables a statement broke. */
export type BrokenRule =
  /** The customer's credit went below zero. */
  | "credit"
  /** Somebody else inserted the same order meanwhile. */
  | "orderId"
  /** Nothing of ours: two transactions waited for each other, and this one was undone. */
  | "deadlock";

/**
 * Reads a driver's error; null: it is none of these. PostgreSQL gives a constraint's name as a field of the error, MySQL (3819) and MariaDB
 * (4025) only in its text; a duplicate key is 1062 on both, a deadlock 1213.
 */
export function brokenRule(error: unknown): BrokenRule | null {
  if (!(error instanceof Error)) return null;
  const { code, constraint, errno, sqlMessage } = error as unknown as Readonly<Record<string, unknown>>;
  const text = typeof sqlMessage === "string" ? sqlMessage : "";
  if (code === "23514" && constraint === "customer_credit") return "credit";
  if ((errno === 3819 || errno === 4025) && text.includes("customer_credit")) return "credit";
  if (code === "23505" && constraint === "customer_order_pkey") return "orderId";
  if (errno === 1062 && /'(?:customer_order\.)?PRIMARY'$/.test(text)) return "orderId";
  if (code === "40P01" || errno === 1213) return "deadlock";
  return null;
}
