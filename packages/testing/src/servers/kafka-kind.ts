import { startKafka } from "./kafka.ts";
import { kafkaGreeting } from "./kafka-greeting.ts";
import type { ServerKind } from "./server-kind.ts";

export const kafkaKind: ServerKind = {
  title: "Kafka",
  variable: "WAYBILL_TEST_KAFKA_URL",
  async atStandardPort() {
    const greeting = await kafkaGreeting({ host: "127.0.0.1", port: 9092 });
    return greeting.kind === "welcome" ? { url: "kafka://127.0.0.1:9092" } : { reason: "on 127.0.0.1:9092 nobody answers" };
  },
  compose: {
    name: "kafka",
    port: 59092,
    url: (address) => `kafka://${address}`,
  },
  launchedFrom: "started from Maven's jars",
  launch: () => startKafka(),
  version: kafkaVersion,
  advice: "install Java 17 and Maven, start a docker engine, or put a URL into WAYBILL_TEST_KAFKA_URL",
};

/** A broker does not tell its release, only the level of metadata that the cluster has agreed on. */
async function kafkaVersion(url: string): Promise<string> {
  const [first = ""] = url.replace(/^kafka:\/\//, "").split(/[,/?]/);
  const [host = "", port = "9092"] = first.split(":");
  const greeting = await kafkaGreeting({ host, port: Number(port), deadlineMs: 5_000 });
  if (greeting.kind === "silent") throw new Error(`no Kafka answers on ${host}:${port}`);
  return greeting.metadataVersion === null ? "unknown" : `metadata.version ${greeting.metadataVersion}`;
}
