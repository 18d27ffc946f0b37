import type { Identifier } from "@waybill/sql";

/** The topics of rows of reader $2 of origin $1 that are dead or released. Served by the indexes of dead and of released rows. */
export const undecidedTopics = (letters: Identifier): string => `
  select topic from ${letters} where origin = $1 and reader = $2 and state = 'dead'
  union
  select topic from ${letters} where origin = $1 and reader = $2 and state = 'released'`;
