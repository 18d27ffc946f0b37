/**
 * What is wrong with a topic, or with how brokers are reached: pure rules over what brokers say. `refused`: messages that were confirmed
 * can be lost, or never be published. `warned`: something an operator should know.
 */
export interface KafkaFinding {
  readonly level: "refused" | "warned";
  /** null: it is about the cluster, or about us. */
  readonly topic: string | null;
  /** A stable word: `replicas`, `min.insync.replicas`, … */
  readonly rule: string;
  /** What was found, as the broker says it. Never data. */
  readonly found: string;
  /** What to do about it. */
  readonly advice: string;
}

export interface KafkaTopicFacts {
  readonly topic: string;
  /** Of each partition: how many replicas it has, how many of them are in sync, and whether one of them leads. */
  readonly partitions: readonly { readonly replicas: number; readonly inSync: number; readonly hasLeader: boolean }[];
  /** By name, as the broker says it. One that this broker does not have, or does not show, is missing. */
  readonly settings: Readonly<Record<string, string>>;
}

/** What Kafka's own default leaves for a message of 1 000 000 bytes, with what a record adds to it. */
const messageBytesMin = 1_048_588;
const dayMs = 86_400_000;
/** A relay that was away for so long still publishes what was appended meanwhile. */
const oldestMs = 7 * dayMs;
const replicasMin = 3;
const inSyncMin = 2;

/** The settings that are judged. */
export const judgedSettings = [
  "min.insync.replicas",
  "unclean.leader.election.enable",
  "max.message.bytes",
  "cleanup.policy",
  "retention.ms",
  "retention.bytes",
  "message.timestamp.before.max.ms",
] as const;

/** `hasKeyless`: messages without a key go there. */
export function topicFindings({ topic, partitions, settings }: KafkaTopicFacts, hasKeyless: boolean): readonly KafkaFinding[] {
  const findings: KafkaFinding[] = [];
  const add = (level: KafkaFinding["level"], rule: string, found: string, advice: string): void =>
    void findings.push({ level, topic, rule, found, advice });
  const setting = (name: (typeof judgedSettings)[number]): string | undefined => settings[name];
  const number = (name: (typeof judgedSettings)[number]): number => Number(setting(name) ?? Number.NaN);

  const leaderless = partitions.filter(({ hasLeader }) => !hasLeader).length;
  if (leaderless > 0)
    add(
      "refused",
      "leader",
      `${leaderless} of ${partitions.length} partitions have none`,
      "Nothing can be published there: bring their brokers back.",
    );

  const replicas = Math.min(...partitions.map((partition) => partition.replicas));
  if (replicas < inSyncMin)
    add("refused", "replicas", String(replicas), "The loss of one broker loses what was confirmed: give the topic three replicas.");
  else if (replicas < replicasMin)
    add("warned", "replicas", String(replicas), "With one broker away nothing protects against the loss of another: three are usual.");

  const inSync = number("min.insync.replicas");
  if (inSync < inSyncMin)
    add(
      "refused",
      "min.insync.replicas",
      String(inSync),
      "What is confirmed may lie on one broker only, whatever the replicas: set it to 2.",
    );
  if (inSync > replicas)
    add(
      "refused",
      "min.insync.replicas",
      `${inSync} of ${replicas} replicas`,
      "Nothing can be published: it is more than there are replicas.",
    );
  else if (inSync === replicas && replicas > 1)
    add(
      "warned",
      "min.insync.replicas",
      `${inSync} of ${replicas} replicas`,
      "One broker away stops publishing: it should be one less than the replicas.",
    );
  const behind = partitions.filter((partition) => partition.hasLeader && partition.inSync < partition.replicas);
  const tooFew = behind.filter((partition) => partition.inSync < inSync).length;
  if (tooFew > 0)
    add(
      "refused",
      "inSync",
      `${tooFew} of ${partitions.length} partitions have too few replicas in sync`,
      "Nothing is taken there until a broker has caught up.",
    );
  else if (behind.length > 0)
    add(
      "warned",
      "inSync",
      `${behind.length} of ${partitions.length} partitions lack a replica`,
      "A broker is away or behind: look after it.",
    );

  if (setting("unclean.leader.election.enable") === "true")
    add("refused", "unclean.leader.election.enable", "true", "A replica that never had what was confirmed may lead: set it to false.");
  if (number("max.message.bytes") < messageBytesMin)
    add(
      "refused",
      "max.message.bytes",
      String(setting("max.message.bytes")),
      `Messages that were accepted become dead letters: set it to ${messageBytesMin} or more.`,
    );
  const oldest = number("message.timestamp.before.max.ms");
  if (oldest < oldestMs)
    add(
      "warned",
      "message.timestamp.before.max.ms",
      String(oldest),
      "A message carries the time of its append, and one that waited longer is refused for ever: raise it.",
    );
  const policy = setting("cleanup.policy") ?? "delete";
  if (policy.includes("compact"))
    add(
      hasKeyless ? "refused" : "warned",
      "cleanup.policy",
      policy,
      hasKeyless
        ? "Messages without a key go there, and such a topic refuses them: they become dead letters."
        : "Only the last message of each key is kept for a consumer that is away, and messages without a key are refused.",
    );
  if (policy.includes("delete")) {
    const [kept, bytes] = [number("retention.ms"), number("retention.bytes")];
    if (kept >= 0 && kept < dayMs)
      add("warned", "retention.ms", String(kept), "A consumer that is away for longer misses messages: a day is little.");
    if (bytes >= 0)
      add("warned", "retention.bytes", String(bytes), "A burst removes messages however young they are: bound it by time alone.");
  }
  return findings;
}
