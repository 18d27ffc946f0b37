/**
 * A part of a statement, so many times: rows of an insert, pairs of a `where`. The text depends on the number of rows and on nothing else.
 *
 * `(producer = ? and id = ?) or (…)`, because a row constructor in a list (`(producer, id) in (…)`) is no range for MariaDB, which then
 * reads, and locks, the whole table.
 */
export function repeated(part: string, count: number, between: string): string {
  return Array.from({ length: count }, () => part).join(between);
}

/** Values: producer and id of each. */
export const eitherKey = (count: number): string => `(${repeated("(producer = ? and id = ?)", count, " or ")})`;
