/** Bugs of half messages: what decides one, and what does not. */
import type { PlantedBug } from "../planted-bug.ts";

export const halfMessageBugs: readonly PlantedBug[] = [
  {
    name: "status-is-a-decision",
    defect: "a producer that answers a check with an error's status counts as one that has rolled back",
    replacements: [
      {
        packageName: "half-message",
        module: "check-back/push",
        find: "if (answer.status !== 200)",
        replace:
          'if (answer.status >= 400) return { kind: "answered", answers: new Map(checks.map(({ id, token, barrier }) => [id, { id, token, barrier, decision: "rolled_back", binding: true }])) }; if (answer.status !== 200)',
      },
    ],
    test: {
      project: "server",
      file: "packages/half-message/test/check-back.test.ts",
      name: "H15 a check endpoint that gives anything but an answer leaves it prepared, at the deadline suspended, with an alert, never decided",
      says: " to be 9 ",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "unbinding-rollback",
    defect: "a half message is rolled back by an answer that nothing keeps true",
    replacements: [
      {
        packageName: "half-message",
        module: "decision",
        find: 'return decision === "rolled_back" && isBinding ?',
        replace: 'return decision === "rolled_back" || isBinding ?',
      },
    ],
    test: {
      project: "unit",
      file: "packages/half-message/src/check-schedule.test.ts",
      name: "only committed, or a binding rollback, under the lease's token and about the same barrier",
      says: "expected { kind: 'decide', to: 'rolled_back' } to match object",
    },
    torture: [],
    isQuick: true,
  },
  {
    name: "barrier-by-select",
    defect: "a check looks whether the local transaction has committed, and writes nothing that keeps it from committing later",
    replacements: [
      {
        packageName: "half-message",
        module: "settle",
        find: "await tables.fence(tx, producer, ids);",
        replace: "void tables.fence;",
      },
      {
        packageName: "half-message",
        module: "settle",
        find: '{ kind: "pending", why: "present" } : factOf(fate)',
        replace: '{ kind: "rolledBack" } : factOf(fate)',
      },
    ],
    test: {
      project: "server",
      file: "packages/half-message/test/barrier.test.ts",
      name: "in a transaction of 'pg' at 'read committed' after a fence it throws WAYBILL_FENCED and cannot commit a thing",
      says: "expected 'none' to be 'WAYBILL_FENCED'",
    },
    torture: [],
    isQuick: false,
  },
];
