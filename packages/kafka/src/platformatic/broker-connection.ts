/**
 * One connection to one broker, in our hands from the first byte to the last.
 *
 *     dial ─▶ TLS ─▶ credentials ─▶ open ──ask──▶ encode ─▶ mayWrite? ─▶ written ─▶ answer
 *       └──── one deadline, ours ────┘                        └ no: not one byte leaves
 *
 * Requests are written in the order of `ask`, and answered in that order: a broker takes one after the other from a connection. So what
 * may be answered late – a join, a fetch that waits – gets a connection of its own. The library closes by sending what it still holds;
 * we end the socket instead, and from then on nothing leaves.
 */
import { isIP } from "node:net";
import { withDeadline } from "@waybill/core";
import type { KafkaConnection, KafkaSasl } from "../connection-options.ts";
import { tlsOptions } from "../tls.ts";
import type { Driver, DriverApi, DriverConnection, DriverConnectionOptions } from "./driver.ts";
import { BrokerError, connectFailureOf, failureOf } from "./failure.ts";

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

export interface BrokerConnection {
  /** False once it has ended, whoever ended it. */
  readonly isOpen: boolean;
  /**
   * Sends a request and resolves with the answer, whatever error codes are in it. Rejects with `BrokerError` where there is none.
   *
   * `mayWrite` is asked after encoding, and nothing comes between its `true` and the write. False: nothing is written.
   */
  ask<Arguments extends readonly unknown[], Answer>(
    api: DriverApi<Arguments, Answer>,
    request: Arguments,
    mayWrite?: () => boolean,
  ): Promise<Answer>;
  /** A second destroy does nothing. */
  destroy(): void;
}

/** TCP, TLS and credentials. */
const connectDeadlineMs = 3_000;
const keepAliveDelayMs = 60_000;

/** Deadlines are ours; the library's own would end a join that waits for others. Its longest is what a timer can hold. */
const libraryLimits = {
  connectTimeout: connectDeadlineMs,
  requestTimeout: 2 ** 31 - 1,
  maxInflights: 10_000,
  handleBackPressure: false,
} as const;

/** Rejects with `BrokerError`. Once `signal` aborts, the connection is ended, open or not. */
export async function openConnection(
  driver: Driver,
  connection: KafkaConnection,
  { host, port }: BrokerAddress,
  signal: AbortSignal,
): Promise<BrokerConnection> {
  if (signal.aborted) throw new BrokerError({ kind: "unreachable" });
  const own = new driver.Connection(connection.clientId, driverOptions(connection, host));
  own.on("error", () => undefined); // told to whoever waits; without a listener it would end the process
  let hasShaken = false;
  own.on("sasl:handshake", () => {
    hasShaken = true;
  });
  const destroy = (): void => {
    signal.removeEventListener("abort", destroy);
    endSocket(own);
  };
  signal.addEventListener("abort", destroy, { once: true });
  own.on("close", () => signal.removeEventListener("abort", destroy));
  const connecting = new Promise<void>((resolve, reject) => {
    own.connect(host, port, (error) => (error === null ? resolve() : reject(error)));
  });
  try {
    const ended = await withDeadline(connection.clock, connectDeadlineMs, connecting);
    if (ended.kind === "late" || signal.aborted) throw new BrokerError({ kind: "unreachable" });
  } catch (error) {
    destroy();
    throw error instanceof BrokerError ? error : new BrokerError(connectFailureOf(error, hasShaken));
  }
  own.socket?.setKeepAlive(true, keepAliveDelayMs);
  return {
    get isOpen() {
      return own.isConnected() && own.socket?.writable === true;
    },
    ask: (api, request, mayWrite) => ask(own, api, request, mayWrite),
    destroy,
  };
}

function ask<Arguments extends readonly unknown[], Answer>(
  own: DriverConnection,
  { api, createRequest, parseResponse }: DriverApi<Arguments, Answer>,
  request: Arguments,
  mayWrite: () => boolean = () => true,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const encode = (): ReturnType<typeof createRequest> => {
      const payload = createRequest(...request);
      // The library would say the same, but only after we have been told that it is about to write.
      if (!own.isConnected() || own.socket?.writable !== true) throw new BrokerError({ kind: "unreachable" });
      if (!mayWrite()) throw new BrokerError({ kind: "clientFailed", cause: new Error("it may not be written any more") });
      return payload;
    };
    own.send<Answer>(api.key, api.version, encode, parseResponse, false, false, (error, answer) => {
      if (error === null) return resolve(answer);
      // An answer with error codes in it is an answer: the library throws it, and keeps it whole.
      const { response } = error as { readonly response?: Answer };
      if (response === undefined) reject(new BrokerError(failureOf(error)));
      else resolve(response);
    });
  });
}

function endSocket(own: DriverConnection): void {
  if (own.isConnected()) {
    own.socket?.destroy();
    own.close(() => undefined); // for its timer of reauthentication
  } else {
    // With an error, for while it connects the library takes no notice of a mere close, and its timer would go on.
    own.socket?.destroy(new Error("this connection is ended"));
  }
}

function driverOptions({ tls, sasl }: KafkaConnection, host: string): DriverConnectionOptions {
  return {
    ...libraryLimits,
    ...(tls === null ? {} : { tls: tlsOptions(tls), tlsServerName: tls.servername ?? isIP(host) === 0 }),
    ...(sasl === null ? {} : { sasl: driverSasl(sasl) }),
  };
}

function driverSasl(sasl: KafkaSasl): NonNullable<DriverConnectionOptions["sasl"]> {
  const mechanism = sasl.mechanism.toUpperCase();
  if (sasl.mechanism === "oauthbearer") return { mechanism, token: async () => revealed(await sasl.token()) };
  return { mechanism, username: sasl.username, password: revealed(sasl.password) };
}

function revealed(value: string | { reveal(): string }): string {
  return typeof value === "string" ? value : value.reveal();
}
