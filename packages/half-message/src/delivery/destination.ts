import type { Transport } from "@waybill/core";
import type { DeliveryPolicy } from "../delivery-schedule.ts";

/** Where deliveries go: by name, with what was configured for it. */
export interface Destination {
  readonly name: string;
  readonly transport: Transport;
  readonly policy: DeliveryPolicy;
}
