/**
 * Builds that are broken on purpose, one defect each, to show that the torture run would notice it. Nothing of this is in what we ship: each
 * is an exact replacement of text in a copy of the packages, and one whose text is no longer there fails loudly.
 *
 * The texts are single lines, or parts of lines, without types, so that they are the same in a package's sources and in what the compiler makes
 * of them: a test looks in the sources whether each still applies, and a run replaces it in a copy of `dist`.
 */

/** One replacement in the module `packages/<packageName>/{src,dist}/<module>.{ts,js}`. */
export interface Replacement {
  readonly packageName: string;
  readonly module: string;
  /** Stands there exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface BrokenBuild {
  readonly name: string;
  /** What is wrong with it, for people. */
  readonly defect: string;
  /** Databases on which it can be seen. */
  readonly databases: readonly ("postgres" | "mariadb" | "mysql")[];
  readonly replacements: readonly Replacement[];
}

const all = ["postgres", "mariadb", "mysql"] as const;

export const brokenBuilds: readonly BrokenBuild[] = [
  {
    name: "saved-before-confirm",
    defect: "the cursor is saved without the ids that were read and not confirmed yet",
    databases: all,
    replacements: [
      {
        packageName: "relay",
        module: "cursor",
        find: "return { lastId, ranges: uniteRanges(holes, rangesFromIds(ids)) };",
        replace: "return { lastId, ranges: holes };",
      },
    ],
  },
  {
    name: "hole-dead-by-age",
    defect: "a hole is forgotten because it is half a second old",
    databases: all,
    replacements: [
      {
        packageName: "relay",
        module: "hole-watch",
        find: "const dead = await proof.look(connections.upkeep, cursor.holes, { deadlineMs: settings.statementDeadlineMs });",
        replace:
          "proof.seen ??= new Map(); const dead = cursor.holes.filter(({ low, high }) => { const name = `${low}-${high}`; if (!proof.seen.has(name)) proof.seen.set(name, clock.monotonicMs()); return clock.monotonicMs() - proof.seen.get(name) > 500; });",
      },
    ],
  },
  {
    name: "cursor-unfenced",
    defect: "the cursor is saved, and the lease renewed, whoever holds it",
    databases: all,
    replacements: [
      {
        packageName: "relay",
        module: "postgres/statements/renew-lease",
        find: "and epoch = $3::bigint and owner = $4::uuid",
        replace: "and $3::bigint is not null and $4::uuid is not null",
      },
      {
        packageName: "relay",
        module: "mysql/statements/renew-lease",
        find: "and epoch = ? and owner = ?",
        replace: "and ? is not null and ? is not null",
      },
      {
        packageName: "relay",
        module: "postgres/statements/save-cursor",
        find: "and epoch = $3::bigint and owner = $4::uuid",
        replace: "and $3::bigint is not null and $4::uuid is not null",
      },
      {
        packageName: "relay",
        module: "mysql/statements/save-cursor",
        find: "and epoch = ? and owner = ?",
        replace: "and ? is not null and ? is not null",
      },
    ],
  },
  {
    name: "two-statements",
    defect: "holes are read by one statement and what lies beyond the last id by the next",
    databases: all,
    replacements: [
      {
        packageName: "relay",
        module: "reading",
        find: "const batch = await ledger.read(connections.read, {",
        replace:
          "const batch = await (async (connection, asked) => { if (asked.areHolesOnly || asked.holes.length === 0) return ledger.read(connection, asked); const first = await ledger.read(connection, { ...asked, areHolesOnly: true }); if (first.areHolesCut) return first; await wait(clock, 10, session.ended); const rest = await ledger.read(connection, { ...asked, holes: [] }); return { rows: [...first.rows, ...rest.rows], areHolesCut: false }; })(connections.read, {",
      },
    ],
  },
  {
    name: "unknown-is-confirmed",
    defect: "a message of which nobody knows whether it was stored counts as confirmed",
    databases: all,
    replacements: [
      {
        packageName: "relay",
        module: "outcomes",
        find: 'outcome === undefined || outcome.kind === "confirmed"',
        replace: 'outcome === undefined || outcome.kind === "confirmed" || outcome.kind === "unknown"',
      },
    ],
  },
];

/** A text with one replacement in it. Throws if what it replaces is not there exactly once. */
export function replaced(text: string, { packageName, module, find, replace }: Replacement): string {
  const parts = text.split(find);
  if (parts.length !== 2) {
    throw new Error(
      `A broken build no longer applies: packages/${packageName}, module ${module}, has the text ${parts.length - 1} times instead of once:\n  ${find}\n` +
        "Find where the same rule stands now, and say so in tools/torture/src/broken-builds.ts.",
    );
  }
  return parts.join(replace);
}
