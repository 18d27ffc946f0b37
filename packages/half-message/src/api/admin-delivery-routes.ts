/** Operators' calls about deliveries. Every one that changes something says why, and is in the log of decisions, in the same transaction. */
import { committedValue, type Database } from "@waybill/sql";
import type { Deliveries } from "../deliveries.ts";
import { deliveryPolicy } from "../delivery/destination-policy.ts";
import type { ChangeOptions, DeliveryStore, ShownDelivery, WishFor } from "../delivery-store.ts";
import type { DeliveryState, DeliveryWish } from "../delivery-wish.ts";
import type { ServiceRules } from "../options.ts";
import { complaints, readBoolean, readInteger, readLimit, readObject, readText, reasonProblem, require } from "./fields.ts";
import { problem } from "./problem.ts";
import type { Call, Reply, Route } from "./route.ts";

export interface AdminDeliveryRoutesOptions {
  readonly rules: ServiceRules;
  readonly database: Database;
  readonly deliveries: DeliveryStore;
  readonly delivering: Deliveries;
}

const deadMax = 1_000;
/** A hundred a second: what failed together does not come back together. */
const redriveEveryMs = 10;
const base = "/admin/v1/deliveries";

export function adminDeliveryRoutes({ rules, database, deliveries, delivering }: AdminDeliveryRoutesOptions): readonly Route[] {
  const optionsFor = ({ caller }: Call, reason: string | null): ChangeOptions => ({
    actor: `operator:${caller.keyId}`,
    reason,
    mayTouch: () => true,
    policyOf: (destination) => {
      const options = rules.destinations[destination];
      return options === undefined ? null : deliveryPolicy(options);
    },
  });

  const change = async (call: Call, wishes: readonly WishFor[], reason: string | null) => {
    const operation = "decide about deliveries";
    const outcome = await database.unitOfWork(
      async (tx) => {
        await call.useNonce(tx);
        return deliveries.change(tx, wishes, optionsFor(call, reason));
      },
      { operation, byIndex: true },
    );
    const changed = committedValue(operation, outcome);
    delivering.wake();
    return changed;
  };

  const changeOne = async (call: Call, wish: DeliveryWish): Promise<Reply> => {
    const to = complaints();
    const fields = readObject(call.body, "", ["reason"], to);
    require(fields, ["reason"], "", to);
    const reason = readText(fields, "reason", "", to, reasonProblem) ?? null;
    to.throwIfAny();
    const [changed = null] = await change(call, [{ deliveryId: call.params.delivery ?? "", wish }], reason);
    if (changed === null) throw problem("unknown_delivery");
    return { status: 200, body: { deliveryId: changed.deliveryId, state: changed.state, applied: changed.isApplied } };
  };

  /** What is dead at one destination, those first that died first. `wishFor` says what is wished of the n-th. */
  const changeDead = async (call: Call, wishFor: (nth: number) => DeliveryWish): Promise<Reply> => {
    const to = complaints();
    const fields = readObject(call.body, "", ["destination", "limit", "dryRun", "reason"], to);
    require(fields, ["destination", "reason"], "", to);
    const destination = readText(fields, "destination", "", to, () => null) ?? "";
    const limit = readInteger(fields, "limit", "", to, { min: 1, max: deadMax }) ?? deadMax;
    const isDryRun = readBoolean(fields, "dryRun", "", to) ?? false;
    const reason = readText(fields, "reason", "", to, reasonProblem) ?? null;
    to.throwIfAny();
    const ids = await deliveries.findDead(database, destination, limit);
    if (isDryRun) return { status: 200, body: { deliveries: ids.length, dryRun: true } };
    const changed = await change(
      call,
      ids.map((deliveryId, nth): WishFor => ({ deliveryId, wish: wishFor(nth) })),
      reason,
    );
    return { status: 200, body: { deliveries: changed.filter((one) => one?.isApplied === true).length, dryRun: false } };
  };

  const show = async ({ params }: Call): Promise<Reply> => {
    const { delivery: id = "" } = params;
    const [, seq] = /^([1-9][0-9]{0,17})-[0-9a-f]{16}$/.exec(id) ?? [];
    if (seq === undefined) throw problem("unknown_delivery");
    const filter = { destination: null, state: null, afterSeq: String(BigInt(seq) - 1n), limit: 1 };
    const [found] = await deliveries.search(database, filter);
    if (found === undefined || found.deliveryId !== id) throw problem("unknown_delivery");
    return { status: 200, body: { ...shownDelivery(found), attemptLog: await deliveries.attempts(database, seq) } };
  };

  const common = { port: "admin", scope: "operate", of: null } as const;
  const changing = { ...common, method: "POST", once: true } as const;
  return [
    { ...changing, path: `${base}/{delivery}/redrive`, handle: (call) => changeOne(call, { kind: "redrive", afterMs: 0 }) },
    { ...changing, path: `${base}/{delivery}/give-up`, handle: (call) => changeOne(call, { kind: "giveUp" }) },
    { ...changing, path: `${base}/{delivery}/force-ack`, handle: (call) => changeOne(call, { kind: "forceAck" }) },
    { ...changing, path: `${base}/{delivery}/discard`, handle: (call) => changeOne(call, { kind: "discard" }) },
    {
      ...changing,
      path: `${base}:redrive`,
      handle: (call) => changeDead(call, (nth) => ({ kind: "redrive", afterMs: nth * redriveEveryMs })),
    },
    { ...changing, path: `${base}:discard`, handle: (call) => changeDead(call, () => ({ kind: "discard" })) },
    { ...common, method: "GET", path: `${base}/{delivery}`, once: false, handle: show },
    {
      ...common,
      method: "GET",
      path: base,
      once: false,
      async handle({ query }) {
        const limit = readLimit(query);
        const filter = { destination: query.get("destination"), state: readDeliveryState(query), afterSeq: readAfter(query), limit };
        const items = await deliveries.search(database, filter);
        return {
          status: 200,
          body: { items: items.map(shownDelivery), next: items.length === limit ? (items.at(-1)?.seq ?? null) : null },
        };
      },
    },
  ];
}

/** A delivery in a list: all but its place, which is in its id. */
export function shownDelivery(delivery: ShownDelivery): object {
  const { seq: _, ...shown } = delivery;
  return shown;
}

/** The state that a list is asked for; null: any. */
export function readDeliveryState(query: URLSearchParams): DeliveryState | null {
  const state = query.get("state");
  if (state === null || state === "pending" || state === "awaiting_ack" || state === "acked" || state === "dead") return state;
  throw problem("malformed_request", { errors: [{ field: "state", why: "must be pending, awaiting_ack, acked or dead" }] });
}

/** Where a list goes on. */
export function readAfter(query: URLSearchParams): string {
  const after = query.get("after") ?? "0";
  if (/^[0-9]{1,18}$/.test(after)) return after;
  throw problem("malformed_request", { errors: [{ field: "after", why: "must be what `next` said" }] });
}
