/**
 * Prometheus' text format, version 0.0.4, written by ourselves: counters, gauges and histograms with labels that are few and fixed.
 */

export type Labels = Readonly<Record<string, string>>;

export interface Family {
  readonly name: string;
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

interface Sample {
  /** `_bucket`, `_sum`, `_count`, or nothing. */
  readonly suffix?: string;
  readonly labels: Labels;
  readonly value: number | bigint;
}

export const expositionType = "text/plain; version=0.0.4; charset=utf-8";

export function exposition(families: readonly Family[]): string {
  const lines: string[] = [];
  for (const { name, kind, help, samples } of families) {
    if (samples.length === 0) continue;
    lines.push(`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`, `# TYPE ${name} ${kind}`);
    for (const { suffix = "", labels, value } of samples) lines.push(`${name}${suffix}${shown(labels)} ${value}`);
  }
  return `${lines.join("\n")}\n`;
}

function shown(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** How often values fell below each edge. */
export interface Histogram {
  observe(value: number): void;
  samples(labels: Labels): readonly Sample[];
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
