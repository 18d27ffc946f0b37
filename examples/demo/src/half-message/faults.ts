/**
 * Lets the planned faults happen, one after the other, each in the middle of a call or of a delivery that the gate or the recorder holds.
 *
 * The load waits for a fault that is due, but for a few payments: else it would be over before the last one.
 */
import type { Fault } from "@waybill/auditor";
import type { Child } from "../child.ts";
import { query } from "../query.ts";
import type { Recorder } from "../recorder.ts";
import type { Call, Ending, Gate, Moment } from "./gate.ts";
import type { FaultKind, PaymentPlan } from "./plan.ts";

export interface FaultsOptions {
  readonly plan: PaymentPlan;
  /** In front of the half-message service. */
  readonly gate: Gate;
  /** In front of the payment service, for check-backs. */
  readonly checkGate: Gate;
  /** In front of the order service. */
  readonly recorder: Recorder;
  readonly payment: Child;
  readonly replicas: readonly Child[];
  readonly order: Child;
  /** The half-message service's database. */
  readonly serviceUrl: string;
  /** How many payments are answered. */
  readonly answered: () => number;
  readonly onFault: (kind: FaultKind) => void;
  readonly signal: AbortSignal;
}

export interface Happened {
  /** False: the run ended before the last planned fault. */
  readonly isComplete: boolean;
  readonly faults: readonly Fault[];
  /** Half messages whose prepare was acknowledged and lost. */
  readonly lostPrepares: readonly string[];
}

export interface Faults {
  /** How many payments may have been begun by now. */
  mayBegin(): number;
  /** Resolves when the last planned fault is done, and what was killed is started again. */
  run(): Promise<Happened>;
}

const lookEveryMs = 5;
/** A moment that does not come for so long: the process is killed as it is, and nothing is lost. */
const momentDeadlineMs = 20_000;
/** The report of a lost prepare may be repeated, and the next fault waits for it. */
const reportDeadlineMs = 60_000;
/** So many payments may be begun beyond a fault that is due. */
const paymentsAhead = 12;

export function createFaults(options: FaultsOptions): Faults {
  const { plan, answered, onFault, signal } = options;
  let mayBegin = 0;
  return {
    mayBegin: () => mayBegin,
    async run() {
      const faults: Fault[] = [];
      const lostPrepares: string[] = [];
      for (const { kind, at } of plan.faults) {
        // From where it stands: when the fault is due, some payments must be left to be in the middle of.
        mayBegin = Math.max(at, answered()) + paymentsAhead;
        while (answered() < at && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
        if (signal.aborted) break;
        if (kind === "prepare lost") {
          const id = await losePrepare(options);
          if (id !== null) lostPrepares.push(id);
          faults.push({ kind, isObserved: id !== null });
        } else {
          for (const moment of momentsOf[kind]) faults.push({ kind: `kill -9 ${kind}`, isObserved: await kill(options, kind, moment) });
        }
        onFault(kind);
      }
      mayBegin = Number.POSITIVE_INFINITY;
      return { isComplete: !signal.aborted, faults, lostPrepares };
    },
  };
}

/** In the middle of which calls somebody is killed; `door`: when a message arrives at the order service's. */
const momentsOf: Readonly<Record<Exclude<FaultKind, "prepare lost">, readonly (Moment | "door")[]>> = {
  "payment service, after a prepare": [{ point: "answered", verbs: ["prepare"] }],
  "payment service, before its report": [{ point: "arrived", verbs: ["commit"] }],
  "payment service, before its report and at the check-back": [
    { point: "arrived", verbs: ["commit"] },
    { point: "answered", verbs: ["check"] },
  ],
  "half-message service, while it decides": [{ point: "passed", verbs: ["commit"] }],
  "half-message service, after a decision": [{ point: "answered", verbs: ["commit"] }],
  "half-message service, at an ack": [{ point: "passed", verbs: ["ack"] }],
  "order service, at a message": ["door"],
  "order service, before its ack": [{ point: "arrived", verbs: ["ack"] }],
};

/** Kills in the planned moment and starts again. True: a running process was hit. */
async function kill(options: FaultsOptions, kind: keyof typeof momentsOf, moment: Moment | "door"): Promise<boolean> {
  const { gate, checkGate, recorder, payment, replicas, order, signal } = options;
  const victimOf = (call: Call | null): Child =>
    kind.startsWith("payment") ? payment : kind.startsWith("order") ? order : (replicas[call?.replica ?? 0] as Child);
  let victim = victimOf(null);
  let isHit = false;
  const fault = async (call: Call): Promise<Ending> => {
    victim = victimOf(call);
    isHit = await victim.kill();
    return "drop";
  };
  const patience = { deadlineMs: momentDeadlineMs, signal };
  if (moment === "door") {
    await recorder.next(momentDeadlineMs);
    isHit = await victim.kill();
  } else if (!(await (moment.verbs.includes("check") ? checkGate : gate).next(moment, fault, patience))) isHit = await victim.kill();
  victim.start();
  return isHit;
}

/**
 * Removes a half message from the service's database after it was stored and before its producer hears of it, as a failover does that loses a transaction.
 * Answers its id; null: none came in time.
 *
 * Then it waits until the producer has reported: whoever loses both the service's row and the producer before its report has lost the message for good, and
 * no design without a third copy could tell.
 */
async function losePrepare({ gate, plan, serviceUrl, signal }: FaultsOptions): Promise<string | null> {
  const refused = new Set(plan.payments.filter(({ isRefused }) => isRefused).map(({ paymentId }) => paymentId));
  let lost: string | null = null;
  let reported: Promise<boolean> = Promise.resolve(true);
  const isWanted = ({ status, body }: Call): boolean => status === 201 && !refused.has(messageIdIn(body));
  await gate.next(
    { point: "answered", verbs: ["prepare"], isWanted },
    async ({ id }) => {
      for (const table of ["waybill_half_message_body", "waybill_half_message"]) {
        await query(serviceUrl, `delete from ${table} where producer = 'payments' and id = '${id}'`);
      }
      lost = id;
      const isReport = (call: Call): boolean => call.id === id && call.status !== 404;
      reported = gate.next({ point: "answered", verbs: ["commit", "rollback"], isWanted: isReport }, () => Promise.resolve("go on"), {
        deadlineMs: reportDeadlineMs,
        signal,
      });
      return "go on";
    },
    { deadlineMs: momentDeadlineMs, signal },
  );
  await reported;
  return lost;
}

/** Of the one message of a half message. */
function messageIdIn(body: string): string {
  const { messages } = JSON.parse(body) as { readonly messages: readonly { readonly id: string }[] };
  return messages[0]?.id ?? "";
}
