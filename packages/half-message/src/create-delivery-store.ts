import type { Random } from "@waybill/core";
import { committedValue, type Namespace, type OwnedTx } from "@waybill/sql";
import { changeByWish } from "./delivery-changes.ts";
import { claimDeliveries, claimNotifications, recordDeliveries } from "./delivery-claims.ts";
import { lanesInOrder, lanesOf, planDeliveries, type RulesOf } from "./delivery-plan.ts";
import type { DeliveryStore, DueDestination, Recorded } from "./delivery-store.ts";
import type { DeliveryTables, TouchedLane } from "./delivery-tables.ts";
import { mysqlDeliveryTables } from "./mysql/delivery-tables.ts";
import { postgresDeliveryTables } from "./postgres/delivery-tables.ts";

export interface DeliveryStoreOptions {
  readonly space: Namespace;
  readonly rulesOf: RulesOf;
  readonly random: Random;
}

/** The deliveries' tables of one database. */
export function createDeliveryStore({ space, rulesOf, random }: DeliveryStoreOptions): DeliveryStore {
  const tables = space.dialect === "mysql" ? mysqlDeliveryTables(space) : postgresDeliveryTables(space);

  return {
    async insert(tx, messages, decided = []) {
      const deliveries = planDeliveries(messages, rulesOf);
      const waiting = decided.length === 0 ? [] : await tables.orderedLanes(tx, decided);
      const woken = waiting.flatMap(({ key, destinations }) => destinations.map((destination) => ({ destination, lane: key, afterMs: 0 })));
      const touched = lanesOf(deliveries);
      // One order for both, or two decisions might wait for each other.
      if (woken.length > 0) await touchInOrder(tables, tx, touched, woken);
      if (deliveries.length > 0) await tables.insert(tx, woken.length > 0 ? [] : touched, deliveries);
      return soonest([...deliveries.map(({ destination, delayMs }) => ({ destination, afterMs: delayMs })), ...woken]);
    },

    findReceivers: tables.findReceivers,
    list: tables.list,
    search: tables.search,
    searchNotifications: tables.searchNotifications,
    attempts: tables.attempts,
    payload: tables.payload,
    countOpen: tables.countOpen,
    findDead: tables.findDead,
    wasTried: tables.wasTried,
    due: (statements) => tables.dueDestinations(statements),

    async claim(units, options) {
      const operation = "claim deliveries";
      return committedValue(operation, await units.unitOfWork((tx) => claimDeliveries(tables, tx, options), { operation }));
    },

    async claimNotifications(units, options) {
      const operation = "claim notifications";
      return committedValue(operation, await units.unitOfWork((tx) => claimNotifications(tables, tx, options), { operation }));
    },

    async record(units, claim, results, writeDead, alsoWrite) {
      if (results.length === 0) return { written: new Set(), dead: [] };
      const operation = "record deliveries";
      const work = async (tx: OwnedTx): Promise<Recorded> => {
        const recorded = await recordDeliveries(tables, tx, claim, results, writeDead);
        await alsoWrite?.(tx);
        return recorded;
      };
      const outcome = await units.unitOfWork(work, { operation, byIndex: true });
      return committedValue(operation, outcome);
    },

    change: (tx, wishes, options) => (wishes.length === 0 ? Promise.resolve([]) : changeByWish(tables, tx, wishes, options, random)),
    logDecisions: (tx, entries) => (entries.length === 0 ? Promise.resolve() : tables.logDecisions(tx, entries)),
  };
}

/** Makes lanes due: those that are touched also if they are not there. */
async function touchInOrder(
  tables: DeliveryTables,
  tx: OwnedTx,
  touched: readonly TouchedLane[],
  woken: readonly TouchedLane[],
): Promise<void> {
  const made = new Set(touched.map(nameOf));
  let together: TouchedLane[] = [];
  const touch = async (): Promise<void> => {
    if (together.length > 0) await tables.touchLanes(tx, together);
    together = [];
  };
  for (const lane of lanesInOrder([...touched, ...woken])) {
    if (made.has(nameOf(lane))) {
      together.push(lane);
      continue;
    }
    await touch();
    await tables.wakeLane(tx, lane.destination, lane.lane);
  }
  await touch();
}

/** Each destination once. */
function soonest(all: readonly DueDestination[]): readonly DueDestination[] {
  const due = new Map<string, number>();
  for (const { destination, afterMs } of all) due.set(destination, Math.min(afterMs, due.get(destination) ?? afterMs));
  return [...due].map(([destination, afterMs]) => ({ destination, afterMs }));
}

function nameOf({ destination, lane }: TouchedLane): string {
  return JSON.stringify([destination, lane]);
}
