/**
 * Which messages a reader is for, by topic and type.
 *
 * Asked of rows that were read, never of the database: a row that SQL left out would look like an id that nobody used. What a filter leaves out is
 * finished the moment it is read, so that the cursor passes over it.
 */
import type { ConfigProblem } from "@waybill/core";

export interface MessageFilter {
  /** Topics: whole names, or how they begin with `*` at the end (`shop.*`). Left out: all of them. */
  readonly topics?: readonly string[];
  /** Message types, in the same way. A message must fit both lists. */
  readonly types?: readonly string[];
}

const patternsMax = 1_000;

/** One or more characters, `*` only as the last of them. */
const patternShape = /^[^*]+\*?$|^\*$/;

/**
 * Makes the question. A row without topic or type fits every list: it is a fence, or can be published by nobody and becomes a dead letter of each
 * reader rather than of none.
 */
export function messageFilter({ topics, types }: MessageFilter): (row: { readonly topic: string; readonly type: string }) => boolean {
  const isTopic = matcher(topics);
  const isType = matcher(types);
  return ({ topic, type }) => isTopic(topic) && isType(type);
}

/** What is wrong with a filter, by option. */
export function filterProblems(filter: MessageFilter): readonly ConfigProblem[] {
  return (["topics", "types"] as const).flatMap((option) => {
    const patterns = filter[option];
    if (patterns === undefined) return [];
    if (patterns.length === 0) return [{ option, problem: "at least one name, or left out for all" }];
    const isFine = patterns.length <= patternsMax && patterns.every((pattern) => patternShape.test(pattern));
    return isFine ? [] : [{ option, problem: `at most ${patternsMax} names, each whole or with * at its end only` }];
  });
}

/** The same filter in the same words, whatever the order in which it was given. */
export function describeFilter({ topics, types }: MessageFilter): readonly (readonly string[] | null)[] {
  return [topics, types].map((patterns) => (patterns === undefined ? null : [...new Set(patterns)].sort()));
}

function matcher(patterns: readonly string[] | undefined): (name: string) => boolean {
  if (patterns === undefined) return () => true;
  const names = new Set(patterns.filter((pattern) => !pattern.endsWith("*")));
  const beginnings = patterns.filter((pattern) => pattern.endsWith("*")).map((pattern) => pattern.slice(0, -1));
  return (name) => name === "" || names.has(name) || beginnings.some((beginning) => name.startsWith(beginning));
}
