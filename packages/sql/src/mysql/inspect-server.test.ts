import { expect, test } from "vitest";
import { judgeMysql } from "./inspect-server.ts";

const good = {
  auto_increment_increment: "1",
  binlog_format: "ROW",
  default_storage_engine: "InnoDB",
  innodb_autoinc_lock_mode: "2",
  innodb_flush_log_at_trx_commit: "1",
  innodb_read_only: "OFF",
  log_bin: "ON",
  max_allowed_packet: "67108864",
  read_only: "OFF",
  super_read_only: "OFF",
  sync_binlog: "1",
  wsrep_on: "OFF",
};
const judged = (facts: Partial<typeof good>, version = "9.7.4", product: "MySQL" | "MariaDB" = "MySQL") =>
  judgeMysql(product, version, { ...good, ...facts }).map(({ level, rule, found }) => [level, rule, found]);

test.each([
  ["MySQL", "8.0.23"],
  ["MySQL", "8.4.0-debug"],
  ["MySQL", "10.0.1"],
  ["MariaDB", "10.6.0-MariaDB"],
  ["MariaDB", "10.11.19-MariaDB-0+deb12u1"],
  ["MariaDB", "11.8.2-MariaDB"],
] as const)("%s %s is taken", (product, version) => {
  expect(judged({}, version, product)).toEqual([]);
});

test.each([
  ["MySQL", "8.0.22"],
  ["MySQL", "5.7.44-log"],
  ["MariaDB", "10.5.27-MariaDB"],
  ["MariaDB", "5.5.68-MariaDB"],
] as const)("%s %s is refused", (product, version) => {
  expect(judged({}, version, product)).toEqual([["refused", "version", version]]);
});

test.each([
  [{ read_only: "ON" }, "refused", "primary", "read_only = ON"],
  [{ read_only: "NO_LOCK_NO_ADMIN" }, "refused", "primary", "read_only = NO_LOCK_NO_ADMIN"],
  [{ super_read_only: "ON" }, "refused", "primary", "super_read_only = ON"],
  [{ innodb_read_only: "ON" }, "refused", "primary", "innodb_read_only = ON"],
  [{ binlog_format: "STATEMENT" }, "refused", "binlog_format", "STATEMENT"],
  [{ default_storage_engine: "MyISAM" }, "refused", "engine", "default_storage_engine = MyISAM"],
  [{ innodb_flush_log_at_trx_commit: "2" }, "warned", "innodb_flush_log_at_trx_commit", "2"],
  [{ sync_binlog: "0" }, "warned", "sync_binlog", "0"],
  [{ auto_increment_increment: "3" }, "warned", "auto_increment_increment", "3"],
  [{ wsrep_on: "ON" }, "warned", "wsrep_on", "ON"],
  [{ innodb_autoinc_lock_mode: "0" }, "warned", "innodb_autoinc_lock_mode", "0"],
  [{ max_allowed_packet: "1048576" }, "warned", "max_allowed_packet", "1048576"],
] as const)("%j is %s", (facts, level, rule, found) => {
  expect(judged(facts)).toEqual([[level, rule, found]]);
});

test("without a binary log its format is no matter", () => {
  expect(judged({ log_bin: "OFF", binlog_format: "STATEMENT", sync_binlog: "0" })).toEqual([]);
});

test("a setting that a server does not have is no finding", () => {
  expect(judgeMysql("MariaDB", "11.8.2-MariaDB", {})).toEqual([]);
});
