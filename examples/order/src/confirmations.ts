import type { RequestListener } from "node:http";
import { confirmationReceiver } from "@waybill/http";
import { confirm } from "@waybill/outbox";
import { committedValue, type Database } from "@waybill/sql";
import type { Configuration } from "./configuration.ts";

/**
 * Takes confirmations by HTTP, of a consumer that has no outbox to reply through, signed with the secrets that its messages would be. null: there are none, and
 * nobody confirms this way.
 */
export function confirmations(database: Database, { signingSecrets }: Configuration): RequestListener | null {
  if (signingSecrets.length === 0) return null;
  const operation = "confirm";
  return confirmationReceiver({
    consumers: { inventory: signingSecrets },
    confirm: async (confirmation) =>
      committedValue(operation, await database.unitOfWork((tx) => confirm(tx, confirmation), { operation, deadlineMs: 5_000 })),
  });
}
