/**
 * A consumer of load L, in a process of its own: the real inbox on the target database behind the real source of the broker. One argument:
 * `ConsumerProgramOptions` as JSON. SIGTERM stops it in an orderly way. It tells events of its inbox and its source, and dies at one of them if it is told
 * so on stdin.
 */
import { isWaybillError, type WaybillEvent } from "@waybill/core";
import { createInbox, type InboxOptions } from "@waybill/inbox";
import { openDatabase } from "@waybill/sql";
import { tellParent } from "@waybill/testing";
import { bankMessages, consumerName, creditedBy } from "./bank.ts";
import { type BrokerSourceOptions, openBrokerSource } from "./broker-source.ts";
import { createFailpoint, onStdinLine } from "./failpoint.ts";

export interface ConsumerProgramOptions extends Omit<BrokerSourceOptions, "onEvent"> {
  /** Of the target. */
  readonly url: string;
  /** How long a handler waits before it works. */
  readonly handlerMs: number;
  /** A transfer with this filler kills the process that handles it. Default: none does. */
  readonly deadlyFiller?: string;
  /** Every event is told, not only those that a run looks at. */
  readonly tellsAll: boolean;
  /** Beside what load L says. */
  readonly inbox: Pick<
    Partial<InboxOptions>,
    | "concurrency"
    | "batchMax"
    | "handlerDeadlineMs"
    | "attemptsMax"
    | "poisonAttempts"
    | "keyPolicy"
    | "retentionMs"
    | "redeliveryHorizonMs"
  >;
}

const told: ReadonlySet<string> = new Set<WaybillEvent["name"]>([
  "inbox.started",
  "inbox.duplicate",
  "inbox.committed",
  "inbox.retrying",
  "inbox.deadLettered",
  "inbox.outcomeUnknown",
  "inbox.batchRolledBack",
  "inbox.sourceFailed",
  "inbox.stopped",
  "source.joined",
  "source.rebalancing",
  "source.rebuilding",
  "source.recovered",
  "source.gapFound",
  "source.consumerTimedOut",
  "source.stopped",
  "sql.connectionLost",
]);

const options = JSON.parse(process.argv[2] ?? "{}") as ConsumerProgramOptions;
const { concurrency = 8 } = options.inbox;
const failpoint = createFailpoint();
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
onStdinLine((line) => {
  failpoint.arm(line);
});

const startAgainAfterMs = 500;
let hasStarted = false;

const onEvent = (event: WaybillEvent): void => {
  if (event.name === "inbox.started") hasStarted = true;
  if (options.tellsAll || told.has(event.name)) tellParent(event);
  failpoint.pass(event.name);
};

const database = openDatabase({ url: options.url, connections: concurrency + 2, statementDeadlineMs: 5_000, onEvent });
const inbox = createInbox({
  consumer: consumerName,
  database,
  backoff: { firstMs: 50, maxMs: 1_000 },
  handlerDeadlineMs: 15_000,
  ...options.inbox,
  onEvent,
});
const sql = (text: string): string => (database.dialect === "postgres" ? text : text.replaceAll(/\$\d/g, "?"));

inbox.on(bankMessages(options.topic).transferred, async ({ id, payload }, tx) => {
  if (payload.filler === options.deadlyFiller) process.kill(process.pid, "SIGKILL");
  if (options.handlerMs > 0) await new Promise((resolve) => setTimeout(resolve, options.handlerMs));
  const account = creditedBy(payload.account);
  await tx.query(sql("update account set cents = cents + $1 where id = $2"), [payload.cents, account]);
  await tx.query(sql("insert into credit (message_id, account_id, cents) values ($1, $2, $3)"), [id, account, payload.cents]);
});

// An inbox whose database is away when it starts says so and does not wait: its caller does. Whatever comes after the start is its own to survive.
const isAway = (error: unknown): boolean => isWaybillError(error, "WAYBILL_DATABASE") || isWaybillError(error, "WAYBILL_DEADLINE");
for (let isOver = false; !isOver && !stop.signal.aborted; ) {
  try {
    await inbox.run(openBrokerSource({ ...options, onEvent }), { signal: stop.signal });
    isOver = true;
  } catch (error) {
    if (hasStarted || !isAway(error)) throw error;
    await new Promise((resolve) => setTimeout(resolve, startAgainAfterMs));
  }
}
await database.close();
process.stdin.destroy();
