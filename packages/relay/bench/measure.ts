/** What a stretch of work costs: its time, and the CPU of this process and of the server. */
import type { BenchServer } from "./bench-servers.ts";

export interface Cost {
  readonly ms: number;
  readonly nodeMs: number;
  /** null: the server was not started for this, so its CPU is not ours alone. */
  readonly serverMs: number | null;
}

/** `work` answers its milliseconds, or leaves them to us. */
export async function costOf(server: BenchServer, work: () => Promise<number | void>): Promise<Cost> {
  const serverFromMs = await server.cpuMs();
  const from = process.cpuUsage();
  const startedMs = performance.now();
  const told = await work();
  const ms = told ?? performance.now() - startedMs;
  const { user, system } = process.cpuUsage(from);
  const serverToMs = await server.cpuMs();
  return { ms, nodeMs: (user + system) / 1_000, serverMs: serverFromMs === null || serverToMs === null ? null : serverToMs - serverFromMs };
}

/** Medians of several costs, per message. */
export function perMessage(name: string, costs: readonly Cost[], messages: number): Readonly<Record<string, number>> {
  const of = (values: readonly number[]): number => Math.round((1_000 * 100 * median(values)) / messages) / 100;
  const serverMs = costs.flatMap((cost) => (cost.serverMs === null ? [] : [cost.serverMs]));
  return {
    [`${name} per s`]: Math.round((1_000 * messages) / median(costs.map(({ ms }) => ms))),
    [`${name} node µs`]: of(costs.map(({ nodeMs }) => nodeMs)),
    ...(serverMs.length === 0 ? {} : { [`${name} server µs`]: of(serverMs) }),
  };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
