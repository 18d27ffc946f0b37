/** What the look at a cluster asks of kafkajs: an admin connection of its own. */
import type { KafkaConnection } from "../connection-options.ts";
import { judgedSettings, type KafkaTopicFacts } from "../topic-lint.ts";
import type { DriverAdmin } from "./driver.ts";
import type { ClientFailure } from "./failure.ts";
import { type Link, openLink } from "./link.ts";

/** Rejects as the library does. */
export interface KafkajsInspector {
  cluster(): Promise<{ readonly clusterId: string; readonly brokers: number }>;
  /** `settings` is empty if this user may not see them. */
  topic(name: string): Promise<KafkaTopicFacts>;
}

/** kafkajs' number for topics in a question about settings. */
const topicResource = 2;
/** TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED. */
const notAllowed: ReadonlySet<unknown> = new Set([29, 31]);

/** Ends with `signal`. The library is left as it is: nobody waits long for this connection. */
export async function openInspector(connection: KafkaConnection, signal: AbortSignal): Promise<Link<KafkajsInspector> | ClientFailure> {
  const opened = await openLink<DriverAdmin>({
    connection,
    patchIdleTimer: false,
    firstSeed: 0,
    leaving: (frame) => frame,
    signal,
    open: (kafka) => kafka.admin({ retry: { retries: 0 } }),
  });
  return opened.kind === "linked" ? { kind: "linked", client: inspectorOf(opened.client) } : opened;
}

function inspectorOf(admin: DriverAdmin): KafkajsInspector {
  const settingsOf = async (name: string): Promise<Readonly<Record<string, string>>> => {
    const asked = [{ type: topicResource, name, configNames: [...judgedSettings] }];
    try {
      const { resources } = await admin.describeConfigs({ resources: asked, includeSynonyms: false });
      const entries = resources.flatMap(({ configEntries }) => configEntries);
      return Object.fromEntries(
        entries.flatMap(({ configName, configValue }) => (configValue === null ? [] : [[configName, configValue]])),
      );
    } catch (error) {
      if (notAllowed.has((error as { readonly code?: unknown }).code)) return {};
      throw error;
    }
  };
  return {
    async cluster() {
      const { clusterId, brokers } = await admin.describeCluster();
      return { clusterId, brokers: brokers.length };
    },
    async topic(name) {
      const { topics } = await admin.fetchTopicMetadata({ topics: [name] });
      const partitions = topics.find((found) => found.name === name)?.partitions ?? [];
      return {
        topic: name,
        partitions: partitions.map(({ leader, replicas, isr }) => ({
          replicas: replicas.length,
          inSync: isr.length,
          hasLeader: leader >= 0,
        })),
        settings: await settingsOf(name),
      };
    },
  };
}
