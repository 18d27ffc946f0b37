/** What a real broker does in one packet of a million. */
import type { WaybillEvent } from "@waybill/core";
import { rabbitmqTransport } from "@waybill/rabbitmq";
import { waitUntil } from "@waybill/testing";
import { expect, test } from "vitest";
import { startFakeBroker } from "./fake-broker.ts";

// 541 is an error to the driver, 320 is not. An exception that nobody catches fails the run.
test.each([
  ["A4", 541],
  ["A6", 320],
])(
  "%s a connection that is closed with %s in the packet that opens it is lost like any other, and the next one is used",
  async (_, code) => {
    const broker = await startFakeBroker({ ready: 0, closesAtOnce: { times: 2, code } });
    const events: WaybillEvent["name"][] = [];
    const transport = rabbitmqTransport({ url: broker.url, topology: "none", onEvent: ({ name }) => events.push(name) });
    try {
      await transport.start({ deadlineMs: 30_000 }).catch(() => undefined);
      await waitUntil(() => broker.connections >= 3, { what: "it is connected for good", deadlineMs: 30_000 });
      await waitUntil(() => events.filter((name) => name === "rabbitmq.connected").length === 3, {
        what: "that is told",
        deadlineMs: 30_000,
      });
      expect(events.filter((name) => name === "rabbitmq.lost")).toHaveLength(2);
    } finally {
      await transport.close({ deadlineMs: 1_000 });
      await broker.stop();
    }
  },
);
