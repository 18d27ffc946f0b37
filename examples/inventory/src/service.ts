import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { OnEvent } from "@waybill/core";
import { alertHook } from "@waybill/http";
import { createInbox, createInboxMetrics, type InboxReadiness, inboxMigrations } from "@waybill/inbox";
import { outboxMigrations } from "@waybill/outbox";
import { checkSchema, namespace, openDatabase } from "@waybill/sql";
import type { Configuration } from "./configuration.ts";
import { inventoryApi } from "./inventory-api.ts";
import { messageSource } from "./message-source.ts";
import { shop, stockMessages } from "./messages.ts";
import { inventoryMigrations } from "./migrations.ts";
import { releaseStock } from "./release-stock.ts";
import { reserveStock } from "./reserve-stock.ts";

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
 * Starts the inventory service: its API and its inbox, on one port or with a broker.
 *
 * Rejects with WAYBILL_SCHEMA_MISMATCH if the migrations were not run, and with what else keeps it from starting.
 */
export async function startService(configuration: Configuration, options: ServiceOptions = {}): Promise<Service> {
  const { databaseUrl, host, port, alerts } = configuration;
  const { onFailure = () => undefined } = options;
  const metrics = createInboxMetrics({ consumer: "inventory" });
  const onEvent: OnEvent = (event) => {
    metrics.record(event);
    options.onEvent?.(event);
  };
  const database = openDatabase({
    url: databaseUrl,
    connections: inboxConcurrency + 2,
    applicationName: "inventory",
    onEvent,
  });

  const hook = alerts && alertHook({ url: alerts.url.reveal(), secrets: alerts.secrets, onEvent });
  let onStarted: () => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    onStarted = resolve;
  });
  const inbox = createInbox({
    consumer: "inventory",
    database,
    concurrency: inboxConcurrency,
    onEvent: (event) => {
      if (event.name === "inbox.started") onStarted();
      onEvent(event);
    },
    ...(hook && { onAlert: hook.onAlert }),
  });
  const stock = stockMessages(configuration.topicPrefix);
  inbox.on(shop.orderPlaced, (placed, tx) => reserveStock(tx, stock, placed.id, placed.payload));
  inbox.on(shop.orderCancelled, (cancelled, tx) => releaseStock(tx, stock, cancelled.id, cancelled.payload));
  const messages = messageSource(configuration, onEvent);

  let isStopping = false;
  const readiness = async (): Promise<InboxReadiness> => {
    if (isStopping) return { isReady: false, reasons: ["stopping"] };
    await database.query("select 1", [], { deadlineMs: 1_000 });
    return metrics.readiness(inbox.health());
  };
  const showMetrics = (): string => metrics.exposition(inbox.health());
  const api = inventoryApi({ database, receiveMessage: messages.listener, readiness, metrics: showMetrics, onFailure });
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
    await Promise.allSettled([database.close(), hook?.close()]);
  };

  const closeOnce = (): Promise<void> => {
    closed ??= close();
    return closed;
  };
  try {
    // Better now than at the first order: a database without the tables, or with those of another version.
    for (const set of [outboxMigrations, inboxMigrations, inventoryMigrations])
      await checkSchema(database, namespace(database.dialect), set);
    ended = inbox.run(messages.source, { signal: stop.signal });
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
