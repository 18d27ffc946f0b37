/**
 * What a writer's process meant and learnt, in the auditor's journal format. Unlike the auditor's own journal it does not wait for the disk:
 * we kill processes, and what a killed process has handed to the kernel is not lost.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import type { JournalEntry, TransactionOutcome } from "@waybill/auditor";

/** A message as it is journaled. */
export type Meant = Omit<JournalEntry, "step">;

export interface Notebook {
  /** Before COMMIT is sent. */
  intend(messages: readonly Meant[]): void;
  conclude(messages: readonly Meant[], outcome: TransactionOutcome): void;
  close(): void;
}

export function openNotebook(file: string): Notebook {
  const descriptor = openSync(file, "a");
  const write = (step: JournalEntry["step"], messages: readonly Meant[]): void => {
    const lines = messages.map((message) => `${JSON.stringify({ ...message, step })}\n`);
    if (lines.length > 0) writeSync(descriptor, lines.join(""));
  };
  return {
    intend: (messages) => write("intended", messages),
    conclude: (messages, outcome) => write(outcome, messages),
    close: () => closeSync(descriptor),
  };
}
