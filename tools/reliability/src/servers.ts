/**
 * The servers of a run: started when first asked for, kept for the runs that follow, stopped together. A run takes names of its own on them and leaves
 * them as they were.
 *
 *     relay ──▶ proxy ──▶ broker ◀── tap            A broker of our own has two doors for those under test, each behind a fault proxy, and one
 *     consumer ──▶ proxy ──┘                        for whoever looks on. Of one that was given only RabbitMQ can be proxied: Kafka's clients go
 *                                                   where the broker says it is.
 */
import {
  type BrokerName,
  type DatabaseName,
  type FaultProxy,
  freePort,
  type ServerChoice,
  type StartedRabbitmq,
  type StartedServer,
  startFaultProxy,
  startKafka,
  startMariadb,
  startMysql,
  startPostgres,
  startRabbitmq,
} from "@waybill/testing";
import { brokerOfChoice, type Pair } from "./pair.ts";

export interface DatabaseServer {
  readonly url: string;
  /** For people. */
  readonly name: string;
  /** Null: not ours, and not to be killed. */
  readonly started: StartedServer | null;
}

export interface BrokerServer {
  readonly kind: BrokerName;
  /** For taps and whoever looks on: no fault of a link reaches them. */
  readonly url: string;
  readonly name: string;
  readonly started: StartedServer | null;
  /** `rabbitmqctl` of our own RabbitMQ. */
  readonly ctl: StartedRabbitmq["ctl"] | null;
  /** The relays' way, and the consumers'. Null: they go straight there. */
  readonly doors: { readonly relays: Door | null; readonly consumers: Door | null };
}

export interface Door {
  readonly url: string;
  readonly proxy: FaultProxy;
}

export interface Servers {
  readonly database: DatabaseServer;
  readonly broker: BrokerServer;
}

export interface ServerShelf {
  /** Starts what is not there yet. `needsBroker` false: the broker is one that nobody can reach. Default true. */
  take(pair: Pair, options?: { readonly needsBroker?: boolean }): Promise<Servers>;
  stop(): Promise<void>;
}

export function createServerShelf(): ServerShelf {
  const kept = new Map<string, Promise<{ readonly server: DatabaseServer | BrokerServer; stop(): Promise<void> }>>();
  const keep = async <Server extends DatabaseServer | BrokerServer>(
    name: string,
    open: () => Promise<{ readonly server: Server; stop(): Promise<void> }>,
  ): Promise<Server> => {
    const opening = kept.get(name) ?? open();
    kept.set(name, opening);
    opening.catch(() => kept.delete(name));
    return (await opening).server as Server;
  };
  return {
    async take({ database, broker }, { needsBroker = true } = {}) {
      return {
        database: await keep(`database ${JSON.stringify(database)}`, () => openDatabaseServer(database)),
        broker: needsBroker ? await keep(`broker ${JSON.stringify(broker)}`, () => openBrokerServer(broker)) : noBroker(broker),
      };
    },
    async stop() {
      const all = await Promise.allSettled(kept.values());
      kept.clear();
      await Promise.allSettled(all.map(async (each) => each.status === "fulfilled" && each.value.stop()));
    },
  };
}

const noBroker = (choice: Pair["broker"]): BrokerServer => {
  return { kind: brokerOfChoice(choice), url: "", name: "no broker", started: null, ctl: null, doors: { relays: null, consumers: null } };
};

const starters = {
  postgres: () => startPostgres({ settings: { max_connections: "200" } }),
  mariadb: () => startMariadb(),
  mysql: () => startMysql(),
} as const;

async function openDatabaseServer(choice: ServerChoice<DatabaseName>): Promise<{ readonly server: DatabaseServer; stop(): Promise<void> }> {
  if ("url" in choice) return { server: { url: choice.url, name: "the database given", started: null }, stop: async () => undefined };
  const started = await starters[choice.server]();
  return { server: { url: started.url, name: `${choice.server} ${started.version}`, started }, stop: () => started.stop() };
}

async function openBrokerServer(choice: ServerChoice<BrokerName>): Promise<{ readonly server: BrokerServer; stop(): Promise<void> }> {
  const kind = brokerOfChoice(choice);
  if (kind === "kafka") {
    if ("url" in choice) {
      const doors = { relays: null, consumers: null };
      return { server: { kind, url: choice.url, name: "the Kafka given", started: null, ctl: null, doors }, stop: async () => undefined };
    }
    return openKafka();
  }
  const started = "url" in choice ? null : await startRabbitmq();
  const url = "url" in choice ? choice.url : (started as StartedRabbitmq).url;
  const { hostname, port } = new URL(url);
  const target = { host: hostname, port: Number(port || 5672) };
  const [relays, consumers] = [await startFaultProxy({ target }), await startFaultProxy({ target })];
  return {
    server: {
      kind,
      url,
      name: started === null ? "the RabbitMQ given" : `rabbitmq ${started.version}`,
      started,
      ctl: started?.ctl ?? null,
      doors: { relays: { url: relays.url(url), proxy: relays }, consumers: { url: consumers.url(url), proxy: consumers } },
    },
    async stop() {
      await Promise.all([relays.stop(), consumers.stop()]);
      await started?.stop();
    },
  };
}

/** Each door is a listener of its own, which the broker says is where our proxy is. */
async function openKafka(): Promise<{ readonly server: BrokerServer; stop(): Promise<void> }> {
  const host = "127.0.0.1";
  const behind = { relays: await freePort(), consumers: await freePort() };
  const before = { relays: await freePort(), consumers: await freePort() };
  const started = await startKafka({
    settings: ({ port, controllerPort }) => ({
      listeners: `PLAINTEXT://${host}:${port},RELAYS://${host}:${behind.relays},CONSUMERS://${host}:${behind.consumers},CONTROLLER://${host}:${controllerPort}`,
      "advertised.listeners": `PLAINTEXT://${host}:${port},RELAYS://${host}:${before.relays},CONSUMERS://${host}:${before.consumers}`,
      "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,RELAYS:PLAINTEXT,CONSUMERS:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }),
  });
  const door = async (name: "relays" | "consumers"): Promise<Door> => {
    const proxy = await startFaultProxy({ target: { host, port: behind[name] }, port: before[name] });
    return { url: `kafka://${host}:${before[name]}`, proxy };
  };
  const doors = { relays: await door("relays"), consumers: await door("consumers") };
  return {
    server: { kind: "kafka", url: started.url, name: `kafka ${started.version}`, started: started.broker(1), ctl: null, doors },
    async stop() {
      await Promise.all([doors.relays.proxy.stop(), doors.consumers.proxy.stop()]);
      await started.stop();
    },
  };
}
