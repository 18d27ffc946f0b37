/**
 * One run, from an empty server to the verdict.
 *
 *     load ──HTTP──▶ order service ──▶ order database ──▶ order relay ──▶ recorder ──▶ inventory service
 *       ▲ again,          ▲                                                                   │
 *       └ same id         └── recorder ◀── inventory relay ◀── inventory database ◀───────────┘
 *
 * With a broker the relays publish there, the services consume from there, and the recorders read along.
 *
 * Five kills on the way. The run is settled when each order is decided, each ledger read to its end and no hole open; only then is
 * everything stopped, and what is left in the databases and in the recorders' files is judged.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Fault, Intent, Received, Tap } from "@waybill/auditor";
import { freePort } from "@waybill/testing";
import { startBrokerRecorder } from "./broker-recorder.ts";
import { type Broker, openBroker } from "./brokers.ts";
import type { Child } from "./child.ts";
import { createChildren } from "./children.ts";
import { createDatabases, type Databases } from "./databases.ts";
import { startHttpRecorder } from "./http-recorder.ts";
import { type Judgement, judge } from "./judge.ts";
import { createKilling } from "./killing.ts";
import { createLoad } from "./load.ts";
import { migrate } from "./migrate.ts";
import type { DemoOptions } from "./options.ts";
import { createPlan, type Plan, requestOf, type Target } from "./plan.ts";
import { programOf } from "./program.ts";
import { stalledAfterMs, watchProgress } from "./progress.ts";
import { query } from "./query.ts";
import type { Recorder } from "./recorder.ts";
import { type DemoResult, resultOf } from "./report.ts";

export interface DemoRun {
  readonly judgement: Judgement;
  readonly result: DemoResult;
  readonly isClean: boolean;
}

const leaseMs = 2_000;
const concurrency = 8;
const settledEveryMs = 200;

type Say = (line: string) => void;

/** Rejects if a process ends that nobody killed, if one does not stop cleanly, or when the signal aborts. Leaves nothing behind. */
export async function runDemo(
  options: DemoOptions,
  { say, signal }: { readonly say: Say; readonly signal: AbortSignal },
): Promise<DemoRun> {
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1_000;
  const tell: Say = (line) => say(`${seconds().toFixed(1).padStart(6)} s  ${line}`);
  const plan = createPlan(options.seed, options.orders);

  tell(`seed ${options.seed}: ${options.orders} orders, one in ten rolled back on purpose`);
  const cleanUps: (() => Promise<unknown>)[] = [];
  try {
    const folder = await mkdtemp(join(tmpdir(), "waybill-demo-"));
    cleanUps.push(() => rm(folder, { recursive: true, force: true }));
    const databases = await createDatabases(options.database);
    cleanUps.push(() => databases.remove());
    const broker =
      options.broker === "http" ? null : await openBroker(options.broker, { [topics.order]: "inventory", [topics.inventory]: "order" });
    cleanUps.push(async () => broker?.remove());
    const stage = await openStage(databases, broker, folder, signal);
    cleanUps.push(() => stage.close());
    tell(`${databases.server}; ${broker?.name ?? "HTTP"}; two databases, two services, two relays`);

    await fillStock(plan, stage.inventoryUrl);
    const { intents, faults } = await play(plan, databases, stage, tell);
    const unclean = await stage.stop();
    await Promise.all([stage.recorders.order.readToEnd(), stage.recorders.inventory.readToEnd()]);
    const judgement = await judge({
      orderUrl: databases.orderUrl,
      inventoryUrl: databases.inventoryUrl,
      intents,
      ordersReceived: stage.recorders.order.received,
      answersReceived: stage.recorders.inventory.received,
      faults,
    });
    const kills = faults.filter(({ isObserved }) => isObserved).length;
    for (const problem of unclean) tell(problem);
    if (kills !== plan.kills.length) tell(`only ${kills} of ${plan.kills.length} kills hit a running process`);
    const isClean =
      judgement.both.verdict === "passed" && judgement.stockProblems.length === 0 && kills === plan.kills.length && unclean.length === 0;
    return { judgement, result: resultOf(judgement, kills, seconds()), isClean };
  } finally {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  }
}

/** Everything that runs beside us. Relays and recorders go by the service whose ledger they empty. */
interface Stage {
  readonly orderUrl: string;
  readonly inventoryUrl: string;
  readonly children: Readonly<Record<Target, Child>>;
  readonly recorders: { readonly order: Recorder; readonly inventory: Recorder };
  /** What the orders' messages are appended to. */
  readonly topic: string;
  /** Aborts with the reason when a process ends that nobody killed, or when we are interrupted. */
  readonly broken: AbortSignal;
  /** SIGTERM to all. Answers in words what did not end with 0. */
  stop(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** What each service publishes to. */
const topics = { order: "orders", inventory: "stock" } as const;

async function openStage(databases: Databases, broker: Broker | null, folder: string, interrupted: AbortSignal): Promise<Stage> {
  const { orderUrl, inventoryUrl } = databases;
  await Promise.all([migrate(orderUrl, { service: "order" }), migrate(inventoryUrl, { service: "inventory" })]);
  const ports = { order: await freePort(), inventory: await freePort() };
  /** Of what `from` publishes; over HTTP it stands in front of the other service. */
  const recorderOf = (from: "order" | "inventory", subscription: string): Promise<Recorder> => {
    const file = join(folder, `${subscription}.jsonl`);
    if (broker === null) return startHttpRecorder({ subscription, port: ports[from === "order" ? "inventory" : "order"], file });
    const tap = (onReceived: (record: Received) => void): Promise<Tap> => broker.tap({ subscription, topic: topics[from], onReceived });
    return startBrokerRecorder({ url: broker.url, file, tap });
  };
  const recorders = { order: await recorderOf("order", "orders"), inventory: await recorderOf("inventory", "answers") };

  const all = createChildren(interrupted);
  const service = (name: "order" | "inventory"): Child =>
    all.make(`${name} service`, [programOf(name)], {
      DATABASE_URL: databases[`${name}Url`],
      PORT: String(ports[name]),
      ...(broker === null ? {} : { BROKER_URL: broker.url, TOPIC_PREFIX: broker.prefix }),
    });
  const relay = (name: "order" | "inventory"): Child =>
    all.make(`${name} relay`, [programOf("cli"), "relay", "--lease-ms", String(leaseMs), "--admin", "127.0.0.1:0"], {
      WAYBILL_DATABASE: databases[`${name}Url`],
      WAYBILL_TRANSPORT: recorders[name].url,
    });
  const children: Record<Target, Child> = {
    "order service": service("order"),
    "order relay": relay("order"),
    "inventory service": service("inventory"),
    "inventory relay": relay("inventory"),
  };
  const close = async (): Promise<void> => {
    await all.close();
    await Promise.allSettled([recorders.order.close(), recorders.inventory.close()]);
  };
  const urls = { orderUrl: `http://127.0.0.1:${ports.order}`, inventoryUrl: `http://127.0.0.1:${ports.inventory}` };
  try {
    await all.start(Object.values(urls).map((url) => `${url}/readyz`));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ...urls,
    children,
    recorders,
    topic: `${broker?.prefix ?? ""}${topics.order}`,
    broken: all.broken,
    stop: () => all.stop(),
    close,
  };
}

async function fillStock(plan: Plan, inventoryUrl: string): Promise<void> {
  for (const [sku, onHand] of plan.stock) {
    const answer = await fetch(`${inventoryUrl}/stock/${sku}`, {
      method: "PUT",
      body: JSON.stringify({ onHand }),
      signal: AbortSignal.timeout(5_000),
    });
    if (!answer.ok) throw new Error(`The inventory service answered ${answer.status} to its stock.`);
  }
}

/** Places the orders, kills by plan, and waits until all is settled. */
async function play(
  plan: Plan,
  databases: Databases,
  stage: Stage,
  tell: Say,
): Promise<{ readonly intents: readonly Intent[]; readonly faults: readonly Fault[] }> {
  const { order, inventory } = stage.recorders;
  let killed = 0;
  const expected = plan.orders.filter(({ isRolledBack }) => !isRolledBack).length;
  const progress = watchProgress(
    () =>
      [
        `placed ${load.answered()}/${plan.orders.length}`,
        `orders received ${order.distinct()}/${expected}`,
        `answers received ${inventory.distinct()}/${expected}`,
        `killed ${killed}/${plan.kills.length}`,
      ].join(" · "),
    tell,
  );
  const signal = AbortSignal.any([stage.broken, progress.stalled]);
  const killing = createKilling({
    kills: plan.kills,
    children: stage.children,
    recorders: { "order relay": order, "inventory service": order, "inventory relay": inventory, "order service": inventory },
    placed: () => load.answered(),
    onKill: (target) => {
      killed += 1;
      tell(`kill -9 ${target}`);
    },
    signal,
  });
  const load = createLoad({
    requests: plan.orders.map(requestOf),
    url: `${stage.orderUrl}/orders`,
    concurrency,
    topic: stage.topic,
    mayBegin: () => killing.mayBegin(),
    signal,
  });
  try {
    const [intents, faults] = await Promise.all([load.run(), killing.run()]);
    while (!signal.aborted && !(await isSettled(databases))) await new Promise((resolve) => setTimeout(resolve, settledEveryMs));
    if (stage.broken.aborted) throw stage.broken.reason;
    tell(progress.stalled.aborted ? `not settled, and nothing moved for ${stalledAfterMs / 1_000} s` : "settled; stopping everything");
    return { intents, faults };
  } finally {
    progress.end();
  }
}

const ledgerIsDone = (noHoles: string): string => `
  select last_id >= coalesce((select max(id) from waybill_outbox), 0) and ${noHoles} as "isDone"
  from waybill_subscription`;
const ledgerIsDoneBy = { postgres: ledgerIsDone("cardinality(hole_lo) = 0"), mysql: ledgerIsDone("holes = '[]'") } as const;

/** No order is pending, and both ledgers are read to their end without an open hole. */
async function isSettled({ orderUrl, inventoryUrl }: Databases): Promise<boolean> {
  const [pending] = await query<{ count: string | number }>(
    orderUrl,
    `select count(*) as "count" from customer_order where status = 'pending'`,
  );
  if (Number(pending?.count) !== 0) return false;
  for (const url of [orderUrl, inventoryUrl]) {
    const sql = ledgerIsDoneBy[url.startsWith("postgres") ? "postgres" : "mysql"];
    const subscriptions = await query<{ isDone: boolean | string | number }>(url, sql);
    if (subscriptions.length !== 1 || !Number(subscriptions[0]?.isDone)) return false;
  }
  return true;
}
