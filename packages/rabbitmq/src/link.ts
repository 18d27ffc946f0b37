/**
 * One open connection to a broker, and its channels: the driver's objects with what they need to be safe around them.
 *
 *     opened ──────▶ open ◀────▶ blocked by an alarm
 *                     │             │
 *                     ▼             ▼
 *                   ended, once: the broker closed it, the network did, the heartbeat found it dead, or we reset it
 *
 * - `error`, `close` and `handler-error` are listened to on the connection and on every channel, from the first moment: without
 *   that the process dies, or the driver closes the connection (A4, A5). The end is taken from `close`, which always comes (A6).
 * - Every call has a deadline of ours. What is late while nothing is blocked means that nobody is there: the link is reset.
 * - A reset drops what lies unsent in the socket (RST), ends everything here in the same synchronous step, and tells the driver,
 *   which would notice by its heartbeat only (A17) and keep its timers, and so the process, alive.
 */
import { connect as connectTcp, type Socket } from "node:net";
import { type Clock, withDeadline } from "@waybill/core";
import type { BrokerAddress, CheckedConnection } from "./address.ts";
import { keepChannelNumbers } from "./channel-numbers.ts";
import type { Driver, DriverChannel, DriverConfirmChannel, DriverConnection } from "./driver.ts";

/** Why something ended or failed. `reason` is a stable word of ours, `brokerCode` the broker's reply code or the network's. */
export interface LinkFailure {
  readonly reason: string;
  readonly brokerCode: string | null;
  readonly cause: unknown;
}

/** How a channel ended. `isLinkLost` false: the broker closed this channel alone, and its connection goes on. */
export interface ChannelEnd extends LinkFailure {
  readonly isLinkLost: boolean;
}

export type Called<T> = { readonly kind: "done"; readonly value: T } | { readonly kind: "failed"; readonly failure: ChannelEnd };

export interface LinkChannel<D extends DriverChannel = DriverChannel> {
  /** The driver's channel: throws once it is closed. Deliveries are settled on it, and on no other (A12). */
  readonly driver: D;
  readonly isOpen: boolean;
  readonly end: ChannelEnd | null;
  /** Runs once, when the channel has ended; at once if it has. */
  onEnd(listener: (end: ChannelEnd) => void): void;
  /** One request and its answer. A refusal by the broker also ends the channel. */
  call<T>(run: (driver: D) => Promise<T>, deadlineMs: number): Promise<Called<T>>;
  /** Closes it; what is unanswered at the deadline is left to the link's end. */
  close(deadlineMs: number): Promise<void>;
}

export interface Link {
  /** `host:port/vhost`, without credentials. */
  readonly broker: string;
  /** As the broker told it, or null. */
  readonly version: string | null;
  readonly isOpen: boolean;
  readonly end: LinkFailure | null;
  /** An alarm of the broker's: nothing that is published is read any more. null: there is none. */
  readonly blocked: { readonly sinceMs: number; readonly reason: string } | null;
  /** Bytes that came from the broker so far: a heartbeat counts. It grows only while somebody is there. */
  readonly heardBytes: number;
  /** Runs once, when the link has ended; at once if it has. Answers how not to. */
  onEnd(listener: (end: LinkFailure) => void): () => void;
  /** Runs at every change until the link ends. Answers how not to. */
  onBlocked(listener: (isBlocked: boolean) => void): () => void;
  openChannel(deadlineMs: number): Promise<Called<LinkChannel>>;
  openConfirmChannel(deadlineMs: number): Promise<Called<LinkChannel<DriverConfirmChannel>>>;
  /** Ends it now: nothing more is sent or taken, and nobody is asked. */
  reset(reason: string): void;
  /** Says goodbye to the broker, and resets the link at the deadline. */
  close(deadlineMs: number): Promise<void>;
}

export type Opened = { readonly kind: "opened"; readonly link: Link } | { readonly kind: "failed"; readonly failure: LinkFailure };

/** Frames beyond this are refused from their header alone (A15). Ours are split by the agreed size, far below. */
const frameBytesMax = 16 * 1024 * 1024;

/** Opens a connection, or says why it could not. Given up when `signal` aborts. Never rejects. */
export async function openLink(
  driver: Driver,
  address: BrokerAddress,
  settings: CheckedConnection,
  clock: Clock,
  signal: AbortSignal,
): Promise<Opened> {
  const giveUp = new AbortController();
  const onAbort = (): void => giveUp.abort();
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) giveUp.abort();
  const deadline = clock.setTimer(settings.connectDeadlineMs, onAbort);
  // Below TLS the socket is ours, so that it can be reset: a TLS socket cannot.
  const tcp = address.isTls ? connectTcp({ host: address.host, port: address.port, noDelay: true, signal: giveUp.signal }) : null;
  tcp?.on("error", () => undefined); // the driver hears of it, too
  try {
    const opened = await driver.connect(driverAddress(address, settings), {
      noDelay: true,
      clientProperties: { product: "waybill", connection_name: settings.connectionName },
      ...(tcp === null ? { signal: giveUp.signal } : { ...tlsOf(address, settings), socket: tcp }),
    });
    const link = linkOf(opened, tcp, address, clock);
    if (!giveUp.signal.aborted) return { kind: "opened", link };
    link.reset("connectDeadline");
    return { kind: "failed", failure: { reason: "connectDeadline", brokerCode: null, cause: undefined } };
  } catch (error) {
    tcp?.destroy();
    return { kind: "failed", failure: connectFailure(error, signal.aborted ? "closed" : giveUp.signal.aborted ? "connectDeadline" : null) };
  } finally {
    deadline.cancel();
    signal.removeEventListener("abort", onAbort);
  }
}

function driverAddress(address: BrokerAddress, settings: CheckedConnection): Parameters<Driver["connect"]>[0] {
  return {
    protocol: address.isTls ? "amqps" : "amqp",
    hostname: address.host,
    port: address.port,
    username: address.username,
    password: address.password.reveal(),
    vhost: encodeURIComponent(address.vhost),
    heartbeat: settings.heartbeatSeconds,
    maxFrameSize: frameBytesMax,
  };
}

function tlsOf(address: BrokerAddress, { tls }: CheckedConnection): Partial<Parameters<Driver["connect"]>[1]> {
  return {
    rejectUnauthorized: tls.insecureSkipVerification !== true,
    ...(tls.servername === undefined ? {} : { servername: tls.servername }),
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  };
}

/**
 * What a failed attempt shows. The driver puts a refusal during the handshake into its message only, so two words of ours are read
 * from there; they tell an operator where to look, and nothing else hangs on them.
 */
function connectFailure(error: unknown, ours: string | null): LinkFailure {
  if (ours !== null) return { reason: ours, brokerCode: null, cause: error };
  const code = codeOf(error);
  if (code !== null) return { reason: isTlsCode(code) ? "tlsRefused" : "unreachable", brokerCode: code, cause: error };
  const text = error instanceof Error ? error.message : "";
  const refusal = /^Handshake terminated by server: (\d{3}) /.exec(text)?.[1];
  if (refusal !== undefined) return { reason: refusal === "403" ? "accessRefused" : "handshakeRefused", brokerCode: refusal, cause: error };
  if (text.startsWith("Expected ConnectionOpenOk; got <ConnectionClose"))
    return { reason: "vhostRefused", brokerCode: "530", cause: error };
  return { reason: "handshakeFailed", brokerCode: null, cause: error };
}

/** OpenSSL's and Node's codes of a certificate or a protocol that does not fit. */
function isTlsCode(code: string): boolean {
  return /^ERR_(SSL|TLS)|CERT|SIGNATURE|ISSUER|^HOSTNAME_MISMATCH$|^EPROTO$/.test(code);
}

function codeOf(error: unknown): string | null {
  const code: unknown = error instanceof Error ? (error as { readonly code?: unknown }).code : undefined;
  return typeof code === "string" || typeof code === "number" ? String(code) : null;
}

function linkOf(opened: DriverConnection, tcp: Socket | null, address: BrokerAddress, clock: Clock): Link {
  const { stream } = opened.connection;
  keepChannelNumbers(opened.connection);
  const onEnd = new Set<(end: LinkFailure) => void>();
  const onBlocked = new Set<(isBlocked: boolean) => void>();
  let blocked: Link["blocked"] = null;
  let ended: LinkFailure | null = null;

  const finish = (end: LinkFailure): void => {
    if (ended !== null) return;
    ended = end;
    stream.destroy(); // the driver only ends it, and a peer that is gone never answers that
    tcp?.destroy();
    for (const listener of onEnd) listener(end);
    onEnd.clear();
    onBlocked.clear();
  };

  const reset = (reason: string): void => {
    if (ended !== null) return;
    const cause = new Error(`Connection reset by us: ${reason}.`);
    const socket = tcp ?? stream;
    if (!socket.destroyed) socket.resetAndDestroy();
    finish({ reason, brokerCode: null, cause });
    stream.emit("error", cause); // the driver clears its timers and fails its channels
  };

  let lastError: unknown;
  opened.on("error", (error) => {
    lastError = error;
  });
  opened.on("close", (error) => {
    const cause: unknown = error ?? lastError;
    finish({ reason: "connectionLost", brokerCode: codeOf(cause), cause });
  });
  opened.connection.on("handler-error", () => reset("handlerFailed"));
  opened.on("blocked", (reason) => {
    if (ended !== null || blocked !== null) return;
    blocked = { sinceMs: clock.monotonicMs(), reason };
    for (const listener of onBlocked) listener(true);
  });
  opened.on("unblocked", () => {
    if (ended !== null || blocked === null) return;
    blocked = null;
    for (const listener of onBlocked) listener(false);
  });
  // The broker may close a connection in the packet that opens it; then the driver has said so before we could listen.
  if (stream.writableEnded || stream.destroyed) finish({ reason: "connectionLost", brokerCode: null, cause: undefined });

  const open = async <D extends DriverChannel>(made: Promise<D>, deadlineMs: number): Promise<Called<LinkChannel<D>>> => {
    const opening = made.then((driver) => channelOf(driver, link, clock));
    try {
      const answer = await withDeadline(clock, deadlineMs, opening);
      if (answer.kind === "settled") return { kind: "done", value: answer.value };
      // A blocked broker reads nothing from us; it is not dead. Should it answer after all, nobody wants the channel any more.
      if (link.blocked === null) link.reset("channelDeadline");
      else opening.then((channel) => channel.close(deadlineMs)).catch(() => undefined);
      return { kind: "failed", failure: { reason: "channelDeadline", brokerCode: null, cause: undefined, isLinkLost: !link.isOpen } };
    } catch (error) {
      return { kind: "failed", failure: failureOf(error, link) };
    }
  };

  const link: Link = {
    broker: address.name,
    version: versionOf(opened),
    get isOpen() {
      return ended === null;
    },
    get end() {
      return ended;
    },
    get blocked() {
      return blocked;
    },
    get heardBytes() {
      return stream.bytesRead;
    },
    onEnd(listener) {
      if (ended === null) onEnd.add(listener);
      else listener(ended);
      return () => void onEnd.delete(listener);
    },
    onBlocked(listener) {
      onBlocked.add(listener);
      return () => void onBlocked.delete(listener);
    },
    openChannel: (deadlineMs) =>
      open(
        attempt(() => opened.createChannel()),
        deadlineMs,
      ),
    openConfirmChannel: (deadlineMs) =>
      open(
        attempt(() => opened.createConfirmChannel()),
        deadlineMs,
      ),
    reset,
    async close(deadlineMs) {
      if (ended !== null) return;
      await withDeadline(
        clock,
        deadlineMs,
        attempt(() => opened.close()).catch(() => undefined),
      );
      reset("closed");
    },
  };
  return link;
}

/** A driver's method may throw at once; here that is a rejection like any other. */
async function attempt<T>(run: () => Promise<T>): Promise<T> {
  return await run();
}

function versionOf(opened: DriverConnection): string | null {
  const version = opened.connection.serverProperties?.version;
  return typeof version === "string" ? version : null;
}

/** What a call's rejection shows: the broker's code where there is one, else what became of the link. */
function failureOf(error: unknown, link: Link): ChannelEnd {
  if (link.end !== null) return { ...link.end, isLinkLost: true };
  const code = codeOf(error);
  return { reason: code === null ? "channelClosed" : "channelException", brokerCode: code, cause: error, isLinkLost: false };
}

function channelOf<D extends DriverChannel>(driver: D, link: Link, clock: Clock): LinkChannel<D> {
  const onEnd = new Set<(end: ChannelEnd) => void>();
  let ended: ChannelEnd | null = null;
  let failure: unknown;
  let forgetLink = (): void => undefined;

  const finish = (end: ChannelEnd): void => {
    if (ended !== null) return;
    ended = end;
    forgetLink();
    for (const listener of onEnd) listener(end);
    onEnd.clear();
  };

  driver.on("error", (error) => {
    failure = error;
  });
  // The link's own end comes first where we reset it; where the driver found it, its channels go first, and their `close` says nothing.
  driver.on("close", () => {
    const code = codeOf(failure);
    if (code !== null) finish({ reason: "channelException", brokerCode: code, cause: failure, isLinkLost: false });
    else queueMicrotask(() => finish(failureOf(failure, link)));
  });
  driver.on("handler-error", () => link.reset("handlerFailed"));
  forgetLink = link.onEnd((end) => finish({ ...end, isLinkLost: true })); // at once, if it ended while the channel was opened

  const channel: LinkChannel<D> = {
    driver,
    get isOpen() {
      return ended === null;
    },
    get end() {
      return ended;
    },
    onEnd(listener) {
      if (ended === null) onEnd.add(listener);
      else listener(ended);
    },
    async call(run, deadlineMs) {
      if (ended !== null) return { kind: "failed", failure: ended };
      const heardBytes = link.heardBytes;
      try {
        const answer = await withDeadline(
          clock,
          deadlineMs,
          attempt(() => run(driver)),
        );
        if (answer.kind === "settled") return { kind: "done", value: answer.value };
        // A broker that was heard meanwhile is there; what it was asked about is not, such as a queue without a leader. Others go on.
        if (link.blocked === null && link.heardBytes === heardBytes) link.reset("channelDeadline");
        return { kind: "failed", failure: { reason: "channelDeadline", brokerCode: null, cause: undefined, isLinkLost: !link.isOpen } };
      } catch (error) {
        return { kind: "failed", failure: ended ?? failureOf(error, link) };
      }
    },
    async close(deadlineMs) {
      if (ended !== null) return;
      await channel.call((open) => open.close(), deadlineMs);
      finish({ reason: "closed", brokerCode: null, cause: undefined, isLinkLost: false });
    },
  };
  return channel;
}
