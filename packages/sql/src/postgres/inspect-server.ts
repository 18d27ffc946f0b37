import type { Statements } from "../database.ts";
import type { ServerFinding, ServerReport } from "../server-report.ts";
import { readServerFacts } from "./statements/read-server-facts.ts";

const oldest = 14;

/** `inspectServer` on PostgreSQL. */
export async function inspectPostgres(database: Pick<Statements, "query">): Promise<ServerReport> {
  const [row] = await database.query(readServerFacts, [], { name: "waybill_read_server_facts" });
  const facts = Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, String(value)]));
  return {
    dialect: "postgres",
    product: "PostgreSQL",
    version: facts["server_version"] ?? "unknown",
    facts,
    findings: judgePostgres(facts),
  };
}

/** What these settings mean. */
export function judgePostgres(facts: Readonly<Record<string, string>>): readonly ServerFinding[] {
  const findings: ServerFinding[] = [];
  const add = (level: ServerFinding["level"], rule: string, found: string, advice: string): void =>
    void findings.push({ level, rule, found, advice });
  const version = Number(facts["server_version_num"]);
  if (version < oldest * 10_000) add("refused", "version", String(facts["server_version"]), `Use PostgreSQL ${oldest} or later.`);
  if (facts["in_recovery"] === "true") add("refused", "primary", "in recovery", "This is a standby: connect to the primary.");
  if (facts["transaction_read_only"] === "on") add("refused", "primary", "read only", "Connect to a server, as a role, that may write.");
  if (facts["fsync"] === "off") add("warned", "fsync", "off", "A crash of the machine can lose or break everything. Set fsync = on.");
  if (facts["synchronous_commit"] === "off") {
    add(
      "warned",
      "synchronous_commit",
      "off",
      "A crash of the server loses transactions that were reported as committed, some already published.",
    );
  }
  return findings;
}
