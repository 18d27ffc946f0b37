import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { OnEvent } from "@waybill/core";
import { barrierMigrations, createProducer } from "@waybill/half-message";
import { checkSchema, namespace, openDatabase } from "@waybill/sql";
import type { Configuration } from "./configuration.ts";
import { paymentMessages } from "./messages.ts";
import { paymentMigrations } from "./migrations.ts";
import { paymentApi } from "./payment-api.ts";

export interface ServiceOptions {
  /** What the producer and the connections report. */
  readonly onEvent?: OnEvent;
  /** A request that failed. */
  readonly onFailure?: (error: unknown) => void;
}

export interface Service {
  readonly url: string;
  /** Takes nothing new, lets what is under way end, closes all connections. A second close resolves with the first. */
  close(): Promise<void>;
}

/** Payments at a time; each holds a connection while its transaction is open. */
const connections = 8;
const reportsDeadlineMs = 5_000;
const purgeEveryMs = 86_400_000;

/**
 * Starts the payment service: its API, and the answers to check-backs on the same port.
 *
 * Rejects with WAYBILL_SCHEMA_MISMATCH if the migrations were not run, and with what else keeps it from starting.
 */
export async function startService(configuration: Configuration, options: ServiceOptions = {}): Promise<Service> {
  const { databaseUrl, host, port, halfMessages } = configuration;
  const { onEvent, onFailure = () => undefined } = options;
  const database = openDatabase({ url: databaseUrl, connections, applicationName: "payment", ...(onEvent && { onEvent }) });
  const producer = createProducer({
    producer: "payments",
    service: { url: halfMessages.url, key: { id: halfMessages.keyId, secret: halfMessages.key } },
    checks: { secret: halfMessages.checkSecret },
    checkAfterMs: halfMessages.checkAfterMs,
    database,
    ...(onEvent && { onEvent }),
  });

  let isStopping = false;
  const isReady = async (): Promise<boolean> => !isStopping && (await database.query("select 1", [], { deadlineMs: 1_000 })).length === 1;
  const api = paymentApi({ producer, database, messages: paymentMessages(configuration.topicPrefix), isReady, onFailure });
  const server = createServer((request, response) => {
    if (isStopping) response.setHeader("connection", "close");
    api(request, response);
  });
  const purging = setInterval(() => {
    producer.purgeBarrier().catch(onFailure);
  }, purgeEveryMs);

  let closed: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    isStopping = true;
    clearInterval(purging);
    const idle = setInterval(() => server.closeIdleConnections(), 20);
    await new Promise((resolve) => server.close(resolve));
    clearInterval(idle);
    // What is not reported by then, the service asks for; somebody else answers, or we when we are back.
    await producer.close({ deadlineMs: reportsDeadlineMs });
    await database.close();
  };
  const closeOnce = (): Promise<void> => {
    closed ??= close();
    return closed;
  };
  try {
    // Better now than at the first payment: a database without the tables, or with those of another version.
    for (const set of [barrierMigrations, paymentMigrations]) await checkSchema(database, namespace(database.dialect), set);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, resolve);
    });
  } catch (error) {
    await closeOnce();
    throw error;
  }
  return { url: `http://${host}:${(server.address() as AddressInfo).port}`, close: closeOnce };
}
