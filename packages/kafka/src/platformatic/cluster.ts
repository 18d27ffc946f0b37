/**
 * A way to all brokers: some seed that says who leads what, and connections to those it names.
 *
 *     metadata ─▶ the seed that answered last ──ended, mute or refusing──▶ the next seed … each has 3 s
 *     broker   ─▶ the connection to it for this purpose, opened when there is none
 *
 * Nothing is remembered but connections: what metadata says is kept by whoever asked, for as long as it proves right.
 */
import { withDeadline } from "@waybill/core";
import type { KafkaConnection } from "../connection-options.ts";
import { type BrokerAddress, type BrokerConnection, openConnection } from "./broker-connection.ts";
import { type Driver, type DriverMetadata, loadDriver } from "./driver.ts";
import { BrokerError, type BrokerFailure, failureOf } from "./failure.ts";

export interface Cluster {
  /** Creates no topic. Rejects with `BrokerError`. */
  metadata(topics: readonly string[]): Promise<DriverMetadata>;
  /** The library, and some broker that answers. Rejects with `BrokerError`. */
  seed<Answer>(ask: (driver: Driver, seed: BrokerConnection) => Promise<Answer>): Promise<Answer>;
  /** One connection per broker and purpose. Rejects with `BrokerError`. */
  broker(address: BrokerAddress, purpose: string): Promise<BrokerConnection>;
  /** The next question goes to another seed: this one may live in the past. */
  askElsewhere(): void;
  /** Ends every connection for good. A second destroy does nothing. */
  destroy(): void;
}

/** For one seed and one question. */
const seedDeadlineMs = 3_000;

/** `firstSeed`: which one is tried first. */
export function openCluster(connection: KafkaConnection, firstSeed: number): Cluster {
  const { brokers, clock } = connection;
  const over = new AbortController();
  const connections = new Map<string, Promise<BrokerConnection>>();
  let place = firstSeed % brokers.length;
  let last: BrokerConnection | null = null;

  const askSeed = async <Answer>(ask: (driver: Driver, seed: BrokerConnection) => Promise<Answer>): Promise<Answer> => {
    const driver = await loadDriver();
    let failure: BrokerFailure = { kind: "unreachable" };
    for (let turn = 0; turn < brokers.length && !over.signal.aborted; turn += 1) {
      let seed: BrokerConnection | null = last;
      try {
        if (seed === null || !seed.isOpen) {
          last = null;
          seed = await openConnection(driver, connection, addressOf(brokers[place] as string), over.signal);
          last = seed;
        }
        const answer = await withDeadline(clock, seedDeadlineMs, ask(driver, seed));
        if (answer.kind === "settled") return answer.value;
        failure = { kind: "unreachable" };
      } catch (error) {
        failure = failureOf(error);
      }
      seed?.destroy();
      if (last === seed) last = null;
      if (failure.kind === "notAuthenticated") break; // the next broker knows us no better, and some lock out who asks too often
      place = (place + 1) % brokers.length;
    }
    throw new BrokerError(failure.kind === "clientFailed" ? { kind: "unreachable", cause: failure.cause } : failure);
  };

  return {
    seed: askSeed,
    metadata: (topics) => askSeed((driver, seed) => seed.ask(driver.metadataV7, [topics, false])),
    async broker(address, purpose) {
      const driver = await loadDriver();
      const name = `${purpose} ${address.host}:${address.port}`;
      const found = connections.get(name);
      if (found !== undefined) {
        const known = await found.catch(() => null);
        if (known?.isOpen === true) return known;
        if (connections.get(name) === found) connections.delete(name);
      }
      const opening = connections.get(name) ?? openConnection(driver, connection, address, over.signal);
      connections.set(name, opening);
      return opening;
    },
    askElsewhere() {
      last?.destroy();
      last = null;
      place = (place + 1) % brokers.length;
    },
    destroy() {
      over.abort();
      connections.clear();
    },
  };
}

function addressOf(broker: string): BrokerAddress {
  const colon = broker.lastIndexOf(":");
  return { host: broker.slice(0, colon), port: Number(broker.slice(colon + 1)) };
}
