/** Bugs of the inbox: what is handled once, and when it is said so. */
import type { PlantedBug } from "../planted-bug.ts";

export const inboxBugs: readonly PlantedBug[] = [
  {
    name: "ack-before-commit",
    defect: "deliveries are settled when they have arrived, before their effects are committed",
    replacements: [
      {
        packageName: "inbox",
        module: "process-delivery",
        find: "const processed = await Promise.all(processing);",
        replace: 'const processed = await Promise.all(batch.map(() => ({ kind: "done", as: "handled" }))); void processing;',
      },
    ],
    test: {
      project: "server",
      file: "packages/inbox/test/run.test.ts",
      name: "and none is settled before its commit",
      says: "to deeply equal [ 200, 200 ]",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "dedupe-row-apart",
    defect: "the row that says a message was handled is committed before the handler runs, in a transaction of its own",
    replacements: [
      {
        packageName: "inbox",
        module: "delivered-way",
        find: "const claimed = await store.claim(tx, {",
        replace:
          'const claimed = await ((claim) => settings.database.unitOfWork((own) => store.claim(own, claim), { operation: "claim" }).then(({ value }) => value))({',
      },
    ],
    test: {
      project: "server",
      file: "packages/inbox/test/inbox.test.ts",
      name: "a handler that throws leaves nothing, and its message comes again with backoff",
      says: "expected { kind: 'done', as: 'duplicate' } to match object { kind: 'again' }",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "any-error-is-duplicate",
    defect: "whatever the database says against a unit is taken for a message that was handled before",
    replacements: [
      {
        packageName: "inbox",
        module: "handle-message",
        find: "return await afterRollback(attempt, outcome.error, at.phase, deadline);",
        replace:
          'if ("facts" in outcome.error) return { kind: "done", as: "duplicate" }; return await afterRollback(attempt, outcome.error, at.phase, deadline);',
      },
    ],
    test: {
      project: "server",
      file: "packages/inbox/test/inbox.test.ts",
      name: "a handler that swallows an SQL error does not commit",
      says: "expected { kind: 'done', as: 'duplicate' } to match object { kind: 'again', as: 'failed' }",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "retention-below-redelivery",
    defect: "an inbox may forget what it handled sooner than a broker may deliver it again",
    replacements: [
      {
        packageName: "inbox",
        module: "inbox-options",
        find: "...(retentionMs >= redeliveryHorizonMs ? [] :",
        replace: "...(retentionMs > 0 ? [] :",
      },
    ],
    test: {
      project: "unit",
      file: "packages/inbox/src/inbox-options.test.ts",
      name: "a memory shorter than the longest redelivery is refused, unless that is said to be shorter, too",
      says: "expected [] to deeply equal [ 'retentionMs' ]",
    },
    torture: [],
    isQuick: true,
  },
];
