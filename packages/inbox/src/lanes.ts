import type { Lane } from "@waybill/dead-letter";

/** Messages of one lane run one after the other, in the order in which they came; those without a lane wait for nobody. */
export interface Lanes {
  run<T>(lane: Lane | null, task: () => Promise<T>): Promise<T>;
}

export function createLanes(): Lanes {
  const tails = new Map<string, Promise<unknown>>();
  return {
    run(lane, task) {
      if (lane === null) return task();
      const name = laneName(lane);
      const before = tails.get(name);
      const run = before === undefined ? task() : before.then(task, task);
      tails.set(name, run);
      const leave = (): void => {
        if (tails.get(name) === run) tails.delete(name);
      };
      run.then(leave, leave);
      return run;
    },
  };
}

/** Topics and keys hold no U+0000 by the time they are lanes. */
export function laneName({ topic, key }: Lane): string {
  return `${topic}\u0000${key}`;
}
