import { describe, expect, test } from "vitest";
import { lanesByTopic } from "./lanes-by-topic.ts";
import type { OutgoingMessage } from "./message.ts";

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

describe("lanes", () => {
  test("messages of one topic and key share a lane in the order given; without key each is by itself", () => {
    const batch = [
      message("a", "1"),
      message("a", null),
      message("b", "1"),
      message("a", "2"),
      message("a", "1"),
      message("a", null),
      message("b", "1"),
    ];
    expect([...lanesByTopic(batch)]).toEqual([
      ["a", [[0, 4], [1], [3], [5]]],
      ["b", [[2, 6]]],
    ]);
  });
});
