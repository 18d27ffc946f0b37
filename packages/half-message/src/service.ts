/**
 * The half-message service: stores half messages, decides each once, and carries what was committed to its destinations.
 *
 *     create ─▶ options, keys, schema and durability are checked ─▶ run ─▶ ports open ─▶ loops: purge, …
 *                                                                    │
 *     the signal ─▶ prepares are refused (draining) ─▶ what is under way is answered ─▶ loops end ─▶ run resolves
 *
 * Replicas are equal: all of them write the same tables, and what one has prepared another decides. Nothing of a half message is held in memory.
 * Without its database the service answers 503 and acknowledges nothing.
 */
import { createAlerts, emit, type Source, withDeadline } from "@waybill/core";
import { checkSchema, namespace } from "@waybill/sql";
import { type AcceptOptions, acceptSource } from "./accept-source.ts";
import { parseAddress } from "./address.ts";
import { createServiceAlertHook } from "./alert-hook.ts";
import type { AlertKind } from "./alerts.ts";
import { adminDeliveryRoutes } from "./api/admin-delivery-routes.ts";
import { adminRoutes } from "./api/admin-routes.ts";
import { authentication } from "./api/authenticate.ts";
import { checkRoutes } from "./api/check-routes.ts";
import { deliveryRoutes } from "./api/delivery-routes.ts";
import { halfMessageRoutes } from "./api/half-message-routes.ts";
import { healthRoutes } from "./api/health-routes.ts";
import type { Load } from "./api/load.ts";
import { receiverRoutes } from "./api/receiver-routes.ts";
import type { Route } from "./api/route.ts";
import { type ApiServer, startApiServer } from "./api/server.ts";
import { createCheckBack } from "./check-back/loop.ts";
import { createDeliveryStore } from "./create-delivery-store.ts";
import { createReceiverStore } from "./create-receiver-store.ts";
import { createHalfMessageStore } from "./create-store.ts";
import { databaseClock } from "./database-clock.ts";
import { createDeliveries } from "./deliveries.ts";
import { deliveryPolicy } from "./delivery/destination-policy.ts";
import type { DestinationRules } from "./delivery-store.ts";
import { checkDurability } from "./durability.ts";
import { createKeyRing, secretReader } from "./keys.ts";
import { createMetrics } from "./metrics.ts";
import { halfMessageMigrations } from "./migrations.ts";
import { receiverSecrets } from "./notification/receiver-secret.ts";
import type { HalfMessageServiceOptions, ServiceRules } from "./options.ts";
import { createPurge } from "./purge.ts";
import { createQuota } from "./quota.ts";
import { createRateLimit } from "./rate-limit.ts";
import { serviceRules } from "./service-rules.ts";
import { createWriter } from "./writer.ts";

export interface HalfMessageService {
  /**
   * Serves until the signal aborts and what was under way is answered. Once.
   *
   * @throws WAYBILL_CONFIG_INVALID if it cannot listen
   */
  run(options: { readonly signal: AbortSignal }): Promise<void>;
  /**
   * Stores what a source brings as committed half messages, under the messages' own ids, and settles the source when it is stored. Runs beside `run`
   * until its own signal aborts; abort it first. What is refused stays at its source: `halfMessage.notAccepted`.
   *
   * @throws WAYBILL_CONFIG_INVALID if the producer is not configured; what the source rejects with
   */
  accept(source: Source, options: AcceptOptions): Promise<void>;
}

/** Prepares per second and key. */
const preparesPerSecond = 2_000;

/**
 * Makes a service, and checks what it needs; opens no port yet.
 *
 * @throws WAYBILL_CONFIG_INVALID: options, keys, a database that may lose what it acknowledges; WAYBILL_SCHEMA_MISMATCH,
 *   WAYBILL_MIGRATION_CHANGED: `waybill migrate up --set half-message`; WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function createHalfMessageService(options: HalfMessageServiceOptions): Promise<HalfMessageService> {
  const rules = serviceRules(options);
  const { database, clock, random, onEvent } = rules;
  const keys = createKeyRing(rules.keys, clock);
  const space = namespace(database.dialect, { schema: rules.schema, prefix: rules.prefix });
  await checkSchema(database, space, halfMessageMigrations);
  if (rules.durability === "strict") await checkDurability(database, database.dialect);

  const metrics = createMetrics();
  const hook = rules.alertHook === undefined ? null : createServiceAlertHook(rules.alertHook, rules);
  const alerts = createAlerts<AlertKind>(clock, (alert) => {
    hook?.tell(alert);
    return rules.onAlert?.(alert);
  });
  const deliveries = createDeliveryStore({ space, random, rulesOf: (destination) => destinationRules(rules, destination) });
  const store = createHalfMessageStore({ space, deliveries, random, retentionMs: rules.retentionMs });
  const writer = createWriter({
    store,
    units: database,
    connections: rules.connections,
    clock,
    onWriting: (kind, requests) => {
      metrics.observe("waybill_half_writer_batch_requests", { kind }, requests);
      emit(onEvent, { name: kind === "prepare" ? "halfMessage.storing" : "halfMessage.deciding", requests });
    },
    onWritten(kind, requests, due) {
      emit(onEvent, { name: kind === "prepare" ? "halfMessage.stored" : "halfMessage.decided", requests });
      delivering.wakeFor(due);
    },
  });
  const receivers = createReceiverStore(space);
  const secrets = receiverSecrets({
    master: rules.receiverMasterSecret === undefined ? () => null : secretReader(rules.receiverMasterSecret, clock),
    readFile: (file) => secretReader({ file }, clock)(),
  });
  const delivering = createDeliveries({ rules, database, store, deliveries, receivers, secrets, alerts, metrics });
  const quota = createQuota({
    clock,
    quotaOf: (producer) => rules.producers[producer]?.undecidedQuota ?? 0,
    count: (producer, max) => store.countUndecided(database, producer, max),
  });
  const load: Load = { isDraining: false, inFlight: 0 };
  const stopping = new AbortController();
  const parts = {
    rules,
    database,
    store,
    deliveries,
    writer,
    quota,
    prepareRate: createRateLimit(clock, preparesPerSecond),
    databaseClock: databaseClock(clock, await store.nowMs(database)),
    alerts,
    metrics,
    load,
    delivering,
    receivers,
    secrets,
  };
  const checkBack = createCheckBack({
    ...parts,
    http: rules.http,
    clock,
    random,
    onEvent,
    onDecided: (producer, { verdict }) => {
      quota.release(producer);
      if (verdict.kind === "decide") metrics.count("waybill_half_decided_total", { producer, state: verdict.to, by: "check" });
    },
  });
  const routes: readonly Route[] = [
    ...halfMessageRoutes(parts),
    ...checkRoutes({ rules, desk: checkBack.desk }),
    ...adminRoutes(parts),
    ...deliveryRoutes(parts),
    ...adminDeliveryRoutes(parts),
    ...receiverRoutes(parts),
    ...healthRoutes({
      ...parts,
      loops: [
        { name: "checks", isReady: checkBack.isReady },
        { name: "deliveries", isReady: delivering.isReady },
      ],
    }),
  ];
  const purge = createPurge({ ...parts, space });

  const open = (port: "public" | "admin", address: string): Promise<ApiServer> =>
    startApiServer({
      routes: routes.filter((route) => route.port === port),
      address: parseAddress(address) ?? { host: "127.0.0.1", port: 0 },
      tls: rules.tls,
      clock,
      load,
      bodyBytesMax: rules.maxBodyBytes,
      authenticate: authentication({ keys, clock, toleranceMs: rules.signatureToleranceMs, insecureDev: rules.insecureDev }),
      useNonce: (tx, nonce) => store.useNonce(tx, nonce),
      stopping: stopping.signal,
      onAnswered: (route, status) => metrics.count("waybill_half_requests_total", { route, status: String(status) }),
      onFailure: (route, error) =>
        emit(onEvent, { name: "halfMessage.failed", route, code: "code" in error ? String(error.code) : error.name }),
    });

  return {
    accept: (source, accepting) => acceptSource(source, accepting, { rules, writer, onEvent }),
    async run({ signal }) {
      const servers: ApiServer[] = [];
      try {
        for (const [port, address] of [
          ["public", rules.listen],
          ["admin", rules.admin],
        ] as const) {
          if (address === null) continue;
          const server = await open(port, address);
          servers.push(server);
          emit(onEvent, { name: "halfMessage.listening", at: port, ...server.address });
        }
        const loops = [
          purge.run(stopping.signal),
          checkBack.run(stopping.signal),
          delivering.run(stopping.signal),
          hook?.run(stopping.signal),
        ];
        await aborted(signal);
        load.isDraining = true;
        emit(onEvent, { name: "halfMessage.draining" });
        stopping.abort();
        const closing = Promise.all([...servers.map((server) => server.close(rules.shutdownMs)), ...loops]).then(() => writer.idle());
        // What is under way longer is left to its lease, and a decision that is not answered to its repetition.
        await withDeadline(clock, rules.shutdownMs, closing);
        emit(onEvent, { name: "halfMessage.stopped" });
      } finally {
        stopping.abort();
        await Promise.all(servers.map((server) => server.close(0)));
      }
    },
  };
}

function destinationRules({ destinations }: ServiceRules, name: string): DestinationRules | null {
  const destination = Object.hasOwn(destinations, name) ? destinations[name] : undefined;
  return destination === undefined ? null : deliveryPolicy(destination);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
