import type { Identifier } from "@waybill/sql";

/**
 * The topics of rows of a reader that are dead or released: origin · reader · origin · reader. Told apart as bytes. Served by the index on state.
 */
export const undecidedTopics = (letters: Identifier): string => `
  select convert(topic using utf8mb4) as topic
  from (
    select cast(topic as binary) as topic
    from ${letters} as letter force index (state)
    where letter.origin = ? and letter.reader = ? and letter.state = 'dead'
    union
    select cast(topic as binary)
    from ${letters} as letter force index (state)
    where letter.origin = ? and letter.reader = ? and letter.state = 'released'
  ) as undecided`;
