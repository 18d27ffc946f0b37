/**
 * An inbox in the scenario's own process, whose effects lie in the place of the delivery that feeds it, so that one audit judges both.
 *
 *     ledger ──▶ relay ──▶ broker ──▶ source ──▶ inbox ──▶ effect rows      or   ledger ──▶ relay ──▶ endpoint ──▶ process(…) ──▶ effect rows
 *
 * Its events happen here, synchronously between its steps: a fault can be put exactly between two of them.
 */
import { catalogue, type Delivery, message, type Source, type WaybillEvent } from "@waybill/core";
import { createInbox, type HandledMessage, type HandlerContext, type Inbox, type InboxOptions } from "@waybill/inbox";
import { type Database, openDatabase, type Tx } from "@waybill/sql";
import type { EffectReader, NewRow } from "./delivery.ts";
import type { Place } from "./place.ts";
import type { Rig } from "./rig.ts";

const noted = catalogue({
  source: "/reliability",
  noted: message<unknown>({ type: "reliability.noted.v1", topic: "notes" }),
}).noted;

const againsMax = 50;
const identity = {
  postgres: "bigint generated always as identity primary key",
  mysql: "bigint not null auto_increment primary key",
} as const;

/** Where receivers write what they did. Once in a place, before the first of them. */
export async function createEffectTable(place: Place): Promise<void> {
  const columns = "consumer varchar(100) not null, message_id char(36) not null";
  await place.ask((session) => session.run(`create table effect (place ${identity[session.dialect]}, ${columns})`));
}

/** For `openDelivery`: whose effects are judged. */
export const effectsOf = (consumer: string): EffectReader => ({
  consumer,
  sql: `select message_id from effect where consumer = '${consumer}' order by place`,
});

export interface ReceiverOptions extends Omit<InboxOptions, "database" | "onEvent"> {
  /** What else its handler does, in the transaction of the effect and before it. */
  readonly handle?: (message: HandledMessage<unknown>, tx: Tx, context: HandlerContext) => Promise<unknown>;
  /** Told where it happens. */
  readonly onEvent?: (event: WaybillEvent) => void;
}

export interface Receiver {
  readonly inbox: Inbox;
  readonly database: Database;
  readonly told: readonly WaybillEvent[];
  /** How often an event was told. */
  count(name: WaybillEvent["name"]): number;
  /** Events of sources, to be told among its own. */
  readonly onEvent: (event: WaybillEvent) => void;
  /**
   * Hands a delivery over as a source does, again when it is told so, and answers what it ended as: `handled`, `duplicate` and so on. `agains`: what it
   * was told before. Null: it was interrupted, or told so more often than anybody would wait for.
   */
  deliver(delivery: Delivery): Promise<{ readonly as: string | null; readonly agains: readonly string[] }>;
  /** Takes messages until `stop` is called, which resolves when what was started is settled. */
  run(source: Source): { stop(): Promise<void> };
}

/** Closed at the end of the run. */
export function openReceiver(rig: Rig, place: Place, options: ReceiverOptions): Receiver {
  const { handle, onEvent: tell, ...inboxOptions } = options;
  const { consumer, concurrency = 8 } = inboxOptions;
  const told: WaybillEvent[] = [];
  const onEvent = (event: WaybillEvent): void => {
    told.push(event);
    tell?.(event);
  };
  const database = openDatabase({ url: place.url, connections: concurrency + 2, onEvent });
  const inbox = createInbox({ ...inboxOptions, database, onEvent });
  const insert = `insert into effect (consumer, message_id) values ${place.dialect === "postgres" ? "($1, $2)" : "(?, ?)"}`;
  inbox.on(noted, async (one, tx, context) => {
    await handle?.(one, tx, context);
    await tx.query(insert, [consumer, one.id]);
  });
  rig.defer(async () => {
    await inbox.close();
    await database.close();
  });
  return {
    inbox,
    database,
    told,
    count: (name) => told.filter((event) => event.name === name).length,
    onEvent,
    async deliver(delivery) {
      const agains: string[] = [];
      while (!rig.signal.aborted && agains.length < againsMax) {
        const processed = await inbox.process(agains.length === 0 ? delivery : { ...delivery, redelivered: true });
        if (processed.kind === "done") return { as: processed.as, agains };
        agains.push(processed.as);
        await rig.pause(processed.afterMs);
      }
      return { as: null, agains };
    },
    run(source) {
      const stop = new AbortController();
      const running = inbox.run(source, { signal: stop.signal });
      running.catch((error: unknown) => rig.demand(`the inbox ended by itself: ${String(error)}`, false));
      return {
        async stop() {
          stop.abort();
          await running.catch(() => undefined); // it was said
        },
      };
    },
  };
}

/** A row as a source would hand it over. */
export const deliveryOf = (
  messageId: string,
  { topic, key, type = "reliability.noted.v1", payload = "{}" }: NewRow,
  redelivered: Delivery["redelivered"] = false,
): Delivery => ({
  message: {
    id: messageId,
    type,
    topic,
    key,
    headers: new Map(),
    payload: Buffer.from(payload, "utf8"),
    sequence: null,
    createdAtMs: null,
  },
  redelivered,
});
