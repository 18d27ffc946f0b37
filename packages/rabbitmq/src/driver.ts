/**
 * What we use of `amqplib`, typed by shape, so that our declarations need no types of the driver's, and loaded only when a
 * connection is opened. Nothing else in this package imports it.
 *
 * The shapes leave out on purpose what loses messages or order: `waitForConfirms`, `nack`, the driver's own recovery.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { waybillError } from "@waybill/core";
import { listenForEarlyErrors } from "./early-errors.ts";

/** Values of a header or argument table. */
export type DriverTable = Readonly<Record<string, unknown>>;

/** Properties of a message, as they arrive: what a publisher left out is undefined. */
export interface DriverProperties {
  readonly contentType?: string | undefined;
  readonly contentEncoding?: string | undefined;
  readonly headers?: DriverTable | undefined;
  readonly deliveryMode?: number | undefined;
  readonly correlationId?: string | undefined;
  readonly messageId?: string | undefined;
  /** Seconds since 1970. */
  readonly timestamp?: number | undefined;
  readonly type?: string | undefined;
  readonly appId?: string | undefined;
}

/** A message that the broker gave back: nobody was there to take it. */
export interface DriverReturn {
  readonly fields: { readonly replyCode: number; readonly replyText: string; readonly exchange: string; readonly routingKey: string };
  readonly properties: DriverProperties;
}

/** A message for a consumer. To be settled on the channel object it came from, and on no other. */
export interface DriverDelivery {
  readonly fields: {
    readonly consumerTag: string;
    readonly deliveryTag: number;
    readonly redelivered: boolean;
    readonly exchange: string;
    readonly routingKey: string;
  };
  readonly properties: DriverProperties;
  readonly content: Buffer;
}

export interface DriverPublishOptions {
  readonly mandatory: boolean;
  readonly persistent: boolean;
  readonly messageId: string;
  readonly type: string;
  readonly contentType?: string;
  readonly timestamp: number;
  readonly headers: DriverTable;
}

export interface DriverQueueOptions {
  readonly durable: boolean;
  readonly exclusive?: boolean;
  readonly autoDelete?: boolean;
  readonly arguments: DriverTable;
}

export interface DriverQueueAnswer {
  readonly queue: string;
  readonly messageCount: number;
  readonly consumerCount: number;
}

/** A channel. Its methods throw once it is closed. */
export interface DriverChannel {
  assertExchange(name: string, type: string, options: { readonly durable: boolean }): Promise<unknown>;
  checkExchange(name: string): Promise<unknown>;
  assertQueue(name: string, options: DriverQueueOptions): Promise<DriverQueueAnswer>;
  checkQueue(name: string): Promise<DriverQueueAnswer>;
  bindQueue(queue: string, exchange: string, routingKey: string): Promise<unknown>;
  prefetch(count: number, isGlobal: boolean): Promise<unknown>;
  /** `null`: the broker cancelled the consumer. A callback that throws closes the channel (A13): it must not. */
  consume(
    queue: string,
    onDelivery: (delivery: DriverDelivery | null) => void,
    options: { readonly consumerTag: string; readonly noAck: false },
  ): Promise<{ readonly consumerTag: string }>;
  cancel(consumerTag: string): Promise<unknown>;
  ack(delivery: DriverDelivery, allUpTo: boolean): void;
  reject(delivery: DriverDelivery, requeue: boolean): void;
  close(): Promise<void>;
  on(event: "error" | "handler-error", listener: (error: Error & { readonly code?: number | string }) => void): unknown;
  on(event: "close" | "drain", listener: () => void): unknown;
  on(event: "return", listener: (returned: DriverReturn) => void): unknown;
}

/** A channel in confirm mode. */
export interface DriverConfirmChannel extends DriverChannel {
  /** False: the driver's buffer is full, and it buffers all the same (A11). Throws a RangeError for headers that do not fit. */
  publish(
    exchange: string,
    routingKey: string,
    content: Buffer,
    options: DriverPublishOptions,
    onConfirm: (error: Error | null) => void,
  ): boolean;
}

/** A connection that is open. Without listeners for `error` on it and on every channel, the process dies (A4). */
export interface DriverConnection {
  readonly connection: {
    readonly stream: Socket;
    /** What was agreed with the broker, in seconds. */
    readonly heartbeat: number;
    readonly serverProperties?: { readonly version?: unknown };
    /** The driver keeps a listener's throw to itself if somebody listens to this. */
    on(event: "handler-error", listener: (error: Error) => void): unknown;
  };
  createChannel(): Promise<DriverChannel>;
  createConfirmChannel(): Promise<DriverConfirmChannel>;
  close(): Promise<void>;
  on(event: "error", listener: (error: Error & { readonly code?: number | string }) => void): unknown;
  /** Comes once, after `error` where there is one; a forced close has no `error` (A6). */
  on(event: "close", listener: (error?: Error & { readonly code?: number | string }) => void): unknown;
  on(event: "blocked", listener: (reason: string) => void): unknown;
  on(event: "unblocked", listener: () => void): unknown;
}

export interface DriverAddress {
  readonly protocol: "amqp" | "amqps";
  readonly hostname: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  /** Percent-encoded: the driver decodes it. */
  readonly vhost: string;
  /** Seconds. Never 0, which switches them off (A9). */
  readonly heartbeat: number;
  /** Largest frame that is read from the broker, in bytes (A15). */
  readonly maxFrameSize: number;
}

export interface DriverSocketOptions {
  readonly noDelay: true;
  readonly clientProperties: DriverTable;
  /** Ends the socket at any time, also while it connects. */
  readonly signal?: AbortSignal;
  /** For TLS: the TCP connection below it, opened by us, so that we can reset it. */
  readonly socket?: Socket;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface Driver {
  connect(address: DriverAddress, options: DriverSocketOptions): Promise<DriverConnection>;
}

/**
 * 2.3.0 fixed a hostile frame size that exhausts memory (GHSA-37f9-7m79-6866), 2.3.1 headers that were cut off silently; before
 * 2.2.1 confirms got lost when a channel closed.
 */
const versionMin = [2, 3, 1] as const;

/**
 * Loads the driver.
 *
 * @throws WAYBILL_CONFIG_INVALID if `amqplib` is not installed, or is older than 2.3.1
 */
export async function loadDriver(): Promise<Driver> {
  let driver: Driver;
  try {
    const loaded = (await import("amqplib")) as unknown as Driver & { readonly default?: Driver };
    driver = loaded.default ?? loaded;
  } catch (error) {
    throw driverInvalid("the driver cannot be loaded; install it beside Waybill: npm install amqplib", error);
  }
  const version = await installedVersion();
  if (version !== null && isBefore(version, versionMin))
    throw driverInvalid(`amqplib ${version} loses confirms and cuts headers off; install ${versionMin.join(".")} or later`);
  listenForEarlyErrors();
  return driver;
}

/** The version beside the module that was found. The driver does not export it; a bundle has none, and is its builder's affair. */
async function installedVersion(): Promise<string | null> {
  try {
    const entry = createRequire(import.meta.url).resolve("amqplib");
    const described = JSON.parse(await readFile(new URL("package.json", `file://${entry}`), "utf8")) as Record<string, unknown>;
    return described["name"] === "amqplib" && typeof described["version"] === "string" ? described["version"] : null;
  } catch {
    return null;
  }
}

export function isBefore(version: string, floor: readonly [number, number, number]): boolean {
  const parts = version.split(/[.+-]/).slice(0, 3).map(Number);
  for (const [place, least] of floor.entries()) {
    const part = parts[place] ?? 0;
    if (part !== least) return part < least;
  }
  return false;
}

function driverInvalid(problem: string, cause?: unknown): Error {
  return waybillError("WAYBILL_CONFIG_INVALID", `RabbitMQ: ${problem}.`, { problems: [{ option: "amqplib", problem }] }, cause);
}
