/**
 * Asks producers about half messages that are not decided, and suspends what nobody can be asked about.
 *
 *     due producers ─▶ push, direct: the producer's lane asks ─▶ recorded
 *          │          └ pull: whoever waits for checks is woken
 *          └─▶ deadline past, and no check decided it: suspended, and an alert
 *
 * The scan costs what there are producers with undecided half messages, never what there are rows; it sleeps until the earliest check is due,
 * `pollMs` at most. Every replica runs it: the leases keep them apart. Nothing is decided by time.
 */
import { type Clock, type ConfigProblem, emit, type HttpCaller, type OnEvent, type Random, throwConfigProblems, wait } from "@waybill/core";
import type { Database } from "@waybill/sql";
import type { CheckDesk } from "../api/check-routes.ts";
import { type Barrier, createBarrier } from "../barrier.ts";
import type { CheckSchedule } from "../check-schedule.ts";
import { codeOf } from "../code-of.ts";
import type { ProducerRules, ServiceRules } from "../options.ts";
import { signingSecrets } from "../signing-secrets.ts";
import type { DueProducer, HalfMessageStore } from "../store.ts";
import type { Asker } from "./asker.ts";
import { directAsker } from "./direct.ts";
import { inTurns } from "./in-turns.ts";
import { createLane, type Lane } from "./lane.ts";
import { createPullDesk } from "./pull.ts";
import { pushAsker } from "./push.ts";
import type { RecordContext } from "./record-answer.ts";

export interface CheckBackOptions extends RecordContext {
  readonly rules: Pick<ServiceRules, "producers" | "leaseMs" | "pollMs">;
  readonly store: HalfMessageStore;
  readonly database: Database;
  readonly http: HttpCaller;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: OnEvent | undefined;
}

export interface CheckBack {
  /** Where producers that pull get their checks. */
  readonly desk: CheckDesk;
  /** Asks until the signal aborts; then records what is under way. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** False: a check is a minute late of a producer that could be asked. */
  isReady(): boolean;
}

/** How late a check may be before the service is no longer ready. */
const lateMsMax = 60_000;
const overdueBatch = 100;
/** Of one producer in one scan. */
const overdueBatchesMax = 5;
const failureBackoffMs = 1_000;
/** Answers that are recorded at once: enough for full batches, and a fifth of the writer's line. */
const recordingMax = 1_000;
/** Of an operation that no key has signed. */
const actor = "service";

/** @throws WAYBILL_CONFIG_INVALID with every problem */
export function createCheckBack(options: CheckBackOptions): CheckBack {
  const { rules, store, database, writer, alerts, clock, onEvent } = options;
  const { leaseMs, pollMs } = rules;
  throwConfigProblems(
    "The half-message service",
    Object.entries(rules.producers).flatMap(([name, producer]) => problemsOf(name, producer, leaseMs, clock)),
  );
  const schedules = new Map(Object.entries(rules.producers).map(([name, producer]) => [name, scheduleOf(producer, leaseMs)]));
  const desk = createPullDesk({
    ...options,
    schedules: new Map([...schedules].filter(([name]) => rules.producers[name]?.check.via === "pull")),
  });
  const barriers: Barrier[] = [];
  const context = { ...options, writer: inTurns(writer, { clock, atOnce: recordingMax, waitMsMax: leaseMs }) };
  const lanes = new Map<string, Lane>();
  for (const [producer, producerRules] of Object.entries(rules.producers)) {
    if (!canBeAsked(producerRules)) continue;
    const { checkTimeoutMs, checkBatch, checkConcurrency, breaker } = producerRules;
    const asker = askerOf(producer, producerRules, options, barriers);
    const schedule = schedules.get(producer) as CheckSchedule;
    lanes.set(producer, createLane({ producer, asker, schedule, checkTimeoutMs, checkBatch, checkConcurrency, breaker }, context));
  }
  let overdueAtMs = Number.NEGATIVE_INFINITY;
  let latestMs = 0;

  /** Answers when to look again, in milliseconds. */
  const scan = async (): Promise<number> => {
    const due = await store.dueProducers(database);
    const askable = due.filter(({ producer }) => lanes.get(producer)?.blockedUntilMs() === null);
    latestMs = Math.max(0, ...askable.map(({ afterMs }) => -afterMs));
    for (const one of due) tell(one);
    await suspendOverdue(due);
    const blocked = [...lanes.values()].flatMap((lane) => lane.blockedUntilMs() ?? []);
    const waits = [
      ...due.map(({ afterMs }) => afterMs).filter((afterMs) => afterMs > 0),
      ...blocked.map((untilMs) => untilMs - clock.monotonicMs()),
    ];
    return Math.max(1, Math.ceil(Math.min(pollMs, ...waits)));
  };

  const tell = ({ producer, afterMs }: DueProducer): void => {
    const lane = lanes.get(producer);
    if (afterMs <= 0) {
      lane?.pump();
      desk.wake(producer);
    }
    const alertMs = rules.producers[producer]?.unreachableAlertMs ?? 300_000;
    const silentSinceMs = lane?.silentSinceMs() ?? null;
    const isSilent = silentSinceMs !== null && clock.monotonicMs() - silentSinceMs >= alertMs;
    // Claimed checks are not due: what is, for so long, nobody can or does ask for.
    if (!isSilent && afterMs > -alertMs) return;
    alerts.raise({
      kind: "producer_unreachable",
      subject: producer,
      detail: "Its half messages are undecided, and nobody answers for them.",
    });
  };

  /** Past the deadline a check is made; what is still prepared later could not be asked for. */
  const suspendOverdue = async (due: readonly DueProducer[]): Promise<void> => {
    const graces = Object.values(rules.producers).map(({ suspendGraceMs }) => suspendGraceMs);
    const everyMs = Math.max(pollMs, Math.min(10_000, ...graces) / 3);
    const nowMs = clock.monotonicMs();
    if (nowMs - overdueAtMs < everyMs) return;
    overdueAtMs = nowMs;
    for (const { producer } of due) {
      const graceMs = rules.producers[producer]?.suspendGraceMs ?? 30_000;
      const suspendedCheckMs = rules.producers[producer]?.suspendedCheckMs ?? 600_000;
      for (let batch = 1, found = overdueBatch; found === overdueBatch; batch += 1) {
        if (batch > overdueBatchesMax) {
          // The others' checks are not kept waiting for one that left very many: the next scan goes on.
          overdueAtMs = Number.NEGATIVE_INFINITY;
          break;
        }
        const ids = await store.overdue(database, producer, graceMs, overdueBatch);
        found = ids.length;
        const wish = { kind: "suspend", graceMs, checkAfterMs: suspendedCheckMs === 0 ? null : suspendedCheckMs } as const;
        const judged = await Promise.all(
          ids.map((id) => writer.judge({ producer, id, wish, actor, reason: "deadline", checkNumber: null, body: null })),
        );
        for (const [index, { verdict }] of judged.entries()) {
          if (verdict.kind === "suspend") alerts.raise({ kind: "suspended", subject: `${producer}/${ids[index]}`, detail: "deadline" });
        }
        if (judged.every(({ verdict }) => verdict.kind !== "suspend")) break;
      }
    }
  };

  return {
    desk,
    isReady: () => latestMs < lateMsMax,
    async run(signal) {
      while (!signal.aborted) {
        let waitMs = failureBackoffMs;
        try {
          waitMs = await scan();
        } catch (error) {
          emit(onEvent, { name: "halfMessage.checkScanFailed", code: codeOf(error) });
        }
        await wait(clock, waitMs, signal);
      }
      desk.stop();
      await Promise.all([...lanes.values()].map((lane) => lane.stop()));
      await Promise.all(barriers.map((barrier) => barrier.close()));
    },
  };
}

function canBeAsked({ check }: ProducerRules): boolean {
  return (check.via === "push" && check.url !== undefined) || check.via === "direct";
}

function askerOf(producer: string, { check }: ProducerRules, { http, clock, onEvent }: CheckBackOptions, barriers: Barrier[]): Asker {
  if (check.via === "direct") {
    const barrier = createBarrier({ producer, database: check.database as Database, clock, ...(onEvent === undefined ? {} : { onEvent }) });
    barriers.push(barrier);
    return directAsker(barrier, producer);
  }
  const reach = {
    allowNetworks: check.allowNetworks ?? [],
    ports: check.allowPorts ?? [443, 8443],
    allowPlain: check.allowHttp ?? false,
  };
  return pushAsker({
    producer,
    url: check.url as string,
    secrets: signingSecrets(check.secret, clock),
    answers: check.answers ?? "signed",
    reach,
    http,
    clock,
  });
}

function scheduleOf(
  { pendingDelaysMs, unansweredBackoff, suspendedCheckMs, unfencedGraceMs }: ProducerRules,
  leaseMs: number,
): CheckSchedule {
  return { pendingDelaysMs, unansweredBackoff, suspendedCheckMs, unfencedGraceMs, leaseMs };
}

function problemsOf(name: string, { check, checkTimeoutMs }: ProducerRules, leaseMs: number, clock: Clock): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const at = `producers.${name}.`;
  if (check.via !== "pull" && checkTimeoutMs >= (leaseMs * 3) / 4)
    problems.push({ option: `${at}checkTimeoutMs`, problem: "must be less than three quarters of leaseMs" });
  if (check.via === "direct" && check.database === undefined)
    problems.push({ option: `${at}check.database`, problem: "is needed for checks that are direct" });
  if (check.via === "push" && check.url !== undefined) {
    if (check.secret === undefined) problems.push({ option: `${at}check.secret`, problem: "is needed to sign checks that are pushed" });
    if (check.secret !== undefined && signingSecrets(check.secret, clock)().length === 0)
      problems.push({ option: `${at}check.secret`, problem: "must be there, whsec_ and the base64 of 32 to 64 bytes" });
    if (check.answers === "unsigned" && !check.url.startsWith("https:")) {
      problems.push({ option: `${at}check.answers`, problem: "may be unsigned over https only" });
    }
  }
  return problems;
}
