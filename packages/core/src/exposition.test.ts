import { describe, expect, test } from "vitest";
import { exposition, histogram } from "./exposition.ts";

describe("exposition", () => {
  test("families are written as the text format says, with escaped labels", () => {
    const families = [
      { name: "a_total", kind: "counter", help: "one\nline \\", samples: [{ labels: { x: 'q"\\\n' }, value: 3n }] },
      { name: "empty", kind: "gauge", help: "", samples: [] },
      { name: "plain", kind: "gauge", help: "no labels", samples: [{ labels: {}, value: 0.5 }] },
    ] as const;
    expect(exposition(families)).toBe(
      '# HELP a_total one\\nline \\\\\n# TYPE a_total counter\na_total{x="q\\"\\\\\\n"} 3\n# HELP plain no labels\n# TYPE plain gauge\nplain 0.5\n',
    );
  });

  test("a histogram counts what lies at or below each edge, and everything", () => {
    const seconds = histogram([1, 5]);
    for (const value of [0.5, 1, 1.1, 5, 99]) seconds.observe(value);
    expect(seconds.samples({}).map(({ suffix, labels, value }) => [suffix, labels["le"], value])).toEqual([
      ["_bucket", "1", 2],
      ["_bucket", "5", 4],
      ["_bucket", "+Inf", 5],
      ["_sum", undefined, 106.6],
      ["_count", undefined, 5],
    ]);
  });
});
