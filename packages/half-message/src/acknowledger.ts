/**
 * A consumer's side of explicit acknowledgements: tells the service what was handled.
 *
 *     source ──▶ handler ──▶ done: its effect is committed ──▶ acknowledged, joined with others ──▶ the source is settled
 *                   └── again: nothing is said; the source brings it again
 *
 * First the effect, then the acknowledgement: one that is lost is repaired by the service, which delivers again after its deadline, and by the inbox, which
 * knows the message and lets it be acknowledged once more. So the source is settled whether or not the acknowledgement arrived.
 */
import {
  type Clock,
  type ConfigProblem,
  type Delivery,
  type HttpCaller,
  isDeliveryHeader,
  type Settlement,
  type Source,
  systemClock,
  type Timer,
  throwConfigProblems,
} from "@waybill/core";
import { nameProblem } from "./names.ts";
import { createServiceClient, type ServiceAddress, type ServiceAnswer } from "./service-client.ts";

export interface AcknowledgerOptions {
  /** As the service's destination names it. */
  readonly consumer: string;
  readonly service: ServiceAddress;
  /** Default 500, at most 500: acknowledgements in one call. */
  readonly batch?: number;
  /** Default 5 ms: how long the first of a call waits for others. */
  readonly lingerMs?: number;
  /** Default 2 000 ms. */
  readonly callTimeoutMs?: number;
  /** Default 2: how often a call is made again whose end is unknown. */
  readonly retries?: number;
  /** Instead of connections of our own. */
  readonly http?: HttpCaller;
  readonly clock?: Clock;
}

export interface NackOptions {
  /** The header `waybill-attempt` of what is refused. */
  readonly attempt: number;
  /** Default: as the service's backoff says. */
  readonly retryAfterMs?: number;
  /** True: it is never to come again, and dead at once. */
  readonly isPermanent?: boolean;
  /** For whoever looks at the dead: no payload, no secret. */
  readonly reason?: string;
}

export interface Acknowledger {
  /** Says that the delivery's effect is committed. False: the service did not answer, or knows no such delivery of this consumer. Never rejects. */
  ack(deliveryId: string): Promise<boolean>;
  /** Says that it could not be handled. As `ack`; called once only, for it says which attempt it is about. */
  nack(deliveryId: string, options: NackOptions): Promise<boolean>;
  /** Asks for more time, from now on. As `ack`. */
  extend(deliveryId: string, forMs: number): Promise<boolean>;
  /** A source whose deliveries are acknowledged once they were handled. Those that ask for no acknowledgement pass as they are. */
  around(source: Source): Source;
  /** Sends what waits, and ends. */
  close(): Promise<void>;
}

const batchMax = 500;

/**
 * Makes an acknowledger.
 *
 * @throws WAYBILL_CONFIG_INVALID with every problem
 */
export function createAcknowledger(options: AcknowledgerOptions): Acknowledger {
  const { consumer, batch = batchMax, lingerMs = 5, callTimeoutMs = 2_000, retries = 2, clock = systemClock } = options;
  throwConfigProblems("The acknowledger", problemsOf({ consumer, batch, lingerMs, callTimeoutMs, retries }));
  const client = createServiceClient({ service: options.service, http: options.http, clock });
  const base = `/v1/consumers/${consumer}/deliveries`;
  const waiting = new Map<string, ((isAcked: boolean) => void)[]>();
  const underWay = new Set<Promise<void>>();
  let timer: Timer | null = null;

  /** A call that may be repeated: what state makes idempotent changes nothing the second time. */
  const callAgain = async (target: string, body: object): Promise<ServiceAnswer> => {
    let answer: ServiceAnswer = { kind: "notSent", reason: "never" };
    for (let call = 0; call <= retries; call += 1) {
      answer = await client.call({ method: "POST", target, body: JSON.stringify(body) }, callTimeoutMs);
      if (answer.kind === "answered" && answer.status < 500 && answer.status !== 429) return answer;
    }
    return answer;
  };

  const flush = (): void => {
    timer?.cancel();
    timer = null;
    while (waiting.size > 0) {
      const taken = [...waiting].slice(0, batch);
      for (const [id] of taken) waiting.delete(id);
      const sent = send(taken).finally(() => underWay.delete(sent));
      underWay.add(sent);
    }
  };

  const send = async (taken: readonly (readonly [id: string, tell: ((isAcked: boolean) => void)[]])[]): Promise<void> => {
    const answer = await callAgain(`${base}:ack`, { deliveryIds: taken.map(([id]) => id) });
    const acked = ackedBy(answer);
    for (const [id, tell] of taken) for (const one of tell) one(acked.has(id));
  };

  const ack = (deliveryId: string): Promise<boolean> =>
    new Promise((resolve) => {
      waiting.set(deliveryId, [...(waiting.get(deliveryId) ?? []), resolve]);
      if (waiting.size >= batch) flush();
      else timer ??= clock.setTimer(lingerMs, flush);
    });

  const once = async (deliveryId: string, verb: "nack" | "extend", body: object): Promise<boolean> => {
    const target = `${base}/${encodeURIComponent(deliveryId)}/${verb}`;
    const answer = await client.call({ method: "POST", target, body: JSON.stringify(body) }, callTimeoutMs);
    return answer.kind === "answered" && answer.status === 200;
  };

  return {
    ack,
    nack: (deliveryId, { attempt, retryAfterMs, isPermanent, reason }) =>
      once(deliveryId, "nack", { attempt, retryAfterMs, permanent: isPermanent, reason }),
    extend: (deliveryId, forMs) => once(deliveryId, "extend", { forMs }),
    around: (source) => ({
      consume: (handle, consuming) =>
        source.consume(async (deliveries) => {
          const settlements = await handle(deliveries);
          await Promise.all(deliveries.flatMap((delivery, place) => toAck(delivery, settlements[place]) ?? []).map(ack));
          return settlements;
        }, consuming),
    }),
    async close() {
      flush();
      await Promise.all(underWay);
      client.close();
    },
  };
}

/** The id under which a delivery is acknowledged; null: it asks for none, or was not handled. */
function toAck({ message: { headers } }: Delivery, settlement: Settlement | undefined): string | null {
  const id = headers.get("waybill-delivery-id");
  if (settlement?.kind !== "done" || headers.get("waybill-ack") !== "explicit" || id === undefined) return null;
  return isDeliveryHeader("waybill-delivery-id", id) ? id : null;
}

/** Ids that the service has noted. */
function ackedBy(answer: ServiceAnswer): ReadonlySet<string> {
  if (answer.kind !== "answered" || answer.status !== 200) return new Set();
  const results = (answer.body as { readonly results?: unknown } | null)?.results;
  if (!Array.isArray(results)) return new Set();
  return new Set(
    results.flatMap((result: unknown) => {
      const { deliveryId, state } = (result ?? {}) as { readonly deliveryId?: unknown; readonly state?: unknown };
      return typeof deliveryId === "string" && state === "acked" ? deliveryId : [];
    }),
  );
}

function problemsOf(
  options: Required<Pick<AcknowledgerOptions, "consumer" | "batch" | "lingerMs" | "callTimeoutMs" | "retries">>,
): readonly ConfigProblem[] {
  const broken = nameProblem(options.consumer);
  const bounds = { batch: [1, batchMax], lingerMs: [0, 60_000], callTimeoutMs: [50, 300_000], retries: [0, 100] } as const;
  return [
    ...(broken === null ? [] : [{ option: "consumer", problem: `must be ${broken}` }]),
    ...Object.entries(bounds).flatMap(([option, [min, max]]) => {
      const value = options[option as keyof typeof bounds];
      return Number.isSafeInteger(value) && value >= min && value <= max
        ? []
        : [{ option, problem: `must be a whole number from ${min} to ${max}` }];
    }),
  ];
}
