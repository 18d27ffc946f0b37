import type { Statements } from "../database.ts";
import type { Namespace } from "../identifier.ts";
import type { ServerFinding, ServerReport } from "../server-report.ts";
import { readForeignEngines, readServerFacts, readVersion } from "./statements/read-server-facts.ts";

/** Older ones have no SKIP LOCKED and NOWAIT that can be told apart, no expressions as defaults, or another meaning of row locks. */
const oldest = { MySQL: [8, 0, 23], MariaDB: [10, 6, 0] } as const;

/** Room for a message of 1 000 000 bytes in hexadecimal, with another beside it. */
const packetBytesMin = 4 * 1024 * 1024;

/** `inspectServer` on MySQL and MariaDB. */
export async function inspectMysql(database: Pick<Statements, "query">, space: Namespace | null): Promise<ServerReport> {
  const [server] = await database.query(readVersion, []);
  const rows = await database.query(readServerFacts, []);
  const version = String(server?.["version"]);
  const product = /mariadb/i.test(version) ? "MariaDB" : "MySQL";
  const facts: Record<string, string> = {};
  for (const row of rows) facts[String(row["Variable_name"])] = String(row["Value"]);
  // MariaDB learnt the other name in 11.1.
  const isolation = facts["transaction_isolation"] ?? facts["tx_isolation"];
  if (isolation !== undefined) facts["transaction_isolation"] = isolation;
  delete facts["tx_isolation"];

  const findings = [...judgeMysql(product, version, facts)];
  if (space !== null) {
    const like = `${space.prefix.replaceAll("_", "\\_")}%`;
    for (const row of await database.query(readForeignEngines, [space.schema, like])) {
      const found = `${String(row["table_name"])}: ${String(row["engine"])}`;
      findings.push({ level: "refused", rule: "engine", found, advice: "This table has no transactions: alter table … engine = InnoDB." });
    }
  }
  return { dialect: "mysql", product, version, facts, findings };
}

/** What these settings mean. */
export function judgeMysql(
  product: "MySQL" | "MariaDB",
  version: string,
  facts: Readonly<Record<string, string>>,
): readonly ServerFinding[] {
  const findings: ServerFinding[] = [];
  const refuse = (rule: string, found: string, advice: string): void => void findings.push({ level: "refused", rule, found, advice });
  const warn = (rule: string, found: string, advice: string): void => void findings.push({ level: "warned", rule, found, advice });
  const { binlog_format: format, innodb_flush_log_at_trx_commit: flush, auto_increment_increment: step } = facts;

  if (isOlder(version, oldest[product])) refuse("version", version, `Use ${product} ${oldest[product].join(".")} or later.`);
  for (const name of ["read_only", "super_read_only", "innodb_read_only"]) {
    if (isOn(facts[name])) refuse("primary", `${name} = ${facts[name]}`, "This server takes no writes: connect to the primary.");
  }
  if (isOn(facts["log_bin"]) && format === "STATEMENT") {
    refuse("binlog_format", format, "Statements at READ COMMITTED cannot be logged so (error 1665): set binlog_format = ROW.");
  }
  const engine = facts["default_storage_engine"];
  if (engine !== undefined && engine.toLowerCase() !== "innodb") {
    refuse(
      "engine",
      `default_storage_engine = ${engine}`,
      "Tables of your own would have no transactions: set default_storage_engine = InnoDB.",
    );
  }
  if (flush !== undefined && flush !== "1") {
    warn(
      "innodb_flush_log_at_trx_commit",
      flush,
      "A crash of the machine loses the last second of committed transactions, some already published. Set it to 1.",
    );
  }
  if (isOn(facts["log_bin"]) && facts["sync_binlog"] !== undefined && facts["sync_binlog"] !== "1") {
    warn(
      "sync_binlog",
      facts["sync_binlog"],
      "After a crash of the machine a replica, or a restore, may lack committed transactions. Set it to 1.",
    );
  }
  if (step !== undefined && Number(step) > 1) {
    warn(
      "auto_increment_increment",
      step,
      "Ids are given out in steps, as for several writing nodes: every id between is looked at and fenced, which costs.",
    );
  }
  if (isOn(facts["wsrep_on"])) {
    warn(
      "wsrep_on",
      String(facts["wsrep_on"]),
      "Galera: a COMMIT can end as a deadlock and is repeated; write through one node where you can.",
    );
  }
  if (facts["innodb_autoinc_lock_mode"] === "0") {
    warn(
      "innodb_autoinc_lock_mode",
      "0",
      "Every INSERT holds the table's counter until its end: writers wait for each other. Set it to 1 or 2.",
    );
  }
  const packet = Number(facts["max_allowed_packet"]);
  if (packet < packetBytesMin) {
    warn(
      "max_allowed_packet",
      String(packet),
      `Messages near their limit do not fit into a statement. Set it to ${packetBytesMin} or more.`,
    );
  }
  return findings;
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && !["off", "0", "no", ""].includes(value.toLowerCase());
}

function isOlder(version: string, than: readonly number[]): boolean {
  const numbers = (/\d+(?:\.\d+)*/.exec(version)?.[0] ?? "").split(".").map(Number);
  for (let place = 0; place < than.length; place++) {
    const difference = (numbers[place] ?? 0) - (than[place] as number);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
