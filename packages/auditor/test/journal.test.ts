import { fork } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AuditInputError } from "../src/audit-input-error.ts";
import type { TransactionOutcome } from "../src/history.ts";
import { createJournal, createReceivedLog, type JournalEntry, readJournal, readReceivedLog } from "../src/journal.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "waybill-auditor-"));
  file = join(folder, "writer.jsonl");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const entry = (messageId: string, step: JournalEntry["step"]): JournalEntry => ({ step, messageId, topic: "orders", key: "k" });

function journal(...steps: readonly JournalEntry["step"][]): void {
  const writer = createJournal(file);
  for (const step of steps) writer.write(entry("m", step));
  writer.close();
}

describe("what a journal says of a message", () => {
  const cases: readonly (readonly [TransactionOutcome, ...(readonly JournalEntry["step"][])])[] = [
    ["committed", "intended", "committed"],
    ["rolledBack", "intended", "rolledBack"],
    ["unknown", "intended", "unknown"],
    ["unknown", "intended"],
    ["committed", "intended", "rolledBack", "intended", "committed"],
    ["committed", "intended", "unknown", "intended", "committed"],
    ["committed", "intended", "committed", "intended", "rolledBack"],
    ["unknown", "intended", "unknown", "intended", "rolledBack"],
    ["unknown", "intended", "intended", "rolledBack"],
    ["unknown", "intended", "rolledBack", "intended"],
    ["committed", "intended", "unknown", "committed"],
    ["rolledBack", "intended", "unknown", "rolledBack"],
  ];
  for (const [outcome, ...steps] of cases) {
    it(`is ${outcome} after ${steps.join(", ")}`, async () => {
      journal(...steps);
      expect(await readJournal(file)).toEqual([{ messageId: "m", topic: "orders", key: "k", outcome }]);
    });
  }

  it("keeps the committed attempt's content", async () => {
    const writer = createJournal(file);
    writer.write({ ...entry("m", "intended"), payloadDigest: "first", order: 1 });
    writer.write(entry("m", "rolledBack"));
    writer.write({ ...entry("m", "intended"), payloadDigest: "second", order: 2 });
    writer.write(entry("m", "committed"));
    writer.write({ ...entry("m", "intended"), payloadDigest: "third", order: 3 });
    writer.close();
    expect(await readJournal(file)).toEqual([
      { messageId: "m", topic: "orders", key: "k", outcome: "committed", payloadDigest: "second", order: 2 },
    ]);
  });

  it("goes on in the next file", async () => {
    journal("intended");
    const next = join(folder, "next.jsonl");
    const writer = createJournal(next);
    writer.write(entry("m", "committed"));
    writer.write(entry("n", "intended"));
    writer.close();
    expect((await readJournal(file, next)).map((each) => [each.messageId, each.outcome])).toEqual([
      ["m", "committed"],
      ["n", "unknown"],
    ]);
  });

  it("may not change its topic or key", async () => {
    const writer = createJournal(file);
    writer.write(entry("m", "intended"));
    writer.write({ ...entry("m", "committed"), key: "other" });
    writer.close();
    await expect(readJournal(file)).rejects.toThrow(AuditInputError);
  });
});

describe("a killed writer's journal", () => {
  it("loses at most the entry that was being written, wherever it was cut", async () => {
    const writer = createJournal(file);
    const ids = ["m1", "münze", "m3"];
    for (const id of ids) writer.write(entry(id, "committed"));
    writer.close();
    const whole = readFileSync(file);
    for (let length = whole.length; length >= 0; length -= 1) {
      truncateSync(file, length);
      const complete = whole.subarray(0, length + 1).filter((byte) => byte === 0x0a).length; // an entry is whole with or without its newline
      expect((await readJournal(file)).map((each) => each.messageId)).toEqual(ids.slice(0, complete));
    }
  });

  it("can be opened again, and nothing torn stays in its middle", async () => {
    const writer = createJournal(file);
    for (const id of ["m1", "m2"]) writer.write(entry(id, "committed"));
    writer.close();
    const whole = readFileSync(file);
    for (let length = 0; length <= whole.length; length += 1) {
      writeFileSync(file, whole.subarray(0, length));
      const before = (await readJournal(file)).map((each) => each.messageId);
      const next = createJournal(file);
      next.write(entry("next", "committed"));
      next.close();
      expect((await readJournal(file)).map((each) => each.messageId)).toEqual([...before, "next"]);
    }
  });

  it("holds every entry whose write had returned before the kill", async () => {
    const child = fork(new URL("../dist-programs/test/journal-writer.child.js", import.meta.url), [file]);
    let last = -1;
    await new Promise<void>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, signal) => (signal === "SIGKILL" ? resolve() : reject(new Error(`exit ${code}`))));
      child.on("message", (at: number) => {
        last = at;
        if (at === 50) child.kill("SIGKILL");
      });
    });
    const intents = await readJournal(file);
    expect(intents.length).toBeGreaterThan(last);
    expect(intents.map((each) => each.messageId)).toEqual(intents.map((_, at) => String(at)));
  });
});

describe("a file that was not only torn", () => {
  it("is an input error that names the line and tells nothing of it", async () => {
    journal("intended");
    appendFileSync(file, '{"messageId":"canary\n{"step":"committed","messageId":"m","topic":"orders","key":"k"}\n');
    const error = await readJournal(file).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(AuditInputError);
    expect(String(error)).toContain("writer.jsonl:2");
    expect(String(error)).not.toContain("canary");
  });

  it("is an input error when a field is missing or wrong", async () => {
    for (const line of [
      '{"step":"committed"}',
      '{"step":"done","messageId":"m","topic":"t","key":null}',
      '{"step":"committed","messageId":"m","topic":"t"}',
      "[]",
    ]) {
      writeFileSync(file, `${line}\n`);
      await expect(readJournal(file)).rejects.toThrow(AuditInputError);
    }
  });
});

describe("a destination's log", () => {
  it("keeps order, repetitions and 64-bit sequences", async () => {
    const log = createReceivedLog(file);
    const record = {
      subscription: "default",
      messageId: "m",
      payloadDigest: "d",
      topic: "orders",
      key: null,
      sequence: 9_007_199_254_740_993n,
    };
    log.write(record);
    log.write({ subscription: "default", messageId: "n", payloadDigest: "e" });
    log.write(record);
    log.close();
    log.close();
    expect(await readReceivedLog(file)).toEqual([record, { subscription: "default", messageId: "n", payloadDigest: "e" }, record]);
  });
});
