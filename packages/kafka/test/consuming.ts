/** A source under test, and what it did: for tests on real brokers. */
import type { Delivery, Settlement, Source, SourceEvent, WaybillEvent } from "@waybill/core";
import { waitUntil } from "@waybill/testing";

export interface Consuming {
  /** Every delivery, in the order of the hand-over. */
  readonly handed: readonly Delivery[];
  /** Ids settled with `done`, in order. */
  readonly finished: readonly string[];
  /** Null while it runs, and after an end without error. */
  readonly failure: () => Error | null;
  /** Rejects if `consume` fails meanwhile. */
  until(what: string, condition: () => boolean | Promise<boolean>, deadlineMs?: number): Promise<void>;
  /** Aborts, and waits until `consume` has ended. */
  end(): Promise<void>;
  /** Resolves when `consume` has ended by itself or was ended. */
  readonly ended: Promise<void>;
}

const done: Settlement = { kind: "done" };

export function consuming(source: Source, settle: (delivery: Delivery) => Settlement | Promise<Settlement> = () => done): Consuming {
  const handed: Delivery[] = [];
  const finished: string[] = [];
  const stop = new AbortController();
  let failure: Error | null = null;
  const ended = source
    .consume(
      async (batch) => {
        handed.push(...batch);
        const settlements: Settlement[] = [];
        for (const delivery of batch) {
          const settlement = await settle(delivery);
          settlements.push(settlement);
          if (settlement.kind === "done") finished.push(delivery.message.id);
        }
        return settlements;
      },
      { signal: stop.signal },
    )
    .catch((error: unknown) => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
  return {
    handed,
    finished,
    failure: () => failure,
    async until(what, condition, deadlineMs = 60_000) {
      await waitUntil(async () => failure !== null || (await condition()), { what, deadlineMs });
      if (failure !== null) throw failure;
    },
    async end() {
      stop.abort();
      await ended;
    },
    ended,
  };
}

export interface SourceEvents {
  readonly onEvent: (event: WaybillEvent) => void;
  readonly all: readonly SourceEvent[];
  of<Name extends SourceEvent["name"]>(name: Name): readonly Extract<SourceEvent, { readonly name: Name }>[];
}

/** Keeps what sources tell. */
export function sourceEvents(): SourceEvents {
  const all: SourceEvent[] = [];
  return {
    onEvent: (event) => {
      if (event.name.startsWith("source.")) all.push(event as SourceEvent);
    },
    all,
    of: (name) => all.filter((event) => event.name === name) as never,
  };
}
