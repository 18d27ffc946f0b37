/**
 * Some of the writers of load L, in a process of their own that may be killed or stopped at any instruction. One argument: `WriterProgramOptions` as
 * JSON. On stdin `stop`: what is open ends, and the process, too. It tells once a second what it has done, and how long its
 * transactions took that it has committed since.
 *
 *     begin ─▶ debit, which locks the account ─▶ journal, on disk ─▶ transfer row, append ─▶ COMMIT, or one in ten times ROLLBACK ─▶ journal
 */
import { createJournal, digest, type JournalEntry } from "@waybill/auditor";
import { newMessageId, type Random } from "@waybill/core";
import { append } from "@waybill/outbox";
import { connectSession, outcomeOfFailedCommit, type Session, seededRandom, tellParent } from "@waybill/testing";
import { accountsMax, bankMessages, keyOf } from "./bank.ts";
import { createFailpoint, onStdinLine } from "./failpoint.ts";

export interface WriterProgramOptions {
  readonly url: string;
  readonly topic: string;
  /** Belongs to this process alone. */
  readonly journal: string;
  readonly seed: number;
  readonly connections: number;
  /** Of this process, if the machine lets it. */
  readonly perSecond: number;
  /** Of a payload, at least and at most. */
  readonly bytes: readonly [least: number, most: number];
  /** The part that is rolled back on purpose. */
  readonly rollbacks: number;
}

/** One that takes longer loses its connection. */
const transactionDeadlineMs = 10_000;
const tellEveryMs = 1_000;
const retryAfterMs = 100;

const options = JSON.parse(process.argv[2] ?? "{}") as WriterProgramOptions;
const { transferred } = bankMessages(options.topic);
const journal = createJournal(options.journal);
const failpoint = createFailpoint();
const stopping = new AbortController();
const done = { committed: 0, rolledBack: 0, failed: 0 };
let tookMs: number[] = [];

onStdinLine((line) => {
  if (!failpoint.arm(line)) stopping.abort();
});
const alive = setInterval(() => undefined, 60_000); // its stdin alone would not keep it

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

function fillerOf(random: Random): string {
  const [least, most] = options.bytes;
  // Small ones are many and large ones few, as messages are.
  const bytes = Math.round(least * (most / least) ** random.fraction());
  let text = "";
  while (text.length < bytes) text += random.fraction().toString(36).slice(2);
  return text.slice(0, bytes);
}

async function transfer(session: Session, random: Random): Promise<void> {
  const account = Math.floor(random.fraction() * accountsMax);
  const cents = 1 + Math.floor(random.fraction() * 500);
  const isMeant = random.fraction() >= options.rollbacks;
  const messageId = newMessageId();
  const made = transferred({ account, cents, filler: fillerOf(random) }, { id: messageId });

  const beganMs = performance.now();
  await session.run("begin");
  await session.run("update account set cents = cents - ?, version = version + 1 where id = ?", [cents, account]);
  const [row] = await session.run("select version from account where id = ?", [account]);
  const meant: Omit<JournalEntry, "step"> = {
    messageId,
    topic: options.topic,
    key: keyOf(account),
    payloadDigest: digest(made.payload),
    order: Number(row?.["version"]),
  };
  journal.write({ ...meant, step: "intended" });
  await session.run("insert into transfer (message_id, account_id, cents) values (?, ?, ?)", [messageId, account, cents]);
  await append(session.handle, made);
  failpoint.pass("writer.appended");
  if (!isMeant) {
    await session.run("rollback");
    journal.write({ ...meant, step: "rolledBack" });
    done.rolledBack += 1;
    return;
  }
  try {
    const committing = session.run("commit");
    failpoint.pass("writer.committing");
    await committing;
  } catch (error) {
    journal.write({ ...meant, step: outcomeOfFailedCommit(error) });
    throw error;
  }
  failpoint.pass("writer.committed");
  journal.write({ ...meant, step: "committed" });
  done.committed += 1;
  tookMs.push(performance.now() - beganMs);
}

async function write(connection: number): Promise<void> {
  const random = seededRandom(options.seed * 31 + connection);
  let session: Session | null = null;
  const drop = (): void => {
    session?.cut();
    session = null;
  };
  while (!stopping.signal.aborted) {
    const startedMs = performance.now();
    const deadline = setTimeout(drop, transactionDeadlineMs);
    try {
      session ??= await connectSession(options.url);
      await transfer(session, random);
    } catch {
      // The server is away, a link was cut, or we were chosen in a deadlock: the transaction is over, the next one gets a connection of its own.
      done.failed += 1;
      drop();
      await pause(retryAfterMs);
    } finally {
      clearTimeout(deadline);
    }
    await pause((1_000 * options.connections) / options.perSecond - (performance.now() - startedMs));
  }
  await (session as Session | null)?.end().catch(() => undefined);
}

const tell = (): void => {
  tellParent({ name: "writer.done", ...done, tookMs });
  tookMs = [];
};
const ticker = setInterval(tell, tellEveryMs);
await Promise.all(Array.from({ length: options.connections }, (_, connection) => write(connection)));
clearInterval(ticker);
clearInterval(alive);
tell();
journal.close();
process.stdin.destroy();
