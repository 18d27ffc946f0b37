import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { OnEvent } from "@waybill/core";
import { createAcknowledger } from "@waybill/half-message";
import { alertHook } from "@waybill/http";
import { createInbox, createInboxMetrics, type InboxReadiness, inboxMigrations } from "@waybill/inbox";
import { outboxMigrations } from "@waybill/outbox";
import { checkSchema, namespace, openDatabase } from "@waybill/sql";
import type { Configuration } from "./configuration.ts";
import { confirmations } from "./confirmations.ts";
import { messageSource } from "./message-source.ts";
import { payments, shopMessages, stock } from "./messages.ts";
import { orderMigrations } from "./migrations.ts";
import { notePayment } from "./note-payment.ts";
import { openKnex } from "./open-knex.ts";
import { orderApi } from "./order-api.ts";
import { chargeOrder, endCancellation, refuseOrder } from "./settle-order.ts";

export interface ServiceOptions {
  /** What the inbox and the connections report. */
  readonly onEvent?: OnEvent;
  /** A request that failed. */
  readonly onFailure?: (error: unknown) => void;
}

export interface Service {
  readonly url: string;
  /** Rejects if the service cannot go on by itself; resolves after `close`. */
  readonly ended: Promise<void>;
  /** Takes nothing new, lets what is under way end, closes all connections. A second close resolves with the first. */
  close(): Promise<void>;
}

/** Handlers at a time; each holds a connection while it runs. */
const inboxConcurrency = 8;

/**
 * Starts the order service: its API and its inbox, on one port or with a broker.
 *
 * Rejects with WAYBILL_SCHEMA_MISMATCH if the migrations were not run, and with what else keeps it from starting.
 */
export async function startService(configuration: Configuration, options: ServiceOptions = {}): Promise<Service> {
  const { databaseUrl, host, port, halfMessages, alerts } = configuration;
  const { onFailure = () => undefined } = options;
  const metrics = createInboxMetrics({ consumer: "order" });
  const onEvent: OnEvent = (event) => {
    metrics.record(event);
    options.onEvent?.(event);
  };
  // Two sets of connections: knex's for the application's own transactions, Waybill's for the inbox.
  const knex = openKnex(databaseUrl);
  const database = openDatabase({
    url: databaseUrl,
    connections: inboxConcurrency + 2,
    applicationName: "order inbox",
    onEvent,
  });

  const hook = alerts && alertHook({ url: alerts.url.reveal(), secrets: alerts.secrets, onEvent });
  let onStarted: () => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    onStarted = resolve;
  });
  const inbox = createInbox({
    consumer: "order",
    database,
    concurrency: inboxConcurrency,
    onEvent: (event) => {
      if (event.name === "inbox.started") onStarted();
      onEvent(event);
    },
    ...(hook && { onAlert: hook.onAlert }),
  });
  const shop = shopMessages(configuration.topicPrefix);
  inbox.on(stock.reserved, (answer, tx) => chargeOrder(tx, shop, answer.id, answer.payload));
  inbox.on(stock.refused, (answer, tx) => refuseOrder(tx, answer.id, answer.payload));
  inbox.on(stock.released, (answer, tx) => endCancellation(tx, answer.payload));
  inbox.on(payments.taken, (taken, tx) => notePayment(tx, taken.id, taken.payload));
  const messages = messageSource(configuration, onEvent);
  // A half message of a destination with explicit acks is done when we say so: after the inbox's commit, and again whenever it comes again.
  const acknowledger =
    halfMessages === null
      ? null
      : createAcknowledger({
          consumer: "order",
          service: { url: halfMessages.url, key: { id: halfMessages.keyId, secret: halfMessages.key } },
        });
  const source = acknowledger?.around(messages.source) ?? messages.source;

  let isStopping = false;
  const readiness = async (): Promise<InboxReadiness> => {
    if (isStopping) return { isReady: false, reasons: ["stopping"] };
    await database.query("select 1", [], { deadlineMs: 1_000 });
    return metrics.readiness(inbox.health());
  };
  const showMetrics = (): string => metrics.exposition(inbox.health());
  const takeConfirmation = confirmations(database, configuration);
  const api = orderApi({
    knex,
    shop,
    receiveMessage: messages.listener,
    takeConfirmation,
    readiness,
    metrics: showMetrics,
    onFailure,
  });
  const server = createServer((request, response) => {
    if (isStopping) response.setHeader("connection", "close");
    api(request, response);
  });
  const stop = new AbortController();
  let ended: Promise<void> = Promise.resolve();

  let closed: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    isStopping = true;
    stop.abort();
    const idle = setInterval(() => server.closeIdleConnections(), 20);
    await Promise.allSettled([ended, new Promise((resolve) => server.close(resolve))]);
    clearInterval(idle);
    await Promise.allSettled([acknowledger?.close(), knex.destroy(), database.close(), hook?.close()]);
  };

  const closeOnce = (): Promise<void> => {
    closed ??= close();
    return closed;
  };
  try {
    // Better now than at the first order: a database without the tables, or with those of another version.
    for (const set of [outboxMigrations, inboxMigrations, orderMigrations]) await checkSchema(database, namespace(database.dialect), set);
    ended = inbox.run(source, { signal: stop.signal });
    await Promise.race([started, ended]); // ended: it could not start, and says why
    ended.catch(() => undefined); // whoever waits for it hears of it; nobody has to
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, resolve);
    });
  } catch (error) {
    await closeOnce();
    throw error;
  }
  return { url: `http://${host}:${(server.address() as AddressInfo).port}`, ended, close: closeOnce };
}
