/** A child of tests: tells a few events and does what its first argument says. */
import { chmodSync, mkdtempSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { WaybillEvent } from "@waybill/core";
import {
  killOnEvent,
  type StartedServer,
  startKafka,
  startMariadb,
  startMysql,
  startPostgres,
  startRabbitmq,
  tellParent,
} from "@waybill/testing";

const [mode, ...rest] = process.argv.slice(2);
const event = (epoch: bigint): WaybillEvent => ({ name: "relay.leaseRenewed", stream: "default", subscription: "default", epoch });

function launch(kind: string): Promise<StartedServer> {
  switch (kind) {
    case "postgres":
      return startPostgres();
    case "mysql":
      return startMysql();
    case "mariadb":
      return startMariadb();
    case "mariadb-11":
      return startMariadb({ suite: "sid" });
    case "rabbitmq":
      return startRabbitmq();
    case "rabbitmq-4":
      return startRabbitmq({ suite: "sid" });
    case "kafka":
      return startKafka().then((kafka) => kafka.broker(1));
    default:
      throw new Error(`No server ${kind}.`);
  }
}

switch (mode) {
  case "kill": {
    const kill = killOnEvent({ name: "relay.leaseRenewed", nth: Number(rest[0]) });
    for (let epoch = 1n; epoch <= 10n; epoch += 1n) {
      tellParent(event(epoch));
      kill(event(epoch));
      tellParent({ name: "after", epoch });
    }
    break;
  }
  case "echo":
    process.stdin.setEncoding("utf8").on("data", (text) => tellParent({ name: "heard", text: String(text) }));
    tellParent({ name: "ready", variable: process.env.WAYBILL_ECHO });
    console.log("not an event");
    break;
  case "fail":
    tellParent({ name: "failing" });
    console.error("the reason");
    process.exitCode = 3;
    break;
  case "flood":
    for (let number = 0; number < 20_000; number += 1) tellParent({ name: "flood", number, padding: "x".repeat(50) });
    break;
  case "server": {
    const folder = mkdtempSync("/tmp/waybill-test-");
    chmodSync(folder, 0o755);
    process.env.TMPDIR = folder;
    const server = await launch(rest[1] ?? "postgres");
    tellParent({ name: "started", pid: server.pid(), folder: join(folder, readdirSync(folder)[0] ?? "") });
    if (rest[0] === "exit") process.exit(0);
    process.stdin.resume(); // a server keeps nobody alive; this does
    break;
  }
  default:
    throw new Error(`No mode ${mode}.`);
}
