/**
 * The broker that keeps a group: who it is, and a connection to it.
 *
 *     ask ─▶ known? ─▶ ask it ─▶ its answer
 *              │          └ "not me", "not now", no answer: forgotten, found anew after a pause, until the patience is over
 *              └ no: some seed says who it is
 *
 * `tell` asks once, and repeats nothing.
 */
import { type Clock, isWaybillError, wait, withDeadline } from "@waybill/core";
import type { BrokerAddress, BrokerConnection } from "./broker-connection.ts";
import type { Cluster } from "./cluster.ts";
import { type ConsumerError, consumerError, consumerErrorOf, refusedWith } from "./consumer-error.ts";
import type { Driver, DriverApi } from "./driver.ts";
import { BrokerError, failureOf } from "./failure.ts";

/** COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR. */
const elsewhere: ReadonlySet<number> = new Set([14, 15, 16]);
const pauseMs = 200;

export interface Patience {
  /** For one answer. */
  readonly answerMs: number;
  /** For all tries together; an answer that has begun is waited for. */
  readonly allMs: number;
}

type HasCode = { readonly errorCode: number };

export interface Coordinator {
  /** Asks until there is an answer that is not about the coordinator itself. Rejects with an error of the consumer. */
  ask<Arguments extends readonly unknown[], Answer extends HasCode>(
    api: DriverApi<Arguments, Answer>,
    request: Arguments,
    patience: Patience,
  ): Promise<Answer>;
  /** Asks once. Rejects with an error of the consumer. */
  tell<Arguments extends readonly unknown[], Answer>(
    api: DriverApi<Arguments, Answer>,
    request: Arguments,
    answerMs: number,
  ): Promise<Answer>;
  /** Over a connection of its own, so that it need not wait behind anything. Rejects. */
  tellAside<Arguments extends readonly unknown[], Answer>(api: DriverApi<Arguments, Answer>, request: Arguments): Promise<Answer>;
}

export interface CoordinatorOptions {
  readonly cluster: Cluster;
  readonly driver: Driver;
  readonly clock: Clock;
  readonly groupId: string;
  readonly signal: AbortSignal;
}

export function createCoordinator({ cluster, driver, clock, groupId, signal }: CoordinatorOptions): Coordinator {
  let known: BrokerAddress | null = null;
  let lastAddress: BrokerAddress | null = null;

  const find = async (): Promise<BrokerAddress> => {
    if (known !== null) return known;
    const answer = await cluster.seed((_, seed) => seed.ask(driver.findCoordinatorV2, [0, [groupId]]));
    const [found] = answer.coordinators;
    if (found === undefined) throw consumerError("coordinatorNotFound");
    if (elsewhere.has(found.errorCode)) {
      cluster.askElsewhere();
      throw consumerError("coordinatorNotFound", String(found.errorCode));
    }
    if (found.errorCode !== 0) throw refusedWith(found.errorCode);
    known = { host: found.host, port: found.port };
    lastAddress = known;
    return known;
  };
  const forget = (): void => {
    known = null;
  };
  const once = async <Arguments extends readonly unknown[], Answer>(
    api: DriverApi<Arguments, Answer>,
    request: Arguments,
    answerMs: number,
  ): Promise<Answer> => {
    const address = await find();
    let broker: BrokerConnection | null = null;
    try {
      broker = await cluster.broker(address, "group");
      const ended = await withDeadline(clock, answerMs, broker.ask(api, request));
      if (ended.kind === "settled") return ended.value;
      throw new BrokerError({ kind: "unreachable" });
    } catch (error) {
      broker?.destroy(); // whatever it answers now, nobody waits for it
      if (known === address) forget();
      throw error;
    }
  };

  return {
    async ask(api, request, { answerMs, allMs }) {
      const untilMs = clock.monotonicMs() + allMs;
      for (;;) {
        let error: ConsumerError;
        try {
          const answer = await once(api, request, answerMs);
          if (!elsewhere.has(answer.errorCode)) return answer;
          forget();
          error = consumerError("coordinatorNotFound", String(answer.errorCode));
        } catch (caught) {
          if (!isWaybillError(caught) && failureOf(caught).kind === "notAuthenticated") throw consumerErrorOf(caught);
          error = consumerErrorOf(caught);
          if (isLasting(error)) throw error;
        }
        if (signal.aborted || clock.monotonicMs() >= untilMs) throw error;
        await wait(clock, pauseMs, signal);
      }
    },
    async tell(api, request, answerMs) {
      try {
        return await once(api, request, answerMs);
      } catch (error) {
        throw consumerErrorOf(error);
      }
    },
    async tellAside(api, request) {
      const address = known ?? lastAddress ?? (await find());
      return (await cluster.broker(address, "aside")).ask(api, request);
    },
  };
}

/** Another try would end the same way. */
function isLasting(error: ConsumerError): boolean {
  if (isWaybillError(error, "WAYBILL_CONFIG_INVALID")) return true;
  const { reason } = error.facts as { readonly reason: string };
  return reason === "notAuthorized" || reason === "refused" || reason === "notAuthenticated";
}
