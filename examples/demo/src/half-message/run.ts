/**
 * One run with half messages, from empty servers to the verdict.
 *
 *                     payment database (MariaDB)
 *                             │
 *     load ──HTTP──▶ payment service ──▶ gate ──▶ half-message service, two replicas ──▶ recorder ──▶ order service ──▶ order database
 *       ▲ again,          ▲               ▲                 │         │                                   │
 *       └ same id         └───────────────┼─── check-back ──┘   its database                              │
 *                                         └────────────────────────── ack ────────────────────────────────┘
 *
 * Eleven kills on the way, and three prepares that the service's database loses. The run is settled when every payment is answered, no half message undecided and
 * no delivery open; only then is everything stopped, and what is left in the databases and in the recorder's file is judged.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Intent } from "@waybill/auditor";
import { freePort } from "@waybill/testing";
import type { Child } from "../child.ts";
import { createChildren } from "../children.ts";
import { createDatabasesOn } from "../databases.ts";
import { startHttpRecorder } from "../http-recorder.ts";
import { createLoad } from "../load.ts";
import { migrate } from "../migrate.ts";
import type { DemoOptions } from "../options.ts";
import { programOf } from "../program.ts";
import { stalledAfterMs, watchProgress } from "../progress.ts";
import { query } from "../query.ts";
import type { Recorder } from "../recorder.ts";
import { createFaults, type Happened } from "./faults.ts";
import { type Gate, startGate } from "./gate.ts";
import { type Judgement, judge } from "./judge.ts";
import { createPaymentPlan, orderRequest, type PaymentPlan, paymentRequest } from "./plan.ts";
import { type HalfMessageResult, resultOf } from "./report.ts";
import { checkAfterMs, createSecrets, serviceFile } from "./service-file.ts";

export interface HalfMessageRun {
  readonly judgement: Judgement;
  readonly result: HalfMessageResult;
  readonly isClean: boolean;
}

type Say = (line: string) => void;

const concurrency = 8;
const replicaCount = 2;
const settledEveryMs = 200;

/** Rejects if a process ends that nobody killed, or when the signal aborts. Leaves nothing behind. */
export async function runHalfMessages(
  options: DemoOptions,
  { say, signal }: { readonly say: Say; readonly signal: AbortSignal },
): Promise<HalfMessageRun> {
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1_000;
  const tell: Say = (line) => say(`${seconds().toFixed(1).padStart(6)} s  ${line}`);
  const { seed } = options;
  const plan = createPaymentPlan(seed, options.orders);

  tell(`seed ${seed}: ${plan.payments.length} payments, one in ten refused on purpose`);
  const cleanUps: (() => Promise<unknown>)[] = [];
  try {
    const folder = await mkdtemp(join(tmpdir(), "waybill-demo-"));
    cleanUps.push(() => rm(folder, { recursive: true, force: true }));
    const own = await createDatabasesOn({ server: "postgres" }, 2);
    cleanUps.push(() => own.remove());
    const others = await createDatabasesOn(options.database, 1);
    cleanUps.push(() => others.remove());
    const [serviceUrl, orderUrl, paymentUrl] = [...own.urls, ...others.urls] as [string, string, string];
    const databases = { serviceUrl, orderUrl, paymentUrl };
    const stage = await openStage(databases, folder, signal, cleanUps);
    tell(`payments: ${others.server}; half messages and orders: ${own.server}; two replicas`);

    const { intents, happened } = await play(plan, databases, stage, tell);
    const unclean = await stage.stop();
    const judgement = await judge({ ...databases, intents, received: stage.recorder.received, happened });
    const observed = happened.faults.filter(({ isObserved }) => isObserved);
    const result = resultOf(judgement, { kills: observed.filter(({ kind }) => kind.startsWith("kill")).length, seed, seconds: seconds() });
    for (const problem of unclean) tell(problem);
    const missed = happened.faults.length - observed.length;
    if (missed > 0) tell(`${missed} of ${happened.faults.length} faults did not happen as planned`);
    const isClean =
      judgement.verdict.verdict === "passed" &&
      judgement.problems.length === 0 &&
      result.suspended + result.undecided === 0 &&
      happened.isComplete &&
      missed === 0 &&
      unclean.length === 0;
    return { judgement, result, isClean };
  } finally {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  }
}

interface Urls {
  readonly serviceUrl: string;
  readonly orderUrl: string;
  readonly paymentUrl: string;
}

/** Everything that runs beside us. */
interface Stage {
  readonly gate: Gate;
  readonly checkGate: Gate;
  readonly recorder: Recorder;
  readonly payment: Child;
  readonly replicas: readonly Child[];
  readonly order: Child;
  readonly paymentApi: string;
  readonly orderApi: string;
  readonly broken: AbortSignal;
  stop(): Promise<readonly string[]>;
}

async function openStage(databases: Urls, folder: string, interrupted: AbortSignal, cleanUps: (() => Promise<unknown>)[]): Promise<Stage> {
  await Promise.all([
    migrate(databases.serviceUrl, { set: "half-message" }),
    migrate(databases.orderUrl, { service: "order" }),
    migrate(databases.paymentUrl, { set: "barrier", service: "payment" }),
  ]);
  const ports: number[] = [];
  while (ports.length < 2 + 2 * replicaCount) ports.push(await freePort());
  const [paymentPort, orderPort, ...replicaPorts] = ports as [number, number, ...number[]];
  const [publicPorts, adminPorts] = [replicaPorts.slice(0, replicaCount), replicaPorts.slice(replicaCount)];
  const secrets = createSecrets();

  const recorder = await startHttpRecorder({ subscription: "order", port: orderPort, file: join(folder, "received.jsonl") });
  cleanUps.push(() => recorder.close());
  const gate = await startGate(publicPorts);
  cleanUps.push(() => gate.close());
  const checkGate = await startGate([paymentPort]);
  cleanUps.push(() => checkGate.close());
  const children = createChildren(interrupted);
  cleanUps.push(() => children.close());

  const replicas: Child[] = [];
  for (const [index, port] of publicPorts.entries()) {
    const file = join(folder, `half-message-${index + 1}.json`);
    const adminPort = adminPorts[index] as number;
    await writeFile(file, JSON.stringify(serviceFile({ port, adminPort, checkUrl: `${checkGate.url}/checks`, orderUrl: recorder.url })));
    const args = [programOf("cli"), "half-message", "serve", "--config", file];
    replicas.push(children.make(`half-message service ${index + 1}`, args, { WAYBILL_DATABASE: databases.serviceUrl, ...secrets }));
  }
  const payment = children.make("payment service", [programOf("payment")], {
    DATABASE_URL: databases.paymentUrl,
    PORT: String(paymentPort),
    HALF_MESSAGE_URL: gate.url,
    HALF_MESSAGE_KEY: secrets.PAYMENTS_KEY,
    CHECK_SECRET: secrets.CHECK_SECRET,
    CHECK_AFTER_MS: String(checkAfterMs),
  });
  const order = children.make("order service", [programOf("order")], {
    DATABASE_URL: databases.orderUrl,
    PORT: String(orderPort),
    HALF_MESSAGE_URL: gate.url,
    HALF_MESSAGE_KEY: secrets.ORDER_KEY,
  });
  await children.start([...adminPorts, paymentPort, orderPort].map((port) => `http://127.0.0.1:${port}/readyz`));
  return {
    gate,
    checkGate,
    recorder,
    payment,
    replicas,
    order,
    paymentApi: `http://127.0.0.1:${paymentPort}/payments`,
    orderApi: `http://127.0.0.1:${orderPort}/orders`,
    broken: children.broken,
    stop: () => children.stop(),
  };
}

/** Places the orders, pays them while the planned faults happen, and waits until all is settled. */
async function play(
  plan: PaymentPlan,
  databases: Urls,
  stage: Stage,
  tell: Say,
): Promise<{ readonly intents: readonly Intent[]; readonly happened: Happened }> {
  const { recorder } = stage;
  const expected = plan.payments.filter(({ isRefused }) => !isRefused).length;
  let faultsDone = 0;
  const progress = watchProgress(
    () =>
      [
        `ordered ${ordering.answered()}, paid ${load.answered()}/${plan.payments.length}`,
        `received ${recorder.distinct()}/${expected}`,
        `faults ${faultsDone}/${plan.faults.length}`,
      ].join(" · "),
    tell,
  );
  const signal = AbortSignal.any([stage.broken, progress.stalled]);
  const ordering = createLoad({
    requests: plan.payments.map(orderRequest),
    url: stage.orderApi,
    topic: "orders",
    concurrency,
    mayBegin: () => Number.POSITIVE_INFINITY,
    signal,
  });
  const faults = createFaults({
    ...stage,
    plan,
    serviceUrl: databases.serviceUrl,
    answered: () => load.answered(),
    onFault: (kind) => {
      faultsDone += 1;
      tell(kind.startsWith("prepare") ? kind : `kill -9 ${kind}`);
    },
    signal,
  });
  const load = createLoad({
    requests: plan.payments.map(paymentRequest),
    url: stage.paymentApi,
    topic: "payments",
    concurrency,
    mayBegin: () => faults.mayBegin(),
    signal,
  });
  try {
    await ordering.run();
    const [intents, happened] = await Promise.all([load.run(), faults.run()]);
    while (!signal.aborted && !(await isSettled(databases.serviceUrl))) await new Promise((resolve) => setTimeout(resolve, settledEveryMs));
    if (stage.broken.aborted) throw stage.broken.reason;
    tell(progress.stalled.aborted ? `not settled, and nothing moved for ${stalledAfterMs / 1_000} s` : "settled; stopping everything");
    return { intents, happened };
  } finally {
    progress.end();
  }
}

/** Every half message is decided, and every delivery acknowledged or dead. */
async function isSettled(serviceUrl: string): Promise<boolean> {
  const [open] = await query<{ undecided: string; pending: string }>(
    serviceUrl,
    `select (select count(*) from waybill_half_message where state in ('prepared', 'suspended')) as undecided,
            (select count(*) from waybill_delivery where state in ('pending', 'awaiting_ack')) as pending`,
  );
  return Number(open?.undecided) + Number(open?.pending) === 0;
}
