import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { type ConfigProblem, systemClock } from "@waybill/core";
import { describe, expect, test } from "vitest";
import { checkConnection } from "./address.ts";
import { type Driver, type DriverConnection, isBefore } from "./driver.ts";
import { type Link, openLink } from "./link.ts";

/** The driver's side of a connection: it remembers what was done to its socket. */
function fakeConnection() {
  const done: string[] = [];
  const stream = Object.assign(new EventEmitter(), {
    destroyed: false,
    bytesRead: 0,
    resetAndDestroy() {
      done.push("reset");
      stream.destroyed = true;
    },
    destroy() {
      if (!stream.destroyed) done.push("destroy");
      stream.destroyed = true;
    },
  });
  const connection = Object.assign(new EventEmitter(), { stream: stream as unknown as Socket, heartbeat: 10 });
  const channels: EventEmitter[] = [];
  const driver = Object.assign(new EventEmitter(), {
    connection,
    createChannel: () => {
      const channel = new EventEmitter();
      channels.push(channel);
      return Promise.resolve(channel);
    },
    close: () => new Promise<void>(() => undefined),
  });
  // As the driver does it: what it hears on the socket ends its channels and then the connection.
  stream.on("error", (error) => {
    done.push("driver told");
    for (const channel of channels) channel.emit("close");
    driver.emit("error", error);
    driver.emit("close", error);
  });
  return { done, stream, driver, connect: () => Promise.resolve(driver as unknown as DriverConnection) };
}

async function opened(driver: Driver): Promise<Link> {
  const problems: ConfigProblem[] = [];
  const settings = checkConnection({ url: "amqp://localhost" }, problems);
  if (settings === null) throw new Error("the settings are wrong");
  const answer = await openLink(driver, settings.addresses[0], settings, systemClock, new AbortController().signal);
  if (answer.kind !== "opened") throw new Error(answer.failure.reason);
  return answer.link;
}

describe("a link", () => {
  test("A17 a reset drops the socket, ends link and channels at once, and tells the driver", async () => {
    const fake = fakeConnection();
    const link = await opened(fake);
    const channel = await link.openChannel(1_000);
    if (channel.kind !== "done") throw new Error("no channel");
    const ends: string[] = [];
    link.onEnd(({ reason }) => ends.push(reason));
    channel.value.onEnd(({ reason, isLinkLost }) => ends.push(`channel ${reason} ${isLinkLost}`));
    link.reset("deadline");
    // All of it before anybody else had a turn.
    expect([link.isOpen, channel.value.isOpen]).toEqual([false, false]);
    expect(ends.toSorted((one, other) => one.localeCompare(other))).toEqual(["channel deadline true", "deadline"]);
    expect(fake.done).toEqual(["reset", "driver told"]);
    link.reset("again");
    expect(link.end?.reason).toBe("deadline");
    expect(fake.done).toEqual(["reset", "driver told"]);
  });

  test("A6 a close without an error ends it, and an error before it is its cause", async () => {
    for (const [hasError, brokerCode] of [
      [false, "320"],
      [true, "ECONNRESET"],
    ] as const) {
      const fake = fakeConnection();
      const link = await opened(fake);
      const ends: (string | null)[] = [];
      link.onEnd((end) => ends.push(end.brokerCode));
      const error = Object.assign(new Error("lost"), { code: hasError ? "ECONNRESET" : 320 });
      if (hasError) fake.driver.emit("error", error);
      expect(ends).toEqual([]);
      fake.driver.emit("close", hasError ? undefined : error);
      fake.driver.emit("close");
      expect(ends).toEqual([brokerCode]);
    }
  });

  test("a goodbye that nobody answers ends in a reset at its deadline", async () => {
    const fake = fakeConnection();
    const link = await opened(fake);
    await link.close(20);
    expect(link.isOpen).toBe(false);
    expect(fake.done).toEqual(["reset", "driver told"]);
  });

  test("a request that nobody answers resets the link, unless the broker is only blocked", async () => {
    for (const isBlocked of [false, true]) {
      const fake = fakeConnection();
      const link = await opened(fake);
      const channel = await link.openChannel(1_000);
      if (channel.kind !== "done") throw new Error("no channel");
      if (isBlocked) fake.driver.emit("blocked", "low on memory");
      const called = await channel.value.call(() => new Promise(() => undefined), 20);
      expect(called).toMatchObject({ kind: "failed", failure: { reason: "channelDeadline", isLinkLost: !isBlocked } });
      expect(link.isOpen).toBe(isBlocked);
      link.reset("over");
    }
  });

  test("a channel that opens in the moment in which its link ends is ended, and listened to all the same", async () => {
    const fake = fakeConnection();
    const link = await opened(fake);
    const late = new EventEmitter();
    fake.driver.createChannel = () => {
      link.reset("over");
      return Promise.resolve(late);
    };
    const channel = await link.openChannel(1_000);
    expect(channel).toMatchObject({ kind: "done", value: { isOpen: false, end: { reason: "over", isLinkLost: true } } });
    late.emit("error", new Error("closed by the broker")); // without a listener this throws
  });

  test("a listener of ours that throws costs the link, not the process", async () => {
    const fake = fakeConnection();
    const link = await opened(fake);
    fake.driver.connection.emit("handler-error", new Error("bug"), "close");
    expect(link.end?.reason).toBe("handlerFailed");
  });
});

test("A7 a driver older than 2.3.1 is too old", () => {
  const versions = ["0.10.9", "1.0.5", "2.2.1", "2.3.0", "2.3.1", "2.10.0", "3.0.0"];
  expect(versions.filter((version) => isBefore(version, [2, 3, 1]))).toEqual(["0.10.9", "1.0.5", "2.2.1", "2.3.0"]);
});
