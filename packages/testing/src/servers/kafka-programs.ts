/**
 * What a Kafka broker is started with: Java, Kafka's jars, and an archive of its loaded classes that halves the start.
 *
 * The jars come through Maven once, into the cache: 44 MB. The archive belongs to one Java and to the jars' place, so it is made when
 * the first broker is wanted, by a broker that starts and ends.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Cached, fillCache, findCached } from "./cache-folder.ts";
import { findProgram } from "./find-program.ts";
import { runCommand } from "./run-command.ts";

export interface KafkaPrograms {
  readonly java: string;
  /** Before a main class: memory, garbage collector, logging, class path, archive. */
  readonly javaArgs: readonly string[];
  /** Of Kafka. */
  readonly version: string;
}

const pom = fileURLToPath(new URL("../../kafka/pom.xml", import.meta.url));
const mavenDeadlineMs = 600_000;
const javaMin = 17;

/** Small and quick to start rather than fast: three of them share a machine with the tests. */
const jvm = [
  "-Xms64m",
  "-Xmx256m",
  "-XX:+UseSerialGC",
  "-XX:TieredStopAtLevel=1",
  "-XX:MaxMetaspaceSize=128m",
  "-XX:ReservedCodeCacheSize=48m",
  "-Xss512k",
  "-Djava.awt.headless=true",
  "-Djava.net.preferIPv4Stack=true",
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
  "-Dorg.slf4j.simpleLogger.showDateTime=true",
];

/** `makeArchive` runs a broker with the given arguments and ends it politely; Java writes the archive when it ends. */
export async function kafkaPrograms(makeArchive: (programs: KafkaPrograms) => Promise<void>): Promise<KafkaPrograms> {
  const { java, javaVersion } = await installedJava();
  const jars = await kafkaJars();
  // In a fixed order: Java refuses an archive that was made with another class path.
  const files = (await readdir(jars.folder)).filter((file) => file.endsWith(".jar")).sort();
  const classPath = ["-cp", files.map((file) => join(jars.folder, file)).join(":")];
  const programs = (archive: readonly string[]): KafkaPrograms => ({
    java,
    javaArgs: [...jvm, ...archive, ...classPath],
    version: jars.version,
  });

  const name = `kafka-${jars.version}-classes-java`;
  const archive =
    (await findCached(name, javaVersion)) ??
    (await fillCache(name, async (folder) => {
      await makeArchive(programs([`-XX:ArchiveClassesAtExit=${join(folder, archiveFile)}`]));
      return javaVersion;
    }));
  return programs(["-Xshare:auto", `-XX:SharedArchiveFile=${join(archive.folder, archiveFile)}`]);
}

const archiveFile = "kafka.jsa";

async function installedJava(): Promise<{ readonly java: string; readonly javaVersion: string }> {
  const { JAVA_HOME: home } = process.env;
  const java = home === undefined || home === "" ? await findProgram("java") : join(home, "bin", "java");
  if (java === null) throw new Error(`there is no java: install a Java ${javaMin} or newer`);
  const answer = await runCommand(java, ["-version"], { deadlineMs: 30_000 });
  const javaVersion = /version "([^"]+)"/.exec(answer.stderr)?.[1];
  if (answer.code !== 0 || javaVersion === undefined)
    throw new Error(`${java} does not run here: ${answer.problem ?? answer.stderr.trim().slice(-400)}`);
  if (Number.parseInt(javaVersion, 10) < javaMin) throw new Error(`Kafka needs Java ${javaMin} or newer, and ${java} is ${javaVersion}`);
  return { java, javaVersion };
}

async function kafkaJars(): Promise<Cached> {
  const version = /<kafka\.version>([^<]+)</.exec(await readFile(pom, "utf8"))?.[1];
  if (version === undefined) throw new Error(`${pom} names no version of Kafka`);
  return (await findCached("kafka", version)) ?? fillCache("kafka", (folder) => downloadJars(version, folder));
}

async function downloadJars(version: string, folder: string): Promise<string> {
  const maven = await findProgram("mvn");
  if (maven === null) throw new Error("there is no mvn, which brings Kafka's jars: install Maven");
  const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${folder}`];
  const result = await runCommand(maven, ["-B", "-ntp", "-q", "-f", pom, ...goal], { deadlineMs: mavenDeadlineMs });
  if (result.code === 0) return version;
  throw new Error(
    `Maven did not bring Kafka ${version}: ${(result.problem ?? `${result.stdout}${result.stderr}`.trim().slice(-600)) || `exit code ${result.code}`}`,
  );
}
