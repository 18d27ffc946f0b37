/**
 * Two MariaDB servers that are one: a Galera cluster, where every row is written on both and ids come in steps.
 *
 *     node 1, new cluster ◀──state by rsync── node 2 ──both synced──▶ running
 *
 * A node that was ended politely leaves the other at work. One that is killed leaves the other alone, which then refuses statements until
 * both are there again: it cannot know whether the other is dead or merely out of reach.
 */
import { access } from "node:fs/promises";
import { createConnection } from "mysql2/promise";
import { findProgram } from "./find-program.ts";
import { freePort } from "./free-port.ts";
import { launchMariadb, type StartMariadbOptions } from "./mariadb.ts";
import { mysqlGreeting } from "./mysql-greeting.ts";
import type { StartedServer } from "./started-server.ts";

export interface StartGaleraOptions {
  /** System variables of both nodes beside ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Milliseconds for each start of a node, the copy of its state included. Default 180 000. */
  readonly startDeadlineMs?: number;
}

export interface StartedGalera {
  readonly version: string;
  readonly nodes: readonly [StartedServer, StartedServer];
  /** Stops both and removes their folders. A second stop resolves with the first. */
  stop(): Promise<void>;
}

const host = "127.0.0.1";
const libraries = ["/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so", "/usr/lib/libgalera_smm.so"];

/** Where Galera's library lies. Rejects with what to install if it, or a program that it needs, is missing. */
export async function galeraLibrary(): Promise<string> {
  for (const [program, from] of [
    ["mariadbd", "mariadb-server"],
    ["rsync", "rsync"],
  ] as const)
    if ((await findProgram(program)) === null) throw new Error(`there is no ${program}: install ${from}`);
  for (const library of libraries) {
    const isThere = await access(library).then(
      () => true,
      () => false,
    );
    if (isThere) return library;
  }
  throw new Error("there is no libgalera_smm.so: install galera-4");
}

/**
 * Starts two nodes of the installed MariaDB. Needs the packages galera-4 and rsync. As root they run as `nobody`.
 *
 * Rejects with what a node wrote if it does not come up in time, and leaves nothing behind.
 */
export async function startGalera(options: StartGaleraOptions = {}): Promise<StartedGalera> {
  const library = await galeraLibrary();
  const ports = [await nodePorts(), await nodePorts()] as const;
  const first = await startNode({ library, id: 1, own: ports[0], other: ports[1], options });
  let second: StartedServer;
  try {
    second = await startNode({ library, id: 2, own: ports[1], other: ports[0], options });
  } catch (error) {
    await first.stop();
    throw error;
  }
  let stopped: Promise<void> | null = null;
  return {
    version: first.version,
    nodes: [first, second],
    stop() {
      stopped ??= Promise.all([first.stop(), second.stop()]).then(() => undefined);
      return stopped;
    },
  };
}

/** A node talks to the other on three ports beside the one for clients. */
interface NodePorts {
  readonly group: number;
  readonly writes: number;
  readonly state: number;
}

async function nodePorts(): Promise<NodePorts> {
  return { group: await freePort(), writes: await freePort(), state: await freePort() };
}

interface NodeStart {
  readonly library: string;
  readonly id: number;
  readonly own: NodePorts;
  readonly other: NodePorts;
  readonly options: StartGaleraOptions;
}

function startNode({ library, id, own, other, options }: NodeStart): Promise<StartedServer> {
  let isFirstStart = true;
  const mariadb: StartMariadbOptions = { startDeadlineMs: options.startDeadlineMs ?? 180_000, settings: options.settings ?? {} };
  return launchMariadb(mariadb, {
    settings() {
      // Only the first start of the first node makes a cluster; from then on each looks for the other.
      const makesCluster = id === 1 && isFirstStart;
      isFirstStart = false;
      return {
        wsrep_on: "ON",
        wsrep_provider: library,
        wsrep_provider_options: [
          `base_port=${own.group}`,
          `gmcast.listen_addr=tcp://${host}:${own.group}`,
          `ist.recv_addr=${host}:${own.writes}`,
        ].join(";"),
        wsrep_cluster_name: "waybill",
        wsrep_cluster_address: makesCluster ? "gcomm://" : `gcomm://${host}:${other.group}`,
        wsrep_node_name: `node-${id}`,
        wsrep_node_address: host,
        wsrep_sst_method: "rsync",
        wsrep_sst_receive_address: `${host}:${own.state}`,
        binlog_format: "ROW",
        innodb_autoinc_lock_mode: "2",
      };
    },
    isReady: async (port) => (await mysqlGreeting({ host, port })).kind === "mariadb" && (await isSynced(port)),
  });
}

/** A node takes connections before it takes statements. */
async function isSynced(port: number): Promise<boolean> {
  try {
    const connection = await createConnection({ host, port, user: "root", connectTimeout: 2_000 });
    connection.on("error", () => undefined); // the query's own rejection tells
    try {
      const [rows] = await connection.query({ sql: "show status like 'wsrep_local_state_comment'", timeout: 2_000 });
      return (rows as { Value?: string }[])[0]?.Value === "Synced";
    } finally {
      connection.destroy();
    }
  } catch {
    return false; // not yet; what the node writes tells why if it never does
  }
}
