import type { Identifier } from "@waybill/sql";

/**
 * Empties one partition and gives its disk space back. Locks that partition alone, so that a writer of another one is not in its way, nor it in
 * the writer's; whoever reads it makes this wait.
 */
export const truncatePartition = (partition: Identifier): string => `truncate table ${partition}`;
