/** Bugs of the relay: what it reads, remembers, publishes and gives up. */
import type { PlantedBug } from "../planted-bug.ts";

const everywhere = ["postgres", "mariadb", "mysql"] as const;

export const relayBugs: readonly PlantedBug[] = [
  {
    name: "finished-before-confirm",
    defect: "a message counts as finished when it is taken for a call, before anybody has confirmed it",
    replacements: [
      {
        packageName: "relay",
        module: "publishing",
        find: "takeFrom(lane, batch, { messagesMax, ofLaneMax, bytesMax: settings.batchBytesMax });",
        replace:
          "takeFrom(lane, batch, { messagesMax, ofLaneMax, bytesMax: settings.batchBytesMax }); for (const entry of batch.entries.slice(-lane.inHand)) cursor.finish(entry);",
      },
    ],
    test: {
      project: "server",
      file: "packages/relay/test/holes.test.ts",
      name: "a relay that is stopped while a message hangs leaves it to the next one",
      says: "to match object { lastId: 3, ranges: [ '2-2' ]",
    },
    torture: [],
    isQuick: true,
  },
  {
    name: "in-flight-not-saved",
    defect: "the cursor is saved without the ids that were read and not confirmed yet",
    replacements: [
      {
        packageName: "relay",
        module: "cursor",
        find: "return { lastId, ranges: uniteRanges(holes, rangesFromIds(ids)) };",
        replace: "return { lastId, ranges: holes };",
      },
    ],
    test: {
      project: "unit",
      file: "packages/relay/src/cursor.test.ts",
      name: "a cursor under any schedule of commits, reads, confirms, saves and crashes",
      says: "is in no range of a save and not done",
    },
    torture: everywhere,
    isQuick: true,
  },
  {
    name: "holes-not-saved",
    defect: "the cursor is saved without its holes, so that whoever starts next has forgotten them",
    replacements: [
      {
        packageName: "relay",
        module: "cursor",
        find: "return { lastId, ranges: uniteRanges(holes, rangesFromIds(ids)) };",
        replace: "return { lastId, ranges: rangesFromIds(ids) };",
      },
    ],
    test: {
      project: "unit",
      file: "packages/relay/src/cursor.test.ts",
      name: "a cursor under any schedule of commits, reads, confirms, saves and crashes",
      says: "is in no range of a save and not done",
    },
    torture: [],
    isQuick: true,
  },
  {
    name: "hole-dead-by-age",
    defect: "a hole is forgotten because it is half a second old",
    replacements: [
      {
        packageName: "relay",
        module: "hole-watch",
        find: "const dead = await proof.look(connections.upkeep, cursor.holes, { deadlineMs: settings.statementDeadlineMs });",
        replace:
          "proof.seen ??= new Map(); const dead = cursor.holes.filter(({ low, high }) => { const name = `${low}-${high}`; if (!proof.seen.has(name)) proof.seen.set(name, clock.monotonicMs()); return clock.monotonicMs() - proof.seen.get(name) > 500; });",
      },
    ],
    test: {
      project: "server",
      file: "packages/relay/test/holes.test.ts",
      name: "a write transaction that stays open delays only its own messages, and its hole is not given up",
      says: "expected [ { …(4) } ] to deeply equal []",
    },
    torture: everywhere,
    isQuick: false,
  },
  {
    name: "hole-not-read-again",
    defect: "a hole is forgotten at its proof, without the read that would find what was committed just before",
    replacements: [
      {
        packageName: "relay",
        module: "reading",
        find: "provedDead.push({ ranges: dead, afterRead: sent });",
        replace: 'cursor.forget(dead); session.isDirty = true; session.report({ name: "relay.holesForgotten", ranges: dead.length });',
      },
    ],
    test: {
      project: "server",
      file: "packages/relay/test/holes.test.ts",
      name: "a rolled-back id is forgotten only after it is proven dead, and only after a read that was sent later",
      says: "expected [ 'relay.holesProved' ] to include 'relay.batchReading'",
    },
    torture: [],
    isQuick: true,
  },
  {
    name: "two-statements",
    defect: "holes are read by one statement and what lies beyond the last id by the next",
    replacements: [
      {
        packageName: "relay",
        module: "reading",
        find: "const batch = await ledger.read(connections.read, {",
        replace:
          "const batch = await (async (connection, asked) => { if (asked.areHolesOnly || asked.holes.length === 0) return ledger.read(connection, asked); const first = await ledger.read(connection, { ...asked, areHolesOnly: true }); if (first.areHolesCut) return first; await wait(clock, 10, session.ended); const rest = await ledger.read(connection, { ...asked, holes: [] }); return { rows: [...first.rows, ...rest.rows], areHolesCut: false }; })(connections.read, {",
      },
    ],
    test: null,
    torture: everywhere,
    isQuick: false,
  },
  {
    name: "cursor-unfenced",
    defect: "the cursor is saved, and the lease renewed, whoever holds it",
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
    test: {
      project: "server",
      file: "packages/relay/test/lease.test.ts",
      name: "changes no row: neither a save nor a renewal under another epoch or owner does",
      says: "expected [ true, true, true, true ] to deeply equal [ false, false, false, false ]",
    },
    torture: everywhere,
    isQuick: false,
  },
  {
    name: "memory-kept-over-reconnect",
    defect: "a session that begins anew goes on behind the last id that this process remembers, not behind the saved one",
    replacements: [
      {
        packageName: "relay",
        module: "cursor",
        find: "let lastId = saved.lastId;",
        replace: "let lastId = globalThis.plantedLastId > saved.lastId ? globalThis.plantedLastId : saved.lastId;",
      },
      {
        packageName: "relay",
        module: "cursor",
        find: "lastId = one.id;",
        replace: "lastId = one.id; globalThis.plantedLastId = lastId;",
      },
    ],
    test: {
      project: "server",
      file: "packages/relay/test/restarting.test.ts",
      name: "is dropped with its connections: ids that a crashed server gives out again are read",
      says: "in vain until every surviving row is published",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "finished-before-dead-letter",
    defect: "an id counts as finished before its dead letter is committed",
    replacements: [
      {
        packageName: "relay",
        module: "giving-up",
        find: 'if (!(await insert("dead letter", [letter], entry.isSpilled)))',
        replace: 'cursor.finish(entry); session.isDirty = true; if (!(await insert("dead letter", [letter], entry.isSpilled)))',
      },
    ],
    test: {
      project: "server",
      file: "packages/relay/test/dead-letters.test.ts",
      name: "counts as finished only when its copy is durable: nothing is lost while the table cannot be written",
      says: "expected 3n to be 1n",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "unknown-is-confirmed",
    defect: "a message of which nobody knows whether it was stored counts as confirmed",
    replacements: [
      {
        packageName: "relay",
        module: "outcomes",
        find: 'outcome === undefined || outcome.kind === "confirmed"',
        replace: 'outcome === undefined || outcome.kind === "confirmed" || outcome.kind === "unknown"',
      },
    ],
    test: {
      project: "unit",
      file: "packages/relay/src/outcomes.test.ts",
      name: "an unknown outcome is told from a retry: the receiver may have the message",
      says: "expected { kind: 'done' } to match object",
    },
    torture: everywhere,
    isQuick: true,
  },
  {
    name: "key-goes-on-after-unknown",
    defect: "a message with an unknown outcome goes to the end of its key, and those behind it are published first",
    replacements: [
      {
        packageName: "relay",
        module: "publishing",
        find: "head.attempts += 1;",
        replace: "head.attempts += 1; if (verdict.mayBeStored) lane.entries.push(lane.entries.shift());",
      },
    ],
    test: {
      project: "server",
      file: "packages/relay/test/backing-off.test.ts",
      name: "is published again when its outcome is unknown",
      says: "expected [ 1, 2, 1 ] to deeply equal [ 1, 1, 2 ]",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "zombie-not-checked",
    defect: "the lease is not asked before a publish",
    replacements: [
      {
        packageName: "relay",
        module: "calling",
        find: "!session.ended.aborted && lease.isTrusted();",
        replace: "true;",
      },
    ],
    test: {
      project: "server",
      file: "packages/relay/test/lease.test.ts",
      name: "that was frozen longer than its lease publishes nothing before it has taken it anew",
      says: "to not include false",
    },
    torture: [],
    isQuick: false,
  },
  {
    name: "redrive-with-new-id",
    defect: "a redriven dead letter is published under an id of its own",
    replacements: [
      {
        packageName: "relay",
        module: "outgoing",
        find: "id: letter.messageId,",
        replace: "id: `${letter.messageId}-again`,",
      },
    ],
    test: {
      project: "unit",
      file: "packages/relay/src/outgoing.test.ts",
      name: "a released dead letter goes out with its first id and place",
      says: "expected { id: 'm7-again'",
    },
    torture: [],
    isQuick: true,
  },
];
