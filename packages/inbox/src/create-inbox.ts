import { type ConfigProblem, type Delivery, throwConfigProblems, withDeadline } from "@waybill/core";
import { deadLetterMigrations } from "@waybill/dead-letter";
import { checkSchema, sqlMigrations } from "@waybill/sql";
import { createEngine, type Engine, type Registration } from "./engine.ts";
import { handleRequest } from "./handle-request.ts";
import type { Answered, BatchHandler, Handler, HandlerOptions, Inbox, Processed, RequestOptions, RequestWork } from "./inbox.ts";
import { type InboxHealth, inboxHealth } from "./inbox-health.ts";
import { type InboxOptions, inboxSettings } from "./inbox-options.ts";
import { drainMarginMs, type Lifecycle, startDrain } from "./lifecycle.ts";
import { inboxMigrations } from "./migrations.ts";
import { createDeliveries } from "./process-delivery.ts";
import { createRedrive } from "./redrive.ts";
import { retryPolicies } from "./retry-policy.ts";
import { runSource } from "./run-source.ts";
import { keepUp, removeOldRows } from "./upkeep.ts";

/**
 * Makes the inbox of a consumer: each message's effects in `database` are committed exactly once per consumer and message id, within
 * `retentionMs`. Opens nothing; the schema is checked when the first message comes.
 *
 * @throws WAYBILL_CONFIG_INVALID with every problem, WAYBILL_IDENTIFIER_INVALID
 */
export function createInbox(options: InboxOptions): Inbox {
  const settings = inboxSettings(options);
  const { clock, drainDeadlineMs } = settings;
  const registrations = new Map<string, Registration>();
  const ignored = new Set<string>();
  const engine = createEngine(settings, registrations, ignored);
  const policies = retryPolicies(engine.usualRetry, settings.retryPolicies);
  const deliveries = createDeliveries(engine);
  const redrive = createRedrive(engine);
  const closing = new AbortController();
  const whole = startDrain(closing.signal, clock, drainDeadlineMs);
  const underWay = new Set<Promise<unknown>>();
  let isUsed = false;
  let hasRun = false;
  let runs = 0;
  let ready: Promise<void> | null = null;
  let closed: Promise<void> | null = null;

  const becomeReady = (): Promise<void> => {
    ready ??= checkSchemas(engine).catch((error: unknown) => {
      ready = null;
      throw error;
    });
    return ready;
  };
  const register = (given: Pick<Registration, "type" | "handler" | "handleMany" | "takesMany">, options: HandlerOptions): void => {
    const { type, hasVersion } = given.type;
    const { retry: name = "usual", staleness = null, keepResult: keepsResult = false } = options;
    const retry = policies.get(name);
    const unknown = { option: `${type}: retry`, problem: `is one of ${[...policies.keys()].join(", ")}` };
    throwConfigProblems("The inbox", [
      ...typeProblems(type, registrations.has(type), ignored.has(type)),
      ...(retry === undefined ? [unknown] : []),
      ...stalenessProblems(type, staleness, hasVersion),
      ...(keepsResult && given.takesMany
        ? [{ option: `${type}: keepResult`, problem: "is for handlers of one message, not of many" }]
        : []),
    ]);
    if (retry !== undefined) registrations.set(type, { ...given, retry, staleness, keepsResult });
  };
  const track = <T>(task: Promise<T>): Promise<T> => {
    underWay.add(task);
    const leave = (): void => void underWay.delete(task);
    task.then(leave, leave);
    return task;
  };

  /** One that was run has stopped when no run is left. */
  const stateNow = (): InboxHealth["state"] => {
    if (closing.signal.aborted || (hasRun && runs === 0)) return "stopped";
    return isUsed ? "running" : "new";
  };

  return {
    on<Payload>(
      type: Registration["type"] & { read(payload: Uint8Array | null): Payload },
      given: Handler<Payload, unknown>,
      options: HandlerOptions = {},
    ) {
      const handler = given as Handler<unknown, unknown>;
      const handleMany: BatchHandler<unknown> = async (messages, tx, context) => {
        for (const message of messages) await handler(message, tx, context);
      };
      register({ type, handler, handleMany, takesMany: false }, options);
    },

    onBatch<Payload>(
      type: Registration["type"] & { read(payload: Uint8Array | null): Payload },
      given: BatchHandler<Payload>,
      options: HandlerOptions = {},
    ) {
      const handleMany = given as BatchHandler<unknown>;
      register({ type, handler: (message, tx, context) => handleMany([message], tx, context), handleMany, takesMany: true }, options);
    },

    ignore(type) {
      const name = typeof type === "string" ? type : type.type;
      throwConfigProblems("The inbox", typeProblems(name, registrations.has(name), false));
      ignored.add(name);
    },

    process: (delivery: Delivery) =>
      track(
        (async (): Promise<Processed> => {
          await becomeReady();
          isUsed = true;
          const [processed] = await deliveries.process([delivery], whole.life);
          return processed ?? { kind: "again", afterMs: 0, as: "stopped" };
        })(),
      ),

    run: (source, { signal }) =>
      track(
        (async () => {
          await becomeReady();
          await runUntil(AbortSignal.any([signal, closing.signal]), async (life) => {
            isUsed = true;
            runs += 1;
            hasRun = true;
            try {
              await runSource(engine, source, deliveries, life);
            } finally {
              runs -= 1;
            }
          });
        })(),
      ),

    once: <Result>(id: string, options: RequestOptions, work: RequestWork<Result>) =>
      track(
        (async () => {
          await becomeReady();
          return (await handleRequest(engine, id, options, work, whole.life)) as Answered<Result>;
        })(),
      ),

    upkeep: ({ signal }) =>
      track(
        (async () => {
          await becomeReady();
          await runUntil(AbortSignal.any([signal, closing.signal]), null);
        })(),
      ),

    redrive: () =>
      track(
        (async () => {
          await becomeReady();
          await redrive.releaseKnownTypes(whole.life);
          return redrive.pass(whole.life);
        })(),
      ),

    removeHandled: () =>
      track(
        (async () => {
          await becomeReady();
          return removeOldRows(engine, whole.life);
        })(),
      ),

    health: () => inboxHealth(engine, stateNow()),

    close() {
      closed ??= (async () => {
        closing.abort();
        await withDeadline(clock, drainDeadlineMs + 2 * drainMarginMs, Promise.allSettled(underWay));
        whole.end();
      })();
      return closed;
    },
  };

  /** Runs the upkeep, and `work` beside it, until the signal aborts or `work` ends; then lets both end within the drain. */
  async function runUntil(signal: AbortSignal, work: ((life: Lifecycle) => Promise<void>) | null): Promise<void> {
    const workEnded = new AbortController();
    const over = AbortSignal.any([signal, workEnded.signal]);
    const drain = startDrain(over, clock, drainDeadlineMs);
    const onOver = (): void => engine.report({ name: "inbox.draining" });
    over.addEventListener("abort", onOver, { once: true });
    engine.report({ name: "inbox.started" });
    try {
      const kept = keepUp(engine, redrive, drain.life);
      const worked = work?.(drain.life).finally(() => workEnded.abort());
      // The source is somebody else's code: it is waited for no longer than what it was told.
      await Promise.race([Promise.allSettled([kept, worked]), drain.overdue]);
      await Promise.race([worked, drain.overdue]);
    } finally {
      workEnded.abort();
      drain.end();
      over.removeEventListener("abort", onOver);
      engine.report({ name: "inbox.stopped" });
    }
  }
}

async function checkSchemas({ settings: { database }, space }: Engine): Promise<void> {
  for (const set of [sqlMigrations, deadLetterMigrations, inboxMigrations]) await checkSchema(database, space, set);
}

function stalenessProblems(type: string, staleness: unknown, hasVersion: boolean): readonly ConfigProblem[] {
  const option = `${type}: staleness`;
  if (staleness === null) return [];
  if (staleness !== "skip" && staleness !== "reject") return [{ option, problem: "skip or reject" }];
  return hasVersion ? [] : [{ option, problem: "needs a version of the type's messages: give it one in the catalogue" }];
}

function typeProblems(type: string, hasHandler: boolean, isIgnored: boolean): readonly ConfigProblem[] {
  if (hasHandler) return [{ option: type, problem: "the type has a handler already" }];
  return isIgnored ? [{ option: type, problem: "the type is ignored" }] : [];
}
