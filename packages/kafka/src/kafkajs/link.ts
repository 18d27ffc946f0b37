/**
 * A connected kafkajs client – a producer or an admin – with the sockets it lives on.
 *
 * The library asks one seed broker and gives up; a seed that accepts connections and never answers would hold it for as long as it
 * likes. So seeds are tried in turn, each with a deadline of ours, beginning at another one every time.
 */
import { type Clock, withDeadline } from "@waybill/core";
import type { KafkaConnection, KafkaSasl } from "../connection-options.ts";
import { type DriverKafka, type DriverSasl, loadDriver } from "./driver.ts";
import { type ClientFailure, failureOf } from "./failure.ts";
import { applyIdleTimerPatch } from "./idle-timer.ts";
import { createSockets, type Sockets } from "./sockets.ts";

export interface Link<Client> {
  readonly kind: "linked";
  readonly client: Client;
}

export interface LinkOptions<Client> {
  readonly connection: KafkaConnection;
  readonly patchIdleTimer: boolean;
  /** Which seed is tried first. */
  readonly firstSeed: number;
  readonly open: (kafka: DriverKafka) => Client;
  /** Asked for every frame before it is written: what leaves in its place, mostly itself. Null: nothing. */
  readonly leaving: (frame: Uint8Array) => Uint8Array | null;
  /** Once it aborts, all connections are ended for good, and no further seed is tried. */
  readonly signal: AbortSignal;
}

/** For one seed: TCP, TLS, versions and authentication. */
const seedDeadlineMs = 3_000;

/** What the library waits for at most by itself. Only its locks still count by it: its own time-outs go by the host's clock and are off. */
export const requestTimeoutMs = 10_000;

export async function openLink<Client extends { connect(): Promise<void> }>(
  options: LinkOptions<Client>,
): Promise<Link<Client> | ClientFailure> {
  const { connection, signal } = options;
  const { Kafka } = await loadDriver();
  if (options.patchIdleTimer) applyIdleTimerPatch();
  let failure: ClientFailure = { kind: "unreachable" };
  for (let turn = 0; turn < connection.brokers.length && !signal.aborted; turn += 1) {
    const sockets = createSockets(connection.tls, options.leaving);
    const destroy = (): void => sockets.destroy();
    signal.addEventListener("abort", destroy, { once: true });
    const kafka = new Kafka(driverOptions(connection, options.firstSeed + turn, sockets));
    const client = options.open(kafka);
    const failed = await failureToConnect(client, connection.clock);
    if (failed === null && !signal.aborted) return { kind: "linked", client };
    destroy();
    signal.removeEventListener("abort", destroy);
    failure = failed ?? failure;
    if (failure.kind === "notAuthenticated") break; // the next broker knows us no better, and some lock out who asks too often
  }
  return failure;
}

async function failureToConnect(client: { connect(): Promise<void> }, clock: Clock): Promise<ClientFailure | null> {
  try {
    const ended = await withDeadline(clock, seedDeadlineMs, client.connect());
    return ended.kind === "late" ? { kind: "unreachable" } : null;
  } catch (error) {
    const failure = failureOf(error);
    return failure.kind === "notAuthenticated" || failure.kind === "unreachable" ? failure : { kind: "unreachable", cause: failure.cause };
  }
}

function driverOptions(
  connection: KafkaConnection,
  firstSeed: number,
  sockets: Sockets,
): ConstructorParameters<Awaited<ReturnType<typeof loadDriver>>["Kafka"]>[0] {
  const { brokers, clientId, sasl } = connection;
  const first = firstSeed % brokers.length;
  return {
    brokers: [...brokers.slice(first), ...brokers.slice(0, first)],
    clientId,
    socketFactory: sockets.open,
    ...(sasl === null ? {} : { sasl: driverSasl(sasl) }),
    connectionTimeout: seedDeadlineMs,
    authenticationTimeout: seedDeadlineMs,
    requestTimeout: requestTimeoutMs,
    // Its check compares dates of the host: a clock that jumps forward fails everything under way, one that jumps back nothing ever.
    enforceRequestTimeout: false,
    retry: { retries: 0 },
    // It logs to the console unless told otherwise, and hosts and topics are none of the console's business.
    logCreator: () => () => undefined,
  };
}

/** A fresh object each time: the library writes into it. */
function driverSasl(sasl: KafkaSasl): DriverSasl {
  if (sasl.mechanism === "oauthbearer") {
    return { mechanism: sasl.mechanism, oauthBearerProvider: async () => ({ value: revealed(await sasl.token()) }) };
  }
  return { mechanism: sasl.mechanism, username: sasl.username, password: revealed(sasl.password) };
}

function revealed(value: string | { reveal(): string }): string {
  return typeof value === "string" ? value : value.reveal();
}
