/**
 * A defect that is planted on purpose, to show that something here would notice it. Nothing of this is in what we ship: each is an exact
 * replacement of text in a copy of the packages, and one whose text is no longer there fails loudly.
 *
 * The texts are single lines, or parts of lines, without types, so that they are the same in a package's sources, which tests run from, and in
 * what the compiler makes of them, which child processes run: both are replaced in a copy, and a unit test looks whether each still applies.
 */

/** One replacement in the module `packages/<packageName>/{src,dist}/<module>.{ts,js}`. */
export interface Replacement {
  readonly packageName: string;
  readonly module: string;
  /** Stands there exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** The test that must notice it. */
export interface CatchingTest {
  readonly project: "unit" | "server";
  /** From the root of the repository. */
  readonly file: string;
  /** The whole name of the test, or what all names of a test that runs several times have in common. */
  readonly name: string;
  /** Stands in what the test says when it fails: a test that fails for another reason has not noticed the defect. */
  readonly says: string;
}

export interface PlantedBug {
  readonly name: string;
  /** What is wrong with it, for people. */
  readonly defect: string;
  readonly replacements: readonly Replacement[];
  /** null: a torture run catches it. */
  readonly test: CatchingTest | null;
  /** Databases on which a torture run sees it; empty: it breaks something that such a run does not put to the test. */
  readonly torture: readonly ("postgres" | "mariadb" | "mysql")[];
  /** Caught within a few seconds, by a test that starts no broker and only one database: may be drawn where time is short. */
  readonly isQuick: boolean;
}

/** Where bugs are listed, for whoever changes a line that one of them replaces. */
const place = "tools/planted-bugs/src/bugs";

/** A text with one replacement in it. Throws if what it replaces is not there exactly once. */
export function replaced(text: string, { packageName, module, find, replace }: Replacement): string {
  const parts = text.split(find);
  if (parts.length !== 2) {
    throw new Error(
      `A planted bug no longer applies: packages/${packageName}, module ${module}, has the text ${parts.length - 1} times instead of once:\n  ${find}\n` +
        `Find where the same rule stands now, and say so in ${place}.`,
    );
  }
  return parts.join(replace);
}
