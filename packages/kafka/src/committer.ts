/**
 * Commits of one generation: what is settled, told to the group.
 *
 *     settled ──soon──▶ at most every `everyMs`, one at a time ──confirmed──▶ the buffers' windows move on
 *                                                  └── failed ──▶ again, after a backoff: a commit's failure is a value
 *
 * It goes through its generation only, and a generation that is over sends nothing: the coordinator would take a commit for a partition
 * that is somebody else's by now. A commit that was lost means repetitions, never a loss.
 */
import { backoffMs, type Clock, type Random, type Timer, withDeadline } from "@waybill/core";
import type { Generation, OffsetToCommit, TopicPartition } from "./consumer-client.ts";
import { reasonOf } from "./failure-reason.ts";
import type { PartitionBuffer, Prefix } from "./partition-buffer.ts";

export interface Committer {
  soon(): void;
  /** Commits at once what can be. Never rejects; answers whether nothing is left to commit. */
  now(deadlineMs: number): Promise<boolean>;
  /** Nothing more is sent by itself. */
  end(): void;
}

export interface CommitterOptions {
  readonly generation: Generation;
  readonly partitions: () => Iterable<TopicPartition & { readonly buffer: PartitionBuffer | null }>;
  readonly everyMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly onCommitted: () => void;
  readonly onFailed: (reason: string) => void;
}

const deadlineMs = 10_000;
const backoff = { firstMs: 500, maxMs: 5_000 } as const;

export function createCommitter({ generation, partitions, everyMs, clock, random, ...on }: CommitterOptions): Committer {
  let timer: Timer | null = null;
  let underWay = 0;
  let failures = 0;
  let sentMs = Number.NEGATIVE_INFINITY;
  let isOver = false;

  const send = async (deadline: number): Promise<boolean> => {
    const offsets: OffsetToCommit[] = [];
    const prefixes: [PartitionBuffer, Prefix][] = [];
    for (const { topic, partition, buffer } of partitions()) {
      const prefix = buffer?.toCommit() ?? null;
      if (buffer === null || prefix === null) continue;
      offsets.push({ topic, partition, next: prefix.next });
      prefixes.push([buffer, prefix]);
    }
    if (offsets.length === 0) return true;
    underWay += 1;
    sentMs = clock.monotonicMs();
    try {
      const ended = await withDeadline(clock, deadline, generation.commit(offsets));
      if (ended.kind === "late") return failed("deadline");
      failures = 0;
      for (const [buffer, prefix] of prefixes) buffer.committed(prefix);
      on.onCommitted();
      return true;
    } catch (error) {
      return failed(reasonOf(error));
    } finally {
      underWay -= 1;
    }
  };
  const failed = (reason: string): false => {
    failures += 1;
    on.onFailed(reason);
    return false;
  };

  const soon = (): void => {
    if (isOver || timer !== null || underWay > 0) return;
    const pauseMs = failures === 0 ? 0 : backoffMs(backoff, failures, random);
    const dueMs = sentMs + everyMs + pauseMs;
    timer = clock.setTimer(Math.max(0, dueMs - clock.monotonicMs()), () => {
      timer = null;
      send(deadlineMs).then(whatIsLeft, whatIsLeft);
    });
  };
  /** What was settled meanwhile, and what failed. */
  const whatIsLeft = (): void => {
    for (const { buffer } of partitions()) if (buffer !== null && buffer.toCommit() !== null) return soon();
  };

  return {
    soon,
    async now(deadline) {
      timer?.cancel();
      timer = null;
      return send(deadline);
    },
    end() {
      isOver = true;
      timer?.cancel();
      timer = null;
    },
  };
}
