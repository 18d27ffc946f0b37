import type { Transport } from "@waybill/core";
import { forEachDatabaseInTurn, waitUntil } from "@waybill/testing";
import { expect } from "vitest";
import { itOn } from "./relay-fixture.ts";

/** Confirms a call of some messages after a while, as a broker does. */
function busyTransport(): { readonly transport: Transport; readonly published: Map<string, number>; onPublished: () => void } {
  const published = new Map<string, number>();
  const busy = {
    published,
    onPublished: (): void => undefined,
    transport: {
      publish: async (batch) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        for (const { topic } of batch) published.set(topic, (published.get(topic) ?? 0) + 1);
        busy.onPublished();
        return batch.map(() => ({ kind: "confirmed" }) as const);
      },
      close: () => Promise.resolve(),
    } satisfies Transport,
  };
  return busy;
}

const bounds = { loadedMax: 2_000, batchMax: 100 };

await forEachDatabaseInTurn("reading held back", (server) => {
  const it = itOn(server);

  it("is no second reading: a topic that fills its half of the memory and goes fast is read as it finds room", async ({ fixture }) => {
    await fixture.appendMany(8_000, "'orders', concat('k', n % 200), '{}'");
    const { transport, published } = busyTransport();
    let parked = 0;
    const { relay } = fixture.start({
      ...bounds,
      transport,
      onEvent: (event) => {
        if (event.name === "relay.parked") parked += event.messages;
      },
    });
    await waitUntil(() => published.get("orders") === 8_000, { what: "all are published", deadlineMs: 60_000 });
    expect(parked).toBeLessThan(4_000);
    await fixture.isSaved(8_000);
    expect(relay.health()).toMatchObject({ unconfirmed: 0, parked: 0 });
  });

  it("keeps no other topic waiting, wherever it stands, and none whose transaction ends late", async ({ fixture }) => {
    const late = await fixture.begin();
    await fixture.appendMany(2_000, "'orders', concat('k', n % 200), '{}'");
    await late.append({ topic: "late", type: "t", key: null, payload: "{}", headers: null });
    await fixture.appendMany(14_000, "'orders', concat('k', n % 200), '{}'");
    await fixture.appendMany(10, "'others', null, '{}'");
    const busy = busyTransport();
    const ordersWhen = new Map<string, number>();
    busy.onPublished = () => {
      for (const topic of busy.published.keys()) if (!ordersWhen.has(topic)) ordersWhen.set(topic, busy.published.get("orders") ?? 0);
    };
    fixture.start({ ...bounds, transport: busy.transport });
    await waitUntil(() => (busy.published.get("orders") ?? 0) >= 1_000, { what: "some are published" });
    await late.commit();
    await waitUntil(() => busy.published.get("orders") === 16_000 && busy.published.get("late") === 1, {
      what: "all are published",
      deadlineMs: 60_000,
    });
    expect(ordersWhen.get("others")).toBeLessThan(12_000);
  });
});
