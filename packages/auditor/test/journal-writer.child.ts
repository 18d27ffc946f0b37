/** Writes a journal until it is killed, and tells its parent of every entry after the write returned. */
import { setImmediate } from "node:timers/promises";
import { createJournal } from "@waybill/auditor";

const file = process.argv[2];
if (file === undefined) throw new Error("usage: journal-writer <file>");
const journal = createJournal(file);
for (let at = 0; ; at += 1) {
  journal.write({ step: "committed", messageId: String(at), topic: "orders", key: null });
  process.send?.(at);
  await setImmediate();
}
