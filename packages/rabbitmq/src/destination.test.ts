import type { ConfigProblem, OutgoingMessage } from "@waybill/core";
import { describe, expect, test } from "vitest";
import { type DestinationOptions, destinations } from "./destination.ts";

const message = (topic: string, key: string | null): OutgoingMessage => ({
  id: "0198c0de-0000-7000-8000-000000000000",
  type: "shop.order.placed.v1",
  topic,
  key,
  headers: new Map(),
  payload: null,
  sequence: 1n,
  createdAtMs: 0,
});

const problemsOf = (options: DestinationOptions): readonly string[] => {
  const problems: ConfigProblem[] = [];
  destinations(options, problems);
  return problems.map(({ option }) => option);
};

describe("a topic", () => {
  test("goes to the exchange of its name, under its name", () => {
    expect(destinations({}, []).routeOf(message("orders", "42"))).toEqual({ exchange: "orders", routingKey: "orders" });
  });

  test("goes where its entry says", () => {
    const to = destinations({ topics: { orders: { exchange: "shop", routingKey: "shop.orders" } } }, []);
    expect(to.routeOf(message("orders", null))).toEqual({ exchange: "shop", routingKey: "shop.orders" });
    expect(to.routeOf(message("payments", null))).toEqual({ exchange: "payments", routingKey: "payments" });
    expect(to.exchanges).toEqual(["shop"]);
  });

  test("with partitions goes to the one that Kafka's Java client would choose for the key", () => {
    const to = destinations({ partitions: 7 }, []);
    // 501153024 mod 7
    expect(to.routeOf(message("orders", "order-42"))).toEqual({ exchange: "orders", routingKey: "orders.1" });
    // (-973932308 & 0x7fffffff) mod 7
    expect(to.routeOf(message("orders", "21")).routingKey).toBe("orders.3");
  });

  test("with partitions spreads messages without a key over all of them", () => {
    const to = destinations({ topics: { orders: { partitions: 3 } } }, []);
    const seen = Array.from({ length: 30 }, () => to.routeOf(message("orders", null)).routingKey);
    expect([...new Set(seen)].toSorted()).toEqual(["orders.0", "orders.1", "orders.2"]);
  });

  test("that is listed without partitions has none, whatever the others have", () => {
    expect(destinations({ topics: { orders: {} }, partitions: 4 }, []).routeOf(message("orders", "a")).routingKey).toBe("orders");
  });
});

test("what is wrong is named by its option", () => {
  expect(
    problemsOf({
      topics: { "no/topic": {}, a: { exchange: "x".repeat(256) }, b: { routingKey: "x".repeat(251) }, c: { partitions: 0 } },
      partitions: 1.5,
    }),
  ).toEqual(["partitions", "topics.no/topic", "topics.a.exchange", "topics.b.routingKey", "topics.c.partitions"]);
});
