/** What the service counts. Labels are few and fixed: names and outcomes, never ids or keys. */
import { exposition, type Histogram, histogram, type MetricFamily, type MetricLabels } from "@waybill/core";

type Family = Pick<MetricFamily, "kind" | "help">;

export type MetricName =
  | "waybill_half_requests_total"
  | "waybill_half_prepared_total"
  | "waybill_half_decided_total"
  | "waybill_half_conflicts_total"
  | "waybill_half_checks_total"
  | "waybill_half_deliveries_total"
  | "waybill_half_writer_batch_requests"
  | "waybill_half_confirm_delay_seconds"
  | "waybill_half_undecided"
  | "waybill_half_deadline_seconds"
  | "waybill_half_backlog"
  | "waybill_half_breaker_open";

const families: Readonly<Record<MetricName, Family>> = {
  waybill_half_requests_total: { kind: "counter", help: "Calls answered, by route and status." },
  waybill_half_prepared_total: { kind: "counter", help: "Half messages stored, by producer." },
  waybill_half_decided_total: { kind: "counter", help: "Half messages decided, by producer, state and who decided." },
  waybill_half_conflicts_total: { kind: "counter", help: "Decisions that contradicted the one that stood, by producer." },
  waybill_half_checks_total: { kind: "counter", help: "Checks, by producer and result." },
  waybill_half_deliveries_total: { kind: "counter", help: "Attempts to deliver, by destination and outcome." },
  waybill_half_writer_batch_requests: { kind: "histogram", help: "Requests joined into one transaction." },
  waybill_half_confirm_delay_seconds: { kind: "histogram", help: "From the decision to the confirm, by destination." },
  waybill_half_undecided: { kind: "gauge", help: "Undecided half messages, by producer." },
  waybill_half_deadline_seconds: { kind: "gauge", help: "Until the next deadline of an undecided half message, by producer." },
  waybill_half_backlog: { kind: "gauge", help: "Deliveries not done, by destination." },
  waybill_half_breaker_open: { kind: "gauge", help: "1 while a breaker is open, by what it guards." },
};

const edges: Readonly<Partial<Record<MetricName, readonly number[]>>> = {
  waybill_half_writer_batch_requests: [1, 2, 5, 10, 20, 50, 100],
  waybill_half_confirm_delay_seconds: [0.1, 0.5, 1, 5, 30],
};

export interface Metrics {
  count(name: MetricName, labels: MetricLabels, by?: number): void;
  set(name: MetricName, labels: MetricLabels, value: number): void;
  /** There is nothing to say of it any more. */
  forget(name: MetricName, labels: MetricLabels): void;
  observe(name: MetricName, labels: MetricLabels, value: number): void;
  exposition(): string;
}

/** What one set of labels has come to. */
interface Series {
  readonly labels: MetricLabels;
  readonly is: number | Histogram;
}

export function createMetrics(): Metrics {
  const series = new Map<MetricName, Map<string, Series>>();
  const under = (name: MetricName): Map<string, Series> => {
    const known = series.get(name) ?? new Map<string, Series>();
    series.set(name, known);
    return known;
  };
  const keyOf = (labels: MetricLabels): string => JSON.stringify(Object.entries(labels));
  const set = (name: MetricName, labels: MetricLabels, is: Series["is"]): void => void under(name).set(keyOf(labels), { labels, is });
  const find = (name: MetricName, labels: MetricLabels): Series["is"] | undefined => under(name).get(keyOf(labels))?.is;

  return {
    count(name, labels, by = 1) {
      const known = find(name, labels);
      set(name, labels, (typeof known === "number" ? known : 0) + by);
    },
    set,
    forget: (name, labels) => void under(name).delete(keyOf(labels)),
    observe(name, labels, value) {
      const known = find(name, labels);
      const distribution = typeof known === "object" ? known : histogram(edges[name] ?? []);
      distribution.observe(value);
      set(name, labels, distribution);
    },
    exposition: () =>
      exposition(
        (Object.keys(families) as MetricName[]).map((name): MetricFamily => {
          const samples = [...under(name).values()].flatMap(({ labels, is }) =>
            typeof is === "number" ? [{ labels, value: is }] : is.samples(labels),
          );
          return { name, ...families[name], samples };
        }),
      ),
  };
}
