/**
 * A database with work in it, relays in processes of their own, a log of what the destination received, and a verdict.
 *
 * The writers note each intent on disk before COMMIT. Each key's writers exclude each other by locking the key's row before they
 * append, so that the auditor may hold the relay to their order.
 */
import { randomBytes } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  audit,
  createJournal,
  digest,
  type Effort,
  readBusinessRows,
  readJournal,
  readLedger,
  readReceivedLog,
  type Verdict,
} from "@waybill/auditor";
import { newMessageId, type WaybillEvent } from "@waybill/core";
import { deadLetterMigrations, redriveDeadLetters } from "@waybill/dead-letter";
import { type AppendOptions, append, outboxMigrations } from "@waybill/outbox";
import { relayMigrations } from "@waybill/relay";
import { type Database, migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import { type Child, startChild, testDatabase, waitUntil } from "@waybill/testing";
import { type Application, connectApplication } from "../application.ts";
import { messages, type Topic } from "./crash-messages.ts";
import { type Load, type LoadOptions, lockKey, startLoad } from "./load.ts";
import type { RelayChildOptions } from "./relay.child.ts";

const program = fileURLToPath(new URL("../../dist-programs/test/crash/relay.child.js", import.meta.url));

export interface Publication {
  readonly relay: number;
  readonly messageId: string;
}

export interface CrashRun {
  readonly url: string;
  readonly database: Database;
  readonly client: Application;
  /** Appends in a transaction of its own, with a business row, and commits or rolls back. Answers the message id. */
  write(topic: Topic, key: string, note: string, end?: "commit" | "rollback"): Promise<string>;
  /** Appends an order that is due at once, and waits until a relay moves it into the ledger. A key must be used for such orders only, or for none. */
  delay(key: string, note: string): Promise<string>;
  /** Writers that go on until they are stopped. */
  load(options?: LoadOptions): Promise<Load>;
  startRelay(options?: Partial<RelayChildOptions>): Promise<Child>;
  /** What was published so far, in order: by which relay's process, which message. */
  published(): Promise<readonly Publication[]>;
  /** Redrives everything that is dead. */
  redrive(): Promise<void>;
  /** Waits until everything that committed was read and finished, and no dead letter is left to publish. */
  quiet(): Promise<void>;
  /** The auditor's word, after everything was stopped. What is asked beyond the faults: `effort`, and the takeovers that were seen. */
  verdict(faults: number, effort?: Effort, takeovers?: number): Promise<Verdict>;
  close(): Promise<void>;
}

/** On `server`, a name of this run's; without one, on its first. */
export async function crashRun(server?: string): Promise<CrashRun> {
  const { url, drop } = await testDatabase(server === undefined ? {} : { server });
  const journalFile = join(tmpdir(), `waybill-journal-${randomBytes(6).toString("hex")}.jsonl`);
  const log = join(tmpdir(), `waybill-received-${randomBytes(6).toString("hex")}.jsonl`);
  const database = openDatabase({ url });
  const space = namespace(database.dialect);
  await migrateUp(database, space, [sqlMigrations, outboxMigrations, deadLetterMigrations, relayMigrations]);
  const client = await connectApplication(url);
  await client.run("create table key_version (name varchar(100) primary key, version int not null)");
  await client.run("create table business (message_id char(36) primary key)");
  const journal = createJournal(journalFile);
  const children: Child[] = [];
  const loads: Load[] = [];

  const noHoles = client.dialect === "postgres" ? "cardinality(s.hole_lo) = 0" : "s.holes = '[]'";
  const quietSql = `
    select 1
    from waybill_subscription as s
    where s.last_id >= (select coalesce(max(id), 0) from waybill_outbox) and ${noHoles}
      and not exists (select 1 from waybill_outbox_delayed)
      and not exists (select 1 from waybill_dead_letter where state in ('dead', 'held', 'released'))
      and not exists (select 1 from waybill_spill)
      and not exists (select 1 from waybill_outbox where type = 'test.old.v1')`;

  const write = async (topic: Topic, key: string, note: string, end: "commit" | "rollback", options: AppendOptions): Promise<string> => {
    const messageId = newMessageId();
    const made = messages[topic]({ key, note }, { id: messageId });
    journal.write({ step: "intended", messageId, topic, key, payloadDigest: digest(made.payload) });
    await client.run("begin");
    await client.run(lockKey, [key]);
    await client.run("insert into business values (?)", [messageId]);
    await append(client.handle, made, options);
    await client.run(end);
    journal.write({ step: end === "commit" ? "committed" : "rolledBack", messageId, topic, key });
    return messageId;
  };

  return {
    url,
    database,
    client,
    write: (topic, key, note, end = "commit") => write(topic, key, note, end, {}),
    delay: (key, note) => write("orders", key, note, "commit", { delayMs: 0 }),
    async startRelay(given = {}) {
      const options: RelayChildOptions = {
        url,
        log,
        leaseMs: 1_000,
        kill: null,
        freezeAtMessage: null,
        isStrict: false,
        repairedKey: null,
        transportName: "",
        spillAfterMs: 60_000,
        ...given,
      };
      const child = await startChild(program, { args: [JSON.stringify(options)] });
      children.push(child);
      return child;
    },
    async load(given) {
      const load = await startLoad(url, journal, given);
      loads.push(load);
      return load;
    },
    async published() {
      const lines = (await readFile(log, "utf8")).split("\n").slice(0, -1); // a line without its end is being written
      return lines.map((line) => JSON.parse(line) as Publication);
    },
    async redrive() {
      await redriveDeadLetters(database, space, { origin: "relay" }, { who: "test", why: "the destination was repaired" });
    },
    async quiet() {
      await waitUntil(async () => (await client.run(quietSql)).length === 1, {
        what: "everything is published and saved",
        deadlineMs: 30_000,
      });
    },
    async verdict(faults, effort = {}, takeovers = 0) {
      const history = {
        ...(await readLedger({ url })),
        intents: await readJournal(journalFile),
        businessRows: await readBusinessRows({ url }, { sql: "select message_id from business" }),
        received: await readReceivedLog(log),
        consumers: [],
        effects: [],
        faults: Array.from({ length: faults }, () => ({ kind: "signal", isObserved: true })),
        takeovers,
      };
      return audit(history, { effort: { ...effort, faultsMin: faults } });
    },
    async close() {
      await Promise.allSettled(loads.map((load) => load.stop())); // a test that ended early has told why already
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(children.map((child) => child.exited));
      await client.end();
      await database.close();
      await drop();
      await Promise.all([rm(journalFile, { force: true }), rm(log, { force: true })]);
    },
  };
}

/** True for an event of this name. */
export function named(name: WaybillEvent["name"]): (event: Readonly<Record<string, unknown>>) => boolean {
  return (event) => event["name"] === name;
}
