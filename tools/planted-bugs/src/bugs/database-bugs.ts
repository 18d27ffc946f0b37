/** Bugs of what the others stand on: units of work, connections, leases, and the proof that an id will never have a row. */
import type { PlantedBug } from "../planted-bug.ts";

export const databaseBugs: readonly PlantedBug[] = [
  {
    name: "hole-dead-by-a-look",
    defect: "on MySQL and MariaDB a hole is dead because a look found neither a row nor a lock in it, and its ids are not taken",
    replacements: [
      {
        packageName: "outbox",
        module: "mysql/fence",
        find: "import { intersectRanges, subtractRanges } from",
        replace: "import { intersectRanges, subtractRanges, uniteRanges } from",
      },
      {
        packageName: "outbox",
        module: "mysql/fence",
        find: "await connection.execute(fenceIds(outbox, ids), [], { deadlineMs });",
        replace: "void fenceIds;",
      },
      {
        packageName: "outbox",
        module: "mysql/fence",
        find: "return removed;",
        replace: "return uniteRanges(removed, state.taken);",
      },
    ],
    test: {
      project: "server",
      file: "packages/outbox/test/mysql/fence.test.ts",
      name: "a paused writer that meets the fence is told with 1062, and nothing of it is there",
      says: "promise resolved",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "prepared-forgotten",
    defect: "on PostgreSQL a hole is dead when its writers are gone, although one of them has only been prepared",
    replacements: [
      {
        packageName: "outbox",
        module: "postgres/hole-proof",
        find: "? waitForPrepared(look.prepared) : phase;",
        replace: '? { kind: "proved" } : phase;',
      },
    ],
    test: {
      project: "unit",
      file: "packages/outbox/src/postgres/hole-proof.test.ts",
      name: "a writer that became prepared is waited for under its new name",
      says: "to deeply equal []",
    },
    torture: [],
    isQuick: true,
  },
  {
    name: "commit-tag-ignored",
    defect: "a COMMIT that is answered with ROLLBACK counts as committed",
    replacements: [
      {
        packageName: "sql",
        module: "unit-of-work",
        find: 'if (answer.ended === "committed")',
        replace: "if (answer.ended !== null)",
      },
    ],
    test: {
      project: "server",
      file: "packages/sql/test/unit-of-work.test.ts",
      name: "a COMMIT that PostgreSQL answers with ROLLBACK is rolledBack",
      says: "expected 'committed' to be 'rolledBack'",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "continue-after-1205",
    defect: "on MySQL and MariaDB a wait for a lock that ran out is forgotten, and the half of the unit that is left is committed",
    replacements: [
      {
        packageName: "sql",
        module: "poison",
        find: "first = error;",
        replace: "first = error.facts?.errno === 1205 ? null : error;",
      },
    ],
    test: {
      project: "server",
      file: "packages/sql/test/mysql-defects.test.ts",
      name: "M2 a lock wait that ran out undoes one statement only: the unit keeps nothing, although its work swallowed the error",
      says: "expected 'committed' to be 'rolledBack'",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "deadline-without-destroy",
    defect: "a connection whose statement was given up is used by the next caller",
    replacements: [
      {
        packageName: "sql",
        module: "session-guard",
        find: 'lose("WAYBILL_DEADLINE", terminated());',
        replace: "void terminated;",
      },
    ],
    test: {
      project: "server",
      file: "packages/sql/test/connections.test.ts",
      name: "P4, M1 a statement past its deadline is given up, its connection is destroyed and the next caller gets another",
      says: "expected [] to deeply equal [ Array(1) ]",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "wall-clock-in-lease",
    defect: "a lease is trusted by the wall clock, which may be set back",
    replacements: [
      {
        packageName: "sql",
        module: "lease",
        find: "let trustedUntilMs = options.acquiredFromMs + trustMs;",
        replace: "let trustedUntilMs = options.acquiredFromMs + trustMs; const plantedMs = clock.wallMs() - clock.monotonicMs();",
      },
      {
        packageName: "sql",
        module: "lease",
        find: "if (clock.monotonicMs() < trustedUntilMs)",
        replace: "if (clock.wallMs() - plantedMs < trustedUntilMs)",
      },
    ],
    test: {
      project: "unit",
      file: "packages/sql/src/lease.test.ts",
      name: "a wall clock that is set back, or forward, changes no trust",
      says: "expected false to be true",
    },
    torture: [],
    isQuick: true,
  },
  {
    name: "payload-in-error",
    defect: "the driver's error, which quotes values, is the cause of ours",
    replacements: [
      {
        packageName: "sql",
        module: "postgres/database-error",
        find: "return withFields(`PostgreSQL answered SQLSTATE ${sqlState}.`, { code: sqlState, ...pick(facts, namingFields) });",
        replace: "return error;",
      },
    ],
    test: {
      project: "unit",
      file: "packages/sql/src/postgres/database-error.test.ts",
      name: "what the server quotes is nowhere in the error, its cause or its stack; names and codes are",
      says: "not to contain '4929-canary'",
    },
    torture: [],
    isQuick: true,
  },
];
