import { adminDeliveryRoutes } from "../src/api/admin-delivery-routes.ts";
import { adminRoutes } from "../src/api/admin-routes.ts";
import { checkRoutes } from "../src/api/check-routes.ts";
import { deliveryRoutes } from "../src/api/delivery-routes.ts";
import { halfMessageRoutes } from "../src/api/half-message-routes.ts";
import { healthRoutes } from "../src/api/health-routes.ts";
import { receiverRoutes } from "../src/api/receiver-routes.ts";
import type { Route } from "../src/api/route.ts";

// Nothing is called: no handler needs its parts.
const parts = { rules: { destinations: {} } } as never;

/** Every route of the service, as it describes itself. */
export const allRoutes: readonly Route[] = [
  ...halfMessageRoutes(parts),
  ...checkRoutes(parts),
  ...adminRoutes(parts),
  ...deliveryRoutes(parts),
  ...adminDeliveryRoutes(parts),
  ...receiverRoutes(parts),
  ...healthRoutes(parts),
];
