/** Consumers' calls about their deliveries: done, not done, still at it. */
import { committedValue, type Database } from "@waybill/sql";
import type { Deliveries } from "../deliveries.ts";
import { deliveryPolicy } from "../delivery/destination-policy.ts";
import type { ChangedDelivery, ChangeOptions, DeliveryStore, WishFor } from "../delivery-store.ts";
import type { DeliveryWish } from "../delivery-wish.ts";
import type { ServiceRules } from "../options.ts";
import { complaints, readArray, readBoolean, readInteger, readObject, readText, reasonProblem, require } from "./fields.ts";
import { problem } from "./problem.ts";
import type { Call, Reply, Route } from "./route.ts";

export interface DeliveryRoutesOptions {
  readonly rules: ServiceRules;
  readonly database: Database;
  readonly deliveries: DeliveryStore;
  readonly delivering: Deliveries;
}

const dayMs = 86_400_000;
const acksMax = 500;
const base = "/v1/consumers/{consumer}/deliveries";

export function deliveryRoutes({ rules, database, deliveries, delivering }: DeliveryRoutesOptions): readonly Route[] {
  /** A consumer has to do with the destinations that name it, and learns nothing of others. */
  const optionsFor = ({ params, caller }: Call): ChangeOptions => ({
    actor: `consumer:${caller.keyId}`,
    reason: null,
    mayTouch: (destination) => rules.destinations[destination]?.consumer === params.consumer,
    policyOf: (destination) => {
      const options = rules.destinations[destination];
      return options === undefined ? null : deliveryPolicy(options);
    },
    writeDead: delivering.writeDead,
  });

  const change = async (call: Call, wishes: readonly WishFor[], isOnce: boolean): Promise<readonly (ChangedDelivery | null)[]> => {
    const operation = "acknowledge deliveries";
    const outcome = await database.unitOfWork(
      async (tx) => {
        if (isOnce) await call.useNonce(tx);
        return deliveries.change(tx, wishes, optionsFor(call));
      },
      { operation, byIndex: true },
    );
    const changed = committedValue(operation, outcome);
    delivering.tellDead(changed.flatMap((one) => one?.dead ?? []));
    if (changed.some((one) => one?.isApplied === true)) delivering.wake();
    return changed;
  };

  const changeOne = async (call: Call, wish: DeliveryWish, isOnce: boolean): Promise<Reply> => {
    const { delivery = "" } = call.params;
    const [changed = null] = await change(call, [{ deliveryId: delivery, wish }], isOnce);
    if (changed === null) throw problem("unknown_delivery");
    return { status: 200, body: shown(changed) };
  };

  const common = { port: "public", method: "POST", scope: "ack", of: "consumer" } as const;
  return [
    {
      ...common,
      path: `${base}/{delivery}/ack`,
      once: false,
      handle(call) {
        const to = complaints();
        readObject(call.body ?? {}, "", [], to);
        to.throwIfAny();
        return changeOne(call, { kind: "ack" }, false);
      },
    },
    {
      ...common,
      path: `${base}/{delivery}/nack`,
      once: true,
      handle(call) {
        const to = complaints();
        const fields = readObject(call.body, "", ["attempt", "retryAfterMs", "permanent", "reason"], to);
        require(fields, ["attempt"], "", to);
        const attempt = readInteger(fields, "attempt", "", to, { min: 1, max: 2_147_483_647 }) ?? 0;
        const retryAfterMs = readInteger(fields, "retryAfterMs", "", to, { min: 0, max: dayMs }) ?? null;
        const isPermanent = readBoolean(fields, "permanent", "", to) ?? false;
        const reason = readText(fields, "reason", "", to, reasonProblem) ?? null;
        to.throwIfAny();
        return changeOne(call, { kind: "nack", attempt, retryAfterMs, isPermanent, reason }, true);
      },
    },
    {
      ...common,
      path: `${base}/{delivery}/extend`,
      once: true,
      handle(call) {
        const to = complaints();
        const fields = readObject(call.body, "", ["forMs"], to);
        require(fields, ["forMs"], "", to);
        const forMs = readInteger(fields, "forMs", "", to, { min: 50, max: dayMs }) ?? 0;
        to.throwIfAny();
        return changeOne(call, { kind: "extend", forMs }, true);
      },
    },
    {
      ...common,
      path: `${base}:ack`,
      once: false,
      async handle(call) {
        const to = complaints();
        const fields = readObject(call.body, "", ["deliveryIds"], to);
        require(fields, ["deliveryIds"], "", to);
        const ids = readArray(fields, "deliveryIds", "", to, { min: 1, max: acksMax }) ?? [];
        const wanted = ids.flatMap((id, index) => {
          if (typeof id === "string") return id;
          to.malformed(`deliveryIds[${index}]`, "must be text");
          return [];
        });
        to.throwIfAny();
        const wish = { kind: "ack" } as const;
        const changed = await change(
          call,
          [...new Set(wanted)].map((deliveryId) => ({ deliveryId, wish })),
          false,
        );
        const byId = new Map(changed.flatMap((one) => (one === null ? [] : [[one.deliveryId, one] as const])));
        const results = wanted.map((deliveryId) => {
          const one = byId.get(deliveryId);
          return one === undefined ? { deliveryId, state: null, applied: false, code: "unknown_delivery" } : shown(one);
        });
        return { status: 200, body: { results } };
      },
    },
  ];
}

function shown({ deliveryId, state, isApplied, isLate }: ChangedDelivery): object {
  return { deliveryId, state, applied: isApplied, ...(isLate ? { late: true } : {}) };
}
