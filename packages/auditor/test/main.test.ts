import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digest } from "../src/digest.ts";
import type { History } from "../src/history.ts";
import { formatHistory } from "../src/parse-history.ts";

const program = fileURLToPath(new URL("../dist/main.js", import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "waybill-auditor-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const payloadDigest = digest("{}");
const history: History = {
  intents: [{ messageId: "m", topic: "orders", key: "a", outcome: "committed" }],
  ledger: [{ sequence: 1n, messageId: "m", type: "t", topic: "orders", key: "a", payloadDigest }],
  subscriptions: [{ subscription: "default", lastId: 1n, openRanges: [], owner: null, isLeaseValid: false }],
  received: [{ subscription: "default", messageId: "m", payloadDigest }],
  deadLetters: [],
  consumers: [],
  effects: [],
};

async function runAudit(text: string, ...flags: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const file = join(folder, "history.json");
  writeFileSync(file, text);
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [program, file, ...flags], { timeout: 30_000 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== "number") reject(error);
      else resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe("waybill-audit", () => {
  it("prints the verdict and tells it by its exit code", async () => {
    const passed = await runAudit(formatHistory(history));
    expect(passed.code).toBe(0);
    expect(JSON.parse(passed.stdout)).toMatchObject({ verdict: "passed", counts: { committed: 1, published: 1 } });
    const failed = await runAudit(formatHistory({ ...history, received: [] }));
    expect(failed.code).toBe(1);
    expect(JSON.parse(failed.stdout)).toMatchObject({ verdict: "failed", counts: { lost: 1 } });
    const inconclusive = await runAudit(formatHistory(history), "--faults-min", "1");
    expect(inconclusive.code).toBe(3);
    expect(JSON.parse(inconclusive.stdout)).toMatchObject({ verdict: "inconclusive" });
  });

  it("refuses what is no history and what is no option", async () => {
    const wrong: readonly (readonly [string, ...string[]])[] = [
      ["{"],
      ["{}"],
      [formatHistory(history), "--faults-min", "x"],
      [formatHistory(history), "--fault-min", "1"],
      [formatHistory(history), "another.json"],
    ];
    for (const [text, ...flags] of wrong) {
      const { code, stdout, stderr } = await runAudit(text, ...flags);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain("usage");
    }
  });
});
