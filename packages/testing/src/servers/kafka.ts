/**
 * A Kafka of one's own: one broker, or three that elect leaders among themselves. Each is broker and controller in one (KRaft), with
 * a folder and two ports of its own.
 *
 *     jars in the cache ──format──▶ broker 1, 2, 3 ──ApiVersions answered──▶ running ──▶ kill, freeze, resume, restart one of them
 *
 * What a crash means: the others notice after `broker.session.timeout.ms` (3 s here, not the default 9 s), and a killed broker cannot
 * come back before that. A frozen broker holds its connections open and answers nothing.
 */
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { kafkaGreeting } from "./kafka-greeting.ts";
import { type KafkaPrograms, kafkaPrograms } from "./kafka-programs.ts";
import { launchServer } from "./launch-server.ts";
import { runCommand } from "./run-command.ts";
import { makeServerFolder, rootFolder } from "./server-folder.ts";
import type { StartedServer } from "./started-server.ts";

export interface StartKafkaOptions {
  /** Default 1. With three, topics have three replicas and need two of them in sync. */
  readonly brokers?: 1 | 3;
  /**
   * Lines of `server.properties` beside ours, such as `{ "message.max.bytes": "2000" }`, or what makes them of a broker's own ports: for
   * listeners beside ours.
   */
  readonly settings?: Readonly<Record<string, string>> | ((ports: KafkaPorts) => Readonly<Record<string, string>>);
  /** Milliseconds for each start of a broker. The first download does not count. Default 120 000. */
  readonly startDeadlineMs?: number;
}

/** Where a broker listens, on 127.0.0.1. */
export interface KafkaPorts {
  /** From 1. */
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
}

/** One broker: a server like any other, and it can be frozen. */
export interface StartedBroker extends StartedServer {
  /** From 1. */
  readonly id: number;
  /** Stops the process without ending it (SIGSTOP). */
  freeze(): Promise<void>;
  /** Lets a frozen one go on. */
  resume(): Promise<void>;
}

export interface StartedKafka {
  /** `kafka://host:port`, with three brokers `kafka://host:port,host:port,host:port`. Stays the same over restarts. */
  readonly url: string;
  /** `host:port` of each broker, as clients want it. */
  readonly addresses: readonly string[];
  readonly version: string;
  readonly brokers: readonly StartedBroker[];
  /** The broker with this id; throws if there is none. Leaders are told by id. */
  broker(id: number): StartedBroker;
  /** Kills all brokers and removes their folders. A second stop resolves with the first. */
  stop(): Promise<void>;
}

const host = "127.0.0.1";
const formatDeadlineMs = 60_000;
const portTriesMax = 3;

/**
 * Starts Kafka. Needs Java 17 or newer, and Maven for the first start. Topics are not made by themselves. It ends when this process does,
 * but `stop` also removes its folders for certain.
 *
 * Rejects with what the brokers wrote if they do not come up in time, and leaves nothing behind but the cache.
 */
export async function startKafka(options: StartKafkaOptions = {}): Promise<StartedKafka> {
  const programs = await kafkaPrograms(async (making) => {
    const [broker] = await startBrokers(making, { ...options, brokers: 1, settings: {} });
    await broker?.kill("SIGTERM"); // Java writes the archive while it ends
    await broker?.stop();
  });
  for (let attempt = 1; ; attempt += 1) {
    try {
      return kafkaOf(programs.version, await startBrokers(programs, options));
    } catch (error) {
      // Ports must be known to all brokers before any of them starts, so a lost race for one of them starts everything again.
      if (attempt === portTriesMax || !/Address already in use/.test(String(error))) throw error;
    }
  }
}

function kafkaOf(version: string, brokers: readonly StartedBroker[]): StartedKafka {
  const addresses = brokers.map(({ port }) => `${host}:${port}`);
  let stopped: Promise<void> | null = null;
  return {
    url: `kafka://${addresses.join(",")}`,
    addresses,
    version,
    brokers,
    broker(id) {
      const broker = brokers.find((each) => each.id === id);
      if (broker === undefined) throw new RangeError(`There is no broker ${id}; there are 1 to ${brokers.length}.`);
      return broker;
    },
    stop() {
      stopped ??= Promise.all(brokers.map((broker) => broker.stop())).then(() => undefined);
      return stopped;
    },
  };
}

/** What all brokers of a cluster know of each other. */
interface Node extends KafkaPorts {
  readonly folder: string;
}

async function startBrokers(programs: KafkaPrograms, options: StartKafkaOptions): Promise<readonly StartedBroker[]> {
  const nodes: Node[] = [];
  for (let id = 1; id <= (options.brokers ?? 1); id += 1) {
    const folder = await makeServerFolder(`kafka-${id}`, {});
    nodes.push({ id, folder, port: await freePort(), controllerPort: await freePort() });
  }
  const clusterId = newClusterId();
  const started = await Promise.allSettled(nodes.map((node) => startBroker({ programs, node, nodes, clusterId, options })));
  const brokers = started.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const failed = started.find((each) => each.status === "rejected");
  if (failed === undefined) return brokers;
  await Promise.all(brokers.map((broker) => broker.stop()));
  await Promise.all(nodes.map(({ folder }) => rm(folder, { recursive: true, force: true, maxRetries: 3 })));
  throw failed.reason;
}

/** 16 bytes in base64url. One that begins with a hyphen would be taken for an option. */
function newClusterId(): string {
  for (;;) {
    const id = randomBytes(16).toString("base64url");
    if (!id.startsWith("-")) return id;
  }
}

interface BrokerStart {
  readonly programs: KafkaPrograms;
  readonly node: Node;
  readonly nodes: readonly Node[];
  readonly clusterId: string;
  readonly options: StartKafkaOptions;
}

async function startBroker({ programs, node, nodes, clusterId, options }: BrokerStart): Promise<StartedBroker> {
  const file = join(node.folder, "server.properties");
  const settings = typeof options.settings === "function" ? options.settings(node) : options.settings;
  const properties = { ...brokerProperties(node, nodes), ...settings };
  await writeFile(
    file,
    `${Object.entries(properties)
      .map(([name, value]) => `${name}=${value}`)
      .join("\n")}\n`,
  );
  const env = { LC_ALL: "C", TZ: "UTC", PATH: process.env.PATH };
  const formatted = await runCommand(
    programs.java,
    [
      ...programs.javaArgs.filter((argument) => !argument.startsWith("-XX:ArchiveClassesAtExit")),
      "kafka.tools.StorageTool",
      "format",
      "-t",
      clusterId,
      "-c",
      file,
    ],
    {
      cwd: rootFolder(),
      env,
      deadlineMs: formatDeadlineMs,
    },
  );
  if (formatted.code !== 0)
    throw new Error(
      `Kafka made no data folder: ${(formatted.problem ?? `${formatted.stdout}${formatted.stderr}`.slice(-2_000).trim()) || `exit code ${formatted.code}`}`,
    );
  const server = await launchServer({
    title: `Kafka (broker ${node.id})`,
    version: () => programs.version,
    folder: node.folder,
    account: {},
    port: node.port,
    startDeadlineMs: options.startDeadlineMs ?? 120_000,
    program: () => ({ command: programs.java, args: [...programs.javaArgs, "kafka.Kafka", file], env }),
    isReady: async (port) => (await kafkaGreeting({ host, port })).kind === "welcome",
    endSignals: ["SIGTERM", "SIGKILL"],
    stopsByForce: true,
    url: (port) => `kafka://${host}:${port}`,
  });
  return { ...server, id: node.id, freeze: () => server.kill("SIGSTOP"), resume: () => server.kill("SIGCONT") };
}

/** Small, and quick to elect. Internal topics need settings of their own, or one broker alone could not make them. */
function brokerProperties({ id, folder, port, controllerPort }: Node, nodes: readonly Node[]): Readonly<Record<string, string>> {
  const replicas = String(nodes.length);
  const inSync = nodes.length === 1 ? "1" : "2";
  return {
    "process.roles": "broker,controller",
    "node.id": String(id),
    "controller.quorum.voters": nodes.map((node) => `${node.id}@${host}:${node.controllerPort}`).join(","),
    listeners: `PLAINTEXT://${host}:${port},CONTROLLER://${host}:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://${host}:${port}`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "log.dirs": join(folder, "data"),
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    "default.replication.factor": replicas,
    "min.insync.replicas": inSync,
    "offsets.topic.replication.factor": replicas,
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": replicas,
    "transaction.state.log.min.isr": inSync,
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": replicas,
    "share.coordinator.state.topic.min.isr": inSync,
    "group.initial.rebalance.delay.ms": "0",
    // Until its session is over a killed broker cannot register again.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "300",
    "leader.imbalance.check.interval.seconds": "1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "num.recovery.threads.per.data.dir": "1",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "log.segment.bytes": "67108864",
    "log.index.size.max.bytes": "1048576",
  };
}
