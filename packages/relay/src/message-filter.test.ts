import { describe, expect, it } from "vitest";
import { describeFilter, filterProblems, messageFilter } from "./message-filter.ts";

const row = (topic: string, type: string) => ({ topic, type });

describe("a filter of messages", () => {
  it("lets everything pass where nothing is asked for", () => {
    expect(messageFilter({})(row("orders", "shop.order.placed.v1"))).toBe(true);
  });

  it("takes whole names, and beginnings with a star at the end", () => {
    const isWanted = messageFilter({ topics: ["orders", "shop.*"] });
    const wanted = ["orders", "shop.", "shop.a", "orders.eu", "order", "SHOP.a"].filter((topic) => isWanted(row(topic, "t")));
    expect(wanted).toEqual(["orders", "shop.", "shop.a"]);
  });

  it("takes everything for a star alone, and a star is no wildcard elsewhere", () => {
    expect(messageFilter({ types: ["*"] })(row("orders", "anything"))).toBe(true);
    expect(filterProblems({ topics: ["a*b"], types: ["**"] }).map(({ option }) => option)).toEqual(["topics", "types"]);
  });

  it("asks both lists", () => {
    const isWanted = messageFilter({ topics: ["orders"], types: ["shop.*"] });
    expect([isWanted(row("orders", "shop.x")), isWanted(row("orders", "other")), isWanted(row("stock", "shop.x"))]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it("leaves no row out for a field that is empty", () => {
    const isWanted = messageFilter({ topics: ["orders"], types: ["shop.*"] });
    expect([isWanted(row("", "")), isWanted(row("", "shop.x")), isWanted(row("orders", ""))]).toEqual([true, true, true]);
  });

  it("refuses empty lists and empty names, which would leave out everything", () => {
    expect(filterProblems({ topics: [], types: [""] }).map(({ option }) => option)).toEqual(["topics", "types"]);
    expect(filterProblems({ topics: ["a"], types: ["b*"] })).toEqual([]);
  });

  it("is described alike however it was ordered", () => {
    expect(describeFilter({ topics: ["b", "a", "b"] })).toEqual([["a", "b"], null]);
  });
});
