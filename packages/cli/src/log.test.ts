import { manualClock } from "@waybill/testing";
import { describe, expect, test } from "vitest";
import { createLog, type Log, type LogLevel } from "./log.ts";

const of = { stream: "default", subscription: "default" } as const;
const retrying = {
  ...of,
  name: "relay.retrying",
  messageId: "m",
  topic: "t",
  attempt: 1,
  afterMs: 1,
  scope: "topic",
  mayBeStored: false,
} as const;

function logTo(
  level: LogLevel = "info",
  waiting = 0,
): { log: Log; lines: Record<string, unknown>[]; clock: ReturnType<typeof manualClock>; setWaiting(bytes: number): void } {
  const lines: Record<string, unknown>[] = [];
  const clock = manualClock({ wallMs: Date.UTC(2026, 0, 2, 3, 4, 5) });
  let bytes = waiting;
  const log = createLog({
    level,
    clock,
    writeLine: (line) => {
      if (line !== "") lines.push(JSON.parse(line) as Record<string, unknown>);
      return bytes;
    },
  });
  return { log, lines, clock, setWaiting: (next) => void (bytes = next) };
}

describe("log", () => {
  test("an event is one line with time and level, bigints as text", () => {
    const { log, lines } = logTo();
    log.write({ ...of, name: "relay.leaseReleased", epoch: 9_007_199_254_740_993n });
    expect(lines).toEqual([
      { time: "2026-01-02T03:04:05.000Z", level: "info", name: "relay.leaseReleased", ...of, epoch: "9007199254740993" },
    ]);
  });

  test.each<[LogLevel, number]>([
    ["debug", 4],
    ["info", 3],
    ["warn", 2],
    ["error", 1],
  ])("at level %s it prints that and what is worse", (level, count) => {
    const { log, lines } = logTo(level);
    log.write({ ...of, name: "relay.batchReading" });
    log.write({ ...of, name: "relay.started" });
    log.write({ ...of, name: "relay.restarting", code: "x", afterMs: 1 });
    log.write({ ...of, name: "relay.deadLettered", messageId: "m", sequence: 1n, reason: "r" });
    expect(lines).toHaveLength(count);
  });

  test("what repeats itself for every message is printed once a second, with the number left out", async () => {
    const { log, lines, clock } = logTo();
    for (let time = 0; time < 100; time += 1) log.write({ ...retrying, reason: "status503" });
    log.write({ ...retrying, reason: "status404" });
    expect(lines).toHaveLength(2);
    await clock.advance(1_000);
    log.write({ ...retrying, reason: "status503" });
    expect(lines[2]).toMatchObject({ reason: "status503", leftOut: 99 });
  });

  test("while nobody reads, lines are dropped and counted, errors are not", () => {
    const { log, lines, setWaiting } = logTo("info", 2 ** 21);
    const started = { ...of, name: "relay.started" } as const;
    log.write(started);
    log.write(started);
    log.write({ ...of, name: "relay.deadLettered", messageId: "m", sequence: 1n, reason: "r" });
    expect(lines.map(({ name, dropped }) => [name, dropped])).toEqual([
      ["relay.started", undefined],
      ["relay.deadLettered", 1],
    ]);
    setWaiting(0);
    log.write(started);
    log.write(started);
    expect(lines.at(-1)).toMatchObject({ name: "relay.started", dropped: 1 });
  });
});
