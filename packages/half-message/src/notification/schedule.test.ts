import { describe, expect, test } from "vitest";
import { afterNotification, breakerMs, type NotificationAnswer, type PresetName, presets } from "./schedule.ts";

const middle = { fraction: () => 0.5 };
const answered = (status: number, body = "", retryAfterMs: number | null = null): NotificationAnswer => ({
  kind: "answered",
  status,
  body: Buffer.from(body),
  retryAfterMs,
});
const after = (answer: NotificationAnswer, attempt: number, preset: PresetName = "doubling") =>
  afterNotification(answer, { attempt, ...presets[preset] }, middle);

describe("presets", () => {
  test.each([
    ["doubling", 6, 31_000],
    ["standard-webhooks", 10, 272_105_000],
    ["svix", 8, 99_305_000],
    ["wechat-pay", 16, 86_640_000],
    ["alipay", 10, 87_840_000],
  ] as const)("%s tries %i times within %i ms", (name, attempts, totalMs) => {
    const { delays } = presets[name];
    expect(delays).toHaveLength(attempts);
    expect(delays.reduce((sum, delay) => sum + delay, 0)).toBe(totalMs);
  });

  test("doubling ends after five retries, openly", () => {
    const waits = [1, 2, 3, 4, 5].map((attempt) => after(answered(500), attempt));
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000].map((afterMs) => ({ kind: "again", afterMs, isCharged: true })));
    expect(after(answered(500), 6)).toEqual({ kind: "dead", reason: "schedule_exhausted" });
  });
});

describe("an answer", () => {
  test.each([
    ["doubling", answered(204), true],
    ["doubling", answered(302), false],
    ["doubling", { kind: "unknown", reason: "deadline" }, false],
    ["wechat-pay", answered(200), true],
    ["wechat-pay", answered(201), false],
    ["alipay", answered(200, "success"), true],
    ["alipay", answered(200, "success\n"), false],
    ["alipay", answered(200, "fail"), false],
  ] as const)("%s: %o is success: %s", (preset, answer, isSuccess) => {
    expect(after(answer, 1, preset).kind === "acked").toBe(isSuccess);
  });

  test("a JSON field may have to say so", () => {
    const success = { status: ["2xx"], jsonField: { name: "code", equals: "OK" } } as const;
    const judge = (body: string) => afterNotification(answered(200, body), { attempt: 1, delays: [0, 1], success }, middle).kind;
    expect(['{"code":"OK"}', '{"code":"NO"}', "OK", "", "null", "[]"].map(judge)).toEqual([
      "acked",
      "again",
      "again",
      "again",
      "again",
      "again",
    ]);
  });

  test("410 ends it at once", () => {
    expect(after(answered(410), 1)).toEqual({ kind: "dead", reason: "gone" });
  });

  test("who says when is heard, where that is later, and pays no attempt", () => {
    expect(after(answered(503, "", 60_000), 1)).toEqual({ kind: "again", afterMs: 60_000, isCharged: false });
    expect(after(answered(503, "", 10), 3)).toEqual({ kind: "again", afterMs: 4_000, isCharged: false });
    expect(after(answered(503, "", 10), 6)).toEqual({ kind: "again", afterMs: 10, isCharged: false });
  });

  test("long delays are ten percent more or less", () => {
    const low = afterNotification(answered(500), { attempt: 1, ...presets["standard-webhooks"] }, { fraction: () => 0 });
    expect(low).toMatchObject({ afterMs: 4_500 });
  });
});

test("a receiver that fails ten times in a row is left alone, longer each time", () => {
  const policy = { failuresMax: 10, firstMs: 30_000, maxMs: 600_000 };
  expect([9, 10, 11, 14, 15, 99].map((failures) => breakerMs(failures, policy))).toEqual([0, 30_000, 60_000, 480_000, 600_000, 600_000]);
});
