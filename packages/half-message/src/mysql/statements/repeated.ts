/**
 * A part of a statement, so many times: rows of an insert, pairs of a `where`. The text depends on the number of rows and on nothing else.
 *
 * `(producer = ? and id = ?) or (…)`, because a row constructor in a list (`(producer, id) in (…)`) is no range for MariaDB, which then
 * reads, and locks, the whole table.
 */
export function repeated(part: string, count: number, between: string): string {
  return Array.from({ length: count }, () => part).join(between);
}

/**
 * Keys of so many ids for each of some producers; `at` is how the columns' names begin. Values: a producer and its ids, and so on. A list of ids is a range for both
 * servers; a hundred pairs are one, too, but MariaDB takes ten times as long to find out.
 */
export const amongKeys = (counts: readonly number[], at = ""): string =>
  `(${counts.map((count) => `${at}producer = ? and ${at}id in (${repeated("?", count, ", ")})`).join(" or ")})`;

/** Values: producer and id of each. */
export const eitherKey = (count: number): string => `(${repeated("(producer = ? and id = ?)", count, " or ")})`;
