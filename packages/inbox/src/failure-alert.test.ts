import { type Alert, isWaybillError } from "@waybill/core";
import { manualClock } from "@waybill/testing";
import { expect, test } from "vitest";
import type { InboxStep } from "./engine.ts";
import { createFailureAlert, type FailureAlert } from "./failure-alert.ts";
import { hold } from "./hold.ts";
import { reject } from "./reject.ts";

function setUp(): { readonly alert: FailureAlert; readonly told: InboxStep[]; readonly raised: Alert[] } {
  const told: InboxStep[] = [];
  const raised: Alert[] = [];
  const alert = createFailureAlert({
    consumer: "inventory",
    clock: manualClock(),
    onAlert: (one) => void raised.push(one),
    tell: (step) => void told.push(step),
  });
  return { alert, told, raised };
}

/** As a handler gives it. */
function reasonOf(refuse: () => never): string {
  try {
    return refuse();
  } catch (error) {
    if (isWaybillError(error, "WAYBILL_MESSAGE_REJECTED")) return error.facts.reason;
    throw error;
  }
}

const succeed = (alert: FailureAlert, times: number): void => {
  for (let index = 0; index < times; index += 1) alert.watch({ name: "inbox.committed", messageId: String(index) });
};
const fail = (alert: FailureAlert, times: number): void => {
  for (let index = 0; index < times; index += 1) {
    alert.watch({ name: "inbox.handlerFailed", messageId: "m", code: "Error", durationMs: 1 });
    alert.watch({ name: "inbox.retrying", messageId: "m", attempt: index + 1, afterMs: 1, code: "Error" });
  }
};

test("ten failures of a thousand attempts are quiet, the eleventh raises one event and one alert", () => {
  const { alert, told, raised } = setUp();
  succeed(alert, 900);
  fail(alert, 10);
  succeed(alert, 90);
  expect([told, raised]).toEqual([[], []]);
  fail(alert, 1);
  expect(told).toEqual([{ name: "inbox.failureRateHigh", failed: 11, attempts: 1_000 }]);
  expect(raised).toEqual([
    {
      kind: "failure_rate",
      subject: "inventory",
      detail: "11 of the last 1000 attempts failed: more than one in a hundred of a thousand.",
    },
  ]);
  fail(alert, 20);
  expect([told.length, raised.length]).toEqual([1, 1]);
});

test("it is over when few of the last thousand failed, and comes again within the hour as an event and not as an alert", () => {
  const { alert, told, raised } = setUp();
  fail(alert, 11);
  succeed(alert, 1_000);
  expect(told.map(({ name }) => name)).toEqual(["inbox.failureRateHigh", "inbox.failureRateNormal"]);
  fail(alert, 11);
  expect(told.map(({ name }) => name)).toEqual(["inbox.failureRateHigh", "inbox.failureRateNormal", "inbox.failureRateHigh"]);
  expect(raised).toHaveLength(1);
});

test.each([
  [reasonOf(() => reject("card 4111 1111 refused")), "rejected"],
  [reasonOf(() => reject("card: 4111 1111")), "rejected"],
  [reasonOf(() => hold("card 4111 1111")), "held"],
  ["attemptsExhausted:CARD_4111", "attemptsExhausted"],
  ["unknownType", "unknownType"],
])("of the reason %s an alert tells what kind it is, and not the text of whoever gave it", (reason, word) => {
  const { alert, raised } = setUp();
  alert.watch({ name: "inbox.deadLettered", messageId: "1", reason });
  alert.watch({ name: "inbox.deadLettered", messageId: "2", reason: "unknownType" });
  alert.watch({ name: "inbox.confirmationGivenUp", messageId: "3", reason });
  expect(raised).toEqual([
    { kind: "dead_letter", subject: "inventory", detail: `A message became a dead letter: ${word}.` },
    { kind: "unconfirmed", subject: "inventory", detail: `A message was handled, and its producer could not be told: ${word}.` },
  ]);
});
