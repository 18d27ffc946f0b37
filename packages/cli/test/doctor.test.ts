/** `waybill doctor` on servers that are well, badly set up, or not there. */
import { createServer, type Server } from "node:tls";
import {
  forEachDatabaseInTurn,
  freePort,
  selfSigned,
  startKafka,
  startMariadb,
  startRabbitmq,
  type TestDatabase,
  testBroker,
  testDatabase,
} from "@waybill/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type BrokerTopic, kafkaTopic, rabbitmqTopic } from "./broker-topic.ts";
import { emptyTables, insertMessages, isMysql, migrate, query } from "./fixtures.ts";
import { waybill } from "./waybill.ts";

interface Finding {
  readonly level: "ok" | "warned" | "refused";
  readonly subject: string;
  readonly rule: string;
  readonly found: string;
}

interface Diagnosis {
  readonly code: number | null;
  /** `refused replicas: topic orders` */
  readonly findings: readonly string[];
  readonly all: readonly Finding[];
  readonly configuration: readonly { readonly name: string; readonly value: string; readonly source: string }[];
  /** Everything it printed. */
  readonly output: string;
}

async function doctor(commandLine: readonly string[], environment: Readonly<Record<string, string>>): Promise<Diagnosis> {
  const { code, stdout, stderr } = await waybill(["doctor", "--json", ...commandLine], environment);
  type Printed = { readonly findings: readonly Finding[]; readonly configuration: Diagnosis["configuration"] };
  const { findings: all, configuration } = stdout === "" ? { findings: [], configuration: [] } : (JSON.parse(stdout) as Printed);
  const findings = all.filter(({ level }) => level !== "ok").map(({ level, subject, rule }) => `${level} ${rule}: ${subject}`);
  return { code, findings, all, configuration, output: stdout + stderr };
}

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

await forEachDatabaseInTurn("cli doctor", (server) =>
  describe(`waybill doctor on ${server.name}`, () => {
    let database: TestDatabase;
    let environment: Record<string, string>;
    beforeAll(async () => {
      database = await testDatabase({ server: server.name });
      environment = { WAYBILL_DATABASE: database.url };
    });
    afterAll(() => database.drop());

    test("tables that are missing are refused, with 1; a whole database is fine, with 0", async () => {
      const before = await doctor([], environment);
      expect(before.code).toBe(1);
      expect(before.findings).toContain("refused schema: tables of outbox");
      await migrate(database.url);
      const after = await doctor([], environment);
      expect(after.findings.filter((finding) => finding.startsWith("refused"))).toEqual([]);
      expect(after.code).toBe(0);
      expect(after.all[0]).toMatchObject({ level: "ok", rule: "reachable", found: expect.stringMatching(/transaction_isolation = /) });
      expect(after.all).toContainEqual(expect.objectContaining({ level: "ok", subject: "ledger default", rule: "facts" }));
      const shown = await waybill(["doctor"], environment);
      expect(shown.stdout).toMatch(/^ok +tables of outbox +schema/m);
      expect(shown.stdout).toMatch(/^database +\[redacted\] +environment$/m);
    });

    test("what consumers have not confirmed is shown, and a warning once it was sent again or given up", async () => {
      await migrate(database.url);
      const found = async (): Promise<Finding | undefined> =>
        (await doctor([], environment)).all.find(({ rule }) => rule === "confirmations");
      expect(await found()).toMatchObject({ level: "ok", found: "0 waited for, 0 sent again, 0 given up" });
      const confirmation = `insert into waybill_confirmation (message_id, consumer, stream, within_ms, due_at, repeats, type, topic)
        values ('00000000-0000-4000-8000-000000000001', 'inventory', 'default', 60000, current_timestamp, 1, 't.v1', 'orders')`;
      const letter = `insert into waybill_dead_letter (origin, reader, sequence, message_id, type, topic, state, reason)
        values ('relay', 'default/@confirmations', 0, '00000000-0000-4000-8000-000000000002', 't.v1', 'orders', 'dead', 'unconfirmed:inventory')`;
      await query(database.url, confirmation);
      await query(database.url, letter);
      expect(await found()).toMatchObject({
        level: "warned",
        found: expect.stringMatching(/^1 waited for, the oldest for \d+ s, 1 sent again, 1 given up$/) as string,
      });
      for (const table of ["confirmation", "dead_letter"]) await query(database.url, `delete from waybill_${table}`);
    });

    test("a role that may not do what a relay does is refused, table by table, until it is granted", async () => {
      await migrate(database.url);
      const role = `${database.name}_role`;
      const mine = new URL(database.url);
      [mine.username, mine.password] = [role, "canary-role"];
      const name = isMysql(database.url) ? `'${role}'@'%'` : role;
      await query(
        database.url,
        isMysql(database.url) ? `create user ${name} identified by 'canary-role'` : `create role ${name} login password 'canary-role'`,
      );
      closers.push(() => query(database.url, isMysql(database.url) ? `drop user ${name}` : `drop owned by ${name}; drop role ${name}`));
      if (!isMysql(database.url)) await query(database.url, `grant select on waybill_migration, waybill_stream, waybill_outbox to ${name}`);
      else for (const table of ["migration", "stream", "outbox"]) await query(database.url, `grant select on waybill_${table} to ${name}`);
      if (!isMysql(database.url)) await query(database.url, `grant select on sequence waybill_outbox_id_seq to ${name}`);

      const refused = await doctor([], { WAYBILL_DATABASE: mine.href });
      expect(refused.code).toBe(1);
      const rights = refused.all.filter(({ rule }) => rule === "rights").map(({ found }) => found);
      expect(rights).toEqual([
        ...(isMysql(database.url)
          ? ["no insert, delete on waybill_outbox", "no select, delete on waybill_outbox_delayed", "no select, update on waybill_key_lock"]
          : ["no insert on waybill_outbox", "no select, update, delete on waybill_outbox_delayed"]),
        "no update on waybill_stream",
        "no select, update, delete on waybill_confirmation",
        "no select, insert, update on waybill_subscription",
        "no select, insert, update, delete on waybill_dead_letter",
        "no select, insert, delete on waybill_spill",
        "no insert on waybill_audit",
      ]);
      expect(refused.output).not.toContain("canary");

      const grants = [
        "select, insert, update, delete on waybill_dead_letter",
        "select, insert, delete on waybill_spill",
        "select, insert, update on waybill_subscription",
        "insert on waybill_audit",
      ];
      if (isMysql(database.url))
        grants.push("insert, delete on waybill_outbox", "select, delete on waybill_outbox_delayed", "select, update on waybill_key_lock");
      else grants.push("insert on waybill_outbox", "select, update, delete on waybill_outbox_delayed");
      for (const grant of [...grants, "update on waybill_stream", "select, update, delete on waybill_confirmation"])
        await query(database.url, `grant ${grant} to ${name}`);
      const granted = await doctor([], { WAYBILL_DATABASE: mine.href });
      expect(granted.findings.filter((finding) => finding.startsWith("refused"))).toEqual([]);
      expect(granted.findings).not.toContain("warned owner: role");
      expect(granted.code).toBe(0);
    });

    test("a database that cannot be reached is refused, and names no password", async () => {
      const away = new URL(database.url);
      [away.port, away.password] = [String(await freePort()), "canary"];
      const { code, findings, output } = await doctor([], { WAYBILL_DATABASE: away.href });
      expect([code, findings]).toEqual([1, ["refused reachable: database"]]);
      expect(output).not.toContain("canary");
    });
  }),
);

describe("waybill doctor on a database that is badly set up", () => {
  test("PostgreSQL whose commits do not wait for the disk is warned about; so is an owner", async () => {
    const database = await testDatabase();
    closers.push(() => database.drop());
    await migrate(database.url);
    await query(database.url, `alter database ${database.name} set synchronous_commit = off`);
    const { code, findings } = await doctor([], { WAYBILL_DATABASE: database.url });
    expect(code).toBe(0);
    expect(findings).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^warned synchronous_commit: PostgreSQL/),
        "warned owner: role",
        "warned settings: ledger default",
      ]),
    );
  });

  test("MariaDB that logs statements is refused", { timeout: 180_000 }, async () => {
    const server = await startMariadb({ settings: { log_bin: "binlog", binlog_format: "STATEMENT", server_id: "1" } });
    closers.push(() => server.stop());
    const database = await testDatabase({ url: server.url });
    const { code, findings } = await doctor([], { WAYBILL_DATABASE: database.url });
    expect(code).toBe(1);
    expect(findings).toContainEqual(expect.stringMatching(/^refused binlog_format: MariaDB/));
  });
});

describe("waybill doctor with a broker", () => {
  let database: TestDatabase;
  let environment: Record<string, string>;
  beforeAll(async () => {
    database = await testDatabase();
    environment = { WAYBILL_DATABASE: database.url };
    await migrate(database.url);
  });
  afterEach(() => emptyTables(database.url));
  afterAll(() => database.drop());

  async function topicOf(made: Promise<BrokerTopic>): Promise<BrokerTopic> {
    const topic = await made;
    closers.push(() => topic.close());
    return topic;
  }

  test("a Kafka topic with one replica, one that compacts what has no key, and one that is not there are refused", async () => {
    const { url } = await testBroker("kafka");
    const alone = await topicOf(kafkaTopic(url));
    const compacted = await topicOf(kafkaTopic(url, { settings: { "cleanup.policy": "compact", "max.message.bytes": "2000" } }));
    await insertMessages(database.url, 3, { topic: compacted.topic });
    const { code, findings, all } = await doctor(["--transport", url, "--topics", alone.topic, "--topics", "nowhere-at-all"], environment);
    expect(code).toBe(1);
    expect(findings).toEqual(
      expect.arrayContaining([
        `refused replicas: topic ${alone.topic}`,
        `refused min.insync.replicas: topic ${alone.topic}`,
        "refused topic: topic nowhere-at-all",
        `refused cleanup.policy: topic ${compacted.topic}`,
        `refused max.message.bytes: topic ${compacted.topic}`,
      ]),
    );
    expect(all[0]).toMatchObject({ level: "ok", rule: "reachable" });
    expect(all).toContainEqual(
      expect.objectContaining({ level: "ok", subject: "Kafka", found: expect.stringContaining("idle timers of kafkajs: original") }),
    );
  });

  test("three brokers and a topic on all of them are fine, with 0", { timeout: 300_000 }, async () => {
    const cluster = await startKafka({ brokers: 3 });
    closers.push(() => cluster.stop());
    const topic = await topicOf(kafkaTopic(cluster.url, { replicas: 3 }));
    const { code, findings } = await doctor(["--transport", cluster.url, "--topics", topic.topic], environment);
    expect(findings.filter((finding) => finding.includes("topic") || finding.includes("Kafka"))).toEqual([]);
    expect(code).toBe(0);
  });

  test("a RabbitMQ queue that deletes its oldest is refused, a classic one warned about, a good one fine", {
    timeout: 240_000,
  }, async () => {
    const server = await startRabbitmq();
    closers.push(() => server.stop());
    const quorum = { "x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000 };
    const good = await topicOf(rabbitmqTopic(server, quorum));
    const lossy = await topicOf(rabbitmqTopic(server, { ...quorum, "x-max-length": 10 }));
    const classic = await topicOf(rabbitmqTopic(server));
    const look = (...topics: readonly string[]): Promise<Diagnosis> =>
      doctor(["--transport", server.url, "--topics", topics.join(",")], {
        ...environment,
        WAYBILL_RABBITMQ_MANAGEMENT_URL: server.managementUrl,
      });
    const bad = await look(good.topic, lossy.topic, classic.topic, "nowhere-at-all");
    expect(bad.code).toBe(1);
    expect(bad.findings.filter((finding) => /queue |exchange /.test(finding))).toEqual([
      "warned exists: exchange nowhere-at-all",
      `refused x-overflow: queue ${lossy.topic}`,
      `warned x-queue-type: queue ${classic.topic}`,
    ]);
    expect(bad.output).not.toContain("guest:guest");
    const fine = await look(good.topic);
    expect([fine.code, fine.findings.filter((finding) => /queue |exchange /.test(finding))]).toEqual([0, []]);
    const wrongManagement = await doctor(["--transport", server.url, "--topics", good.topic], {
      ...environment,
      WAYBILL_RABBITMQ_MANAGEMENT_URL: server.managementUrl.replace("guest:guest", "guest:canary"),
    });
    expect(wrongManagement.code).toBe(1);
    expect(wrongManagement.output).toContain("managementRefused");
    expect(wrongManagement.output).not.toContain("canary");
  });

  test("wrong credentials, a wrong vhost, nobody there and a certificate that nobody vouches for are told apart, with 1", async () => {
    const rabbitmq = await testBroker("rabbitmq");
    const changed = (change: (url: URL) => void): string => {
      const url = new URL(rabbitmq.url);
      change(url);
      return url.href;
    };
    const tls: Server = createServer(selfSigned());
    const [port, nobody] = [await freePort(), await freePort()];
    await new Promise<void>((resolve) => tls.listen(port, "127.0.0.1", resolve));
    closers.push(() => new Promise((resolve) => tls.close(resolve)));
    const looks = [
      [changed((url) => Object.assign(url, { username: "guest", password: "canary" })), "accessRefused"],
      [changed((url) => Object.assign(url, { pathname: "/nowhere" })), "vhostRefused"],
      [`amqp://u:canary@127.0.0.1:${nobody}/`, "unreachable"],
      [`amqps://u:canary@127.0.0.1:${port}/`, "tlsRefused"],
      [`kafka://u:canary@127.0.0.1:${nobody}`, "unreachable"],
      [`kafka://u:canary@127.0.0.1:${port}?ssl=true`, "unreachable"],
    ] as const;
    for (const [url, reason] of looks) {
      const { code, findings, all, output } = await doctor(["--transport", url, "--topics", "orders"], environment);
      expect([code, findings.at(-1)], reason).toEqual([1, "refused reachable: broker"]);
      expect(all.at(-1)?.found).toContain(`cannot be ${url.startsWith("kafka") ? "asked" : "used"}: ${reason}`);
      expect(output).not.toContain("canary");
    }
  });

  test("an HTTP transport is checked as far as its settings go; what is wrong with them ends it with 2", async () => {
    const http = await doctor(["--transport", "http://127.0.0.1:1/{topic}"], environment);
    expect(http.code).toBe(0);
    const wrong = await waybill(
      ["doctor", "--transport", "kafka://u:canary@one?acks=0", "--rabbitmq-partitions", "0", "--prefix", "A"],
      environment,
    );
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
    expect(wrong.stderr).toContain("--transport: acks is not known");
    expect(wrong.stderr).toContain("--rabbitmq-partitions: is for a RabbitMQ transport");
    expect(wrong.stderr).not.toContain("canary");
  });

  test("the configuration is shown with where each value came from, and no secret", async () => {
    const { configuration, output } = await doctor(["--transport", "amqp://u:canary1@127.0.0.1:1/", "--topics", "orders"], {
      ...environment,
      WAYBILL_RABBITMQ_PARTITIONS: "4",
      WAYBILL_RABBITMQ_MANAGEMENT_URL: "http://u:canary2@127.0.0.1:1",
    });
    expect(configuration).toEqual(
      expect.arrayContaining([
        { name: "transport", value: "[redacted]", source: "flag" },
        { name: "rabbitmqPartitions", value: "4", source: "environment" },
        { name: "rabbitmqManagementUrl", value: "[redacted]", source: "environment" },
        { name: "topics", value: "orders", source: "flag" },
      ]),
    );
    expect(output).not.toContain("canary");
  });
});
