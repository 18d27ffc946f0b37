/**
 * Prometheus' text format, version 0.0.4, written by ourselves: counters, gauges and histograms with labels that are few and fixed. Everything of
 * ours that has metrics writes them here. Pure.
 */

export type MetricLabels = Readonly<Record<string, string>>;

export interface MetricFamily {
  readonly name: string;
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  /** `_bucket`, `_sum`, `_count`, or nothing. */
  readonly suffix?: string;
  readonly labels: MetricLabels;
  readonly value: number | bigint;
}

/** The families of several, each once, with the samples of all: the format allows a family in one place only. */
export function joinFamilies(lists: readonly (readonly MetricFamily[])[]): readonly MetricFamily[] {
  const joined = new Map<string, MetricFamily>();
  for (const family of lists.flat()) {
    const before = joined.get(family.name);
    joined.set(family.name, before === undefined ? family : { ...before, samples: [...before.samples, ...family.samples] });
  }
  return [...joined.values()];
}

/** The content type of what `exposition` writes. */
export const expositionType = "text/plain; version=0.0.4; charset=utf-8";

/** Families as text, in their order. One without samples is left out. */
export function exposition(families: readonly MetricFamily[]): string {
  const lines: string[] = [];
  for (const { name, kind, help, samples } of families) {
    if (samples.length === 0) continue;
    lines.push(`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`, `# TYPE ${name} ${kind}`);
    for (const { suffix = "", labels, value } of samples) lines.push(`${name}${suffix}${shown(labels)} ${value}`);
  }
  return `${lines.join("\n")}\n`;
}

function shown(labels: MetricLabels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** How often values fell below each edge. */
export interface Histogram {
  observe(value: number): void;
  /** What a family of the kind `histogram` has to say of it. */
  samples(labels: MetricLabels): readonly MetricSample[];
}

/** `edges` ascending; what lies above the last one is counted, too. */
export function histogram(edges: readonly number[]): Histogram {
  const counts = edges.map(() => 0);
  let [sum, count] = [0, 0];
  return {
    observe(value) {
      sum += value;
      count += 1;
      const bucket = edges.findIndex((edge) => value <= edge);
      if (bucket !== -1) counts[bucket] = (counts[bucket] ?? 0) + 1;
    },
    samples(labels) {
      let below = 0;
      const buckets = edges.map((edge, bucket) => {
        below += counts[bucket] ?? 0;
        return { suffix: "_bucket", labels: { ...labels, le: String(edge) }, value: below };
      });
      return [
        ...buckets,
        { suffix: "_bucket", labels: { ...labels, le: "+Inf" }, value: count },
        { suffix: "_sum", labels, value: sum },
        { suffix: "_count", labels, value: count },
      ];
    },
  };
}
