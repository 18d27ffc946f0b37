/** Every setting there is, by what it is about. The README lists them; a test compares. */
import type { Secret } from "@waybill/core";
import {
  choice,
  jsonObject,
  jsonObjects,
  list,
  type Setting,
  secretList,
  secretObject,
  secretText,
  switchedOn,
  text,
  time,
  wholeNumber,
} from "./setting.ts";

export const config: Setting<string> = text("config", "a file with a JSON object of settings", { placeholder: "FILE" });
export const database: Setting<Secret> = secretText(
  "database",
  "the database: postgres://user:password@host:5432/database, or mysql:// for MySQL and MariaDB",
  { placeholder: "URL" },
);
export const dialect: Setting<"postgres" | "mysql"> = choice("dialect", "whose SQL is printed", ["postgres", "mysql"], {
  defaultNote: "that of --database, else postgres",
});
export const schema: Setting<string> = text("schema", "schema of the tables", {
  placeholder: "NAME",
  defaultNote: "the connection's own",
});
export const prefix: Setting<string> = text("prefix", "how the tables' names begin", { placeholder: "NAME", defaultNote: "waybill_" });
export const json: Setting<boolean> = switchedOn("json", "print the result as JSON");

export const sets: Setting<readonly string[]> = list("set", "the sets of migrations, in this order", {
  placeholder: "NAMES",
  defaultNote: "sql,outbox,relay,dead-letter,inbox; half-message and barrier only when named",
});

// Which relay
export const stream: Setting<string> = text("stream", "the ledger", {
  placeholder: "NAME",
  defaultNote: "default; for retention all of them",
});
export const subscription: Setting<string> = text("subscription", "the reader's name", { placeholder: "NAME", defaultNote: "default" });
export const from: Setting<"beginning" | "now"> = choice("from", "where a subscription begins that was never run", ["beginning", "now"], {
  defaultNote: "beginning",
});

/** A name, or how names begin. */
const patterns = { placeholder: "NAMES", defaultNote: "all" };
export const onlyTopics: Setting<readonly string[]> = list(
  "onlyTopics",
  "topics to publish: whole names, or beginnings with * at the end",
  patterns,
);
export const onlyTypes: Setting<readonly string[]> = list(
  "onlyTypes",
  "message types to publish: whole names, or beginnings with * at the end",
  patterns,
);

// Several relays in one process
export const databases: Setting<readonly Readonly<Record<string, unknown>>[]> = jsonObjects(
  "databases",
  "several relays in one process: databases, each with its subscriptions; usually in the file",
);
export const totalNumbers: readonly Setting<number>[] = [
  wholeNumber("totalLoadedMax", "several relays: messages in memory, of all of them together", { defaultNote: "10000" }),
  wholeNumber("totalLoadedBytesMax", "several relays: bytes of payload in memory, of all of them together", { defaultNote: "33554432" }),
];

// Where messages go
export const transport: Setting<Secret> = secretText(
  "transport",
  "where messages go: https://host/path/{topic}, kafka://host:9092,host:9092, amqps://host/vhost, or the path of a module",
  { placeholder: "URL|PATH" },
);
export const transportOptions: Setting<Readonly<Record<string, unknown>>> = secretObject(
  "transportOptions",
  "what a transport module is given",
);
export const signingSecrets: Setting<readonly Secret[]> = secretList(
  "signingSecrets",
  "HTTP: secrets to sign with, one, or two while one is replaced",
  { placeholder: "WHSEC" },
);
export const allowNetworks: Setting<readonly string[]> = list(
  "allowNetworks",
  "HTTP: private ranges that may be dialled, such as 10.20.0.0/16",
  { placeholder: "RANGES" },
);
export const httpConcurrency: Setting<number> = wholeNumber("httpConcurrency", "HTTP: requests at once for one topic", {
  defaultNote: "8",
});
export const httpDeadlineMs: Setting<number> = wholeNumber("httpDeadlineMs", "HTTP: for one request, from the name to the last byte", {
  defaultNote: "15000",
});

// Brokers
export const brokerUser: Setting<string> = text("brokerUser", "Kafka, RabbitMQ: the user, where the URL names none", {
  placeholder: "NAME",
});
export const brokerPassword: Setting<Secret> = secretText("brokerPassword", "Kafka, RabbitMQ: the password, where the URL has none");
export const tlsCaFile: Setting<string> = text("tlsCaFile", "Kafka, RabbitMQ: authorities to trust instead of the well-known ones, PEM", {
  placeholder: "FILE",
});
export const tlsCertFile: Setting<string> = text("tlsCertFile", "Kafka, RabbitMQ: our certificate, PEM", { placeholder: "FILE" });
export const tlsKeyFile: Setting<string> = text("tlsKeyFile", "Kafka, RabbitMQ: its private key, PEM, not encrypted", {
  placeholder: "FILE",
});
export const tlsServername: Setting<string> = text("tlsServername", "Kafka, RabbitMQ: the name that the broker's certificate must have", {
  placeholder: "NAME",
  defaultNote: "the host that is dialled",
});
export const kafkaSasl: Setting<"plain" | "scram-sha-256" | "scram-sha-512"> = choice(
  "kafkaSasl",
  "Kafka: how user and password are shown to the brokers",
  ["plain", "scram-sha-256", "scram-sha-512"],
  { defaultNote: "plain where there is a user" },
);
export const kafkaClient: Setting<"kafkajs" | "platformatic"> = choice(
  "kafkaClient",
  "Kafka: the client library",
  ["kafkajs", "platformatic"],
  { defaultNote: "kafkajs" },
);
export const kafkaClientId: Setting<string> = text("kafkaClientId", "Kafka: what brokers see in their logs and quotas", {
  defaultNote: "waybill",
});
export const kafkaPartitioner: Setting<"murmur2" | "crc32"> = choice(
  "kafkaPartitioner",
  "Kafka: where a key goes: as Java clients do it, or as librdkafka does",
  ["murmur2", "crc32"],
  { defaultNote: "murmur2" },
);
export const rabbitmqTopology: Setting<"ensure" | "check" | "none"> = choice(
  "rabbitmqTopology",
  "RabbitMQ: exchanges are declared, looked for, or neither",
  ["ensure", "check", "none"],
  { defaultNote: "ensure" },
);
export const rabbitmqPartitions: Setting<number> = wholeNumber(
  "rabbitmqPartitions",
  "RabbitMQ: routing keys end in .0 to .N-1, by key, for as many queues",
  { defaultNote: "none" },
);
export const rabbitmqPipelineKeys: Setting<boolean> = switchedOn(
  "rabbitmqPipelineKeys",
  "RabbitMQ: messages of a key do not wait for each other's confirm; a refusal in their middle inverts them",
);
export const rabbitmqBlockedLimitMs: Setting<number> = wholeNumber(
  "rabbitmqBlockedLimitMs",
  "RabbitMQ: so long the broker may block us before the connection is reset",
  { defaultNote: "600000" },
);
export const rabbitmqManagementUrl: Setting<Secret> = secretText(
  "rabbitmqManagementUrl",
  "RabbitMQ: the management API, to look at queues and policies of others: http://host:15672",
  { placeholder: "URL" },
);
export const topics: Setting<readonly string[]> = list("topics", "topics to look at: by doctor, and by a relay before it starts", {
  placeholder: "NAMES",
});

/** What only one kind of transport takes. */
export const httpSettings: readonly Setting<unknown>[] = [signingSecrets, allowNetworks, httpConcurrency, httpDeadlineMs];
export const tlsSettings: readonly Setting<string>[] = [tlsCaFile, tlsCertFile, tlsKeyFile, tlsServername];
export const brokerSettings: readonly Setting<unknown>[] = [brokerUser, brokerPassword, ...tlsSettings];
export const kafkaSettings: readonly Setting<unknown>[] = [kafkaSasl, kafkaClient, kafkaClientId, kafkaPartitioner];
export const rabbitmqSettings: readonly Setting<unknown>[] = [
  rabbitmqTopology,
  rabbitmqPartitions,
  rabbitmqPipelineKeys,
  rabbitmqBlockedLimitMs,
  rabbitmqManagementUrl,
];
export const transportSettings: readonly Setting<unknown>[] = [
  transport,
  transportOptions,
  ...httpSettings,
  ...brokerSettings,
  ...kafkaSettings,
  ...rabbitmqSettings,
  topics,
];

// How it works
export const keyPolicy: Setting<"hold" | "skip" | "stop"> = choice(
  "keyPolicy",
  "behind a dead letter, messages of its key wait, or go on, or its whole topic waits",
  ["hold", "skip", "stop"],
  { defaultNote: "hold" },
);
export const keyPolicies: Setting<Readonly<Record<string, unknown>>> = jsonObject(
  "keyPolicies",
  'policies of single topics: {"payments":"stop"}',
);
export const leaseMs: Setting<number> = wholeNumber("leaseMs", "a standby takes over this long after its holder died", {
  defaultNote: "10000",
});

export const hint: Setting<boolean> = switchedOn(
  "hint",
  "PostgreSQL: let writers that call createHint wake the relay, on one connection more",
);

/** Numbers that the relay takes as they are. */
export const relayNumbers: readonly Setting<number>[] = [
  wholeNumber("publishDeadlineMs", "after this an unanswered message is sent again", { defaultNote: "10000" }),
  wholeNumber("batchMax", "messages in one call of the transport", { defaultNote: "500; 50 over HTTP" }),
  wholeNumber("batchBytesMax", "bytes of payload in one call of the transport", { defaultNote: "4194304" }),
  wholeNumber("callsPerTopicMax", "calls of the transport at once for one topic", { defaultNote: "4" }),
  wholeNumber("callsMax", "calls of the transport at once", { defaultNote: "16" }),
  wholeNumber("loadedMax", "messages in memory with their payloads", { defaultNote: "10000" }),
  wholeNumber("loadedBytesMax", "bytes of payload in memory", { defaultNote: "33554432" }),
  wholeNumber("pollMinMs", "wait between two reads while messages come", { defaultNote: "2" }),
  wholeNumber("pollMaxMs", "wait between two reads while none come", { defaultNote: "100" }),
  wholeNumber("attemptsMax", "tries of a message before it becomes a dead letter", { defaultNote: "20" }),
  wholeNumber("breakerFailuresMax", "failures of a topic in a row that open its breaker", { defaultNote: "5" }),
  wholeNumber("spillAfterMs", "a topic or key that has waited this long is copied aside", { defaultNote: "60000" }),
  wholeNumber("saveMs", "how often the cursor is saved while it moves", { defaultNote: "200" }),
  wholeNumber("statementDeadlineMs", "for one statement; then its connection is given up", { defaultNote: "10000" }),
  wholeNumber("drainMs", "how long a stop waits for what is being published", { defaultNote: "500" }),
  wholeNumber("decidedRetentionMs", "how long decided dead letters are kept", { defaultNote: "2592000000, 30 days" }),
  wholeNumber("holeFenceAfterMs", "MySQL, MariaDB: so long an id that was skipped is left to its writer", { defaultNote: "30000" }),
];

// What is kept
export const retentionMs: Setting<number> = wholeNumber("retentionMs", "how long history is kept that every subscription has passed", {
  defaultNote: "86400000, 1 day",
});
export const retentionNumbers: readonly Setting<number>[] = [
  retentionMs,
  wholeNumber("idRetentionMs", "how long an id that a caller chose is remembered", { defaultNote: "604800000, 7 days" }),
  wholeNumber("partitionIds", "PostgreSQL: ids of a new partition", {
    defaultNote: "a twentieth of what came in while history is kept, at least 1000000",
  }),
];

export interface BackoffSettings {
  readonly option: "messageBackoff" | "topicBackoff" | "outageBackoff";
  readonly firstMs: Setting<number>;
  readonly maxMs: Setting<number>;
}

/** Waits that double, with full jitter. */
export const relayBackoffs: readonly BackoffSettings[] = [
  {
    option: "messageBackoff",
    firstMs: wholeNumber("messageBackoffFirstMs", "first wait between tries of one message", { defaultText: "100" }),
    maxMs: wholeNumber("messageBackoffMaxMs", "longest wait between tries of one message", { defaultText: "60000" }),
  },
  {
    option: "topicBackoff",
    firstMs: wholeNumber("topicBackoffFirstMs", "first wait after a topic failed", { defaultText: "100" }),
    maxMs: wholeNumber("topicBackoffMaxMs", "longest wait after a topic failed", { defaultText: "5000" }),
  },
  {
    option: "outageBackoff",
    firstMs: wholeNumber("outageBackoffFirstMs", "first wait after transport or database failed", { defaultText: "50" }),
    maxMs: wholeNumber("outageBackoffMaxMs", "longest wait after transport or database failed", { defaultText: "3200" }),
  },
];

// How it is watched and stopped
export const admin: Setting<string> = text("admin", "host and port of the admin server (port 0: any free one), or off", {
  placeholder: "HOST:PORT",
  defaultText: "127.0.0.1:7410",
});
export const readyMaxAgeMs: Setting<number> = wholeNumber(
  "readyMaxAgeMs",
  "older than this, an unpublished message makes the relay not ready",
  {
    defaultText: "30000",
    min: 100,
    max: 86_400_000,
  },
);
export const drainDeadlineMs: Setting<number> = wholeNumber(
  "drainDeadlineMs",
  "after a signal, for everything until the process has ended",
  {
    defaultText: "10000",
    min: 100,
    max: 600_000,
  },
);
export const logLevel: Setting<"debug" | "info" | "warn" | "error"> = choice(
  "logLevel",
  "the least that is logged",
  ["debug", "info", "warn", "error"],
  {
    defaultText: "info",
  },
);

// Where a subscription is to stand
export const to: Setting<"beginning" | "now"> = choice("to", "at the first message that is still there, or behind the last", [
  "beginning",
  "now",
]);
export const toId: Setting<number> = wholeNumber("toId", "this message is the next", { placeholder: "ID", min: 1 });
export const toTime: Setting<number> = time("toTime", "at the messages of this time: 2026-05-01T10:00:00Z");
export const marginMs: Setting<number> = wholeNumber(
  "marginMs",
  "with --to-time: so much earlier, as long as a writer's transaction may take",
  {
    defaultNote: "60000",
  },
);
export const fromId: Setting<number> = wholeNumber("fromId", "the first message", { placeholder: "ID", min: 1 });
export const fromTime: Setting<number> = time("fromTime", "from the messages of this time on: 2026-05-01T10:00:00Z");
export const onlyKeys: Setting<readonly string[]> = list("onlyKeys", "messages with these keys, whole", patterns);
export const messagesPerSecond: Setting<number> = wholeNumber("messagesPerSecond", "how fast at most", {
  defaultText: "1000",
  min: 1,
  max: 1_000_000,
});
export const acceptRepeats: Setting<boolean> = switchedOn(
  "acceptRepeats",
  "a subscription stopped for its ledger publishes again all that is there",
);
export const acceptLoss: Setting<boolean> = switchedOn(
  "acceptLoss",
  "messages that wait in the spill of a deleted subscription are deleted with it",
);

// Dead letters
export const origin: Setting<"relay" | "inbox"> = choice("origin", "who gave it up", ["relay", "inbox"]);
export const reader: Setting<string> = text("reader", "stream/subscription of a relay, or the consumer of an inbox", {
  placeholder: "NAME",
});
export const state: Setting<"dead" | "held" | "released" | "done" | "discarded" | "any"> = choice(
  "state",
  "which of them",
  ["dead", "held", "released", "done", "discarded", "any"],
  { defaultText: "dead" },
);
export const only: Setting<"dead" | "held"> = choice("only", "those that are dead, or those that wait behind one", ["dead", "held"], {
  defaultNote: "both",
});
export const topic: Setting<string> = text("topic", "of this topic", { placeholder: "NAME" });
export const type: Setting<string> = text("type", "of this message type", { placeholder: "NAME" });
export const messageId: Setting<string> = text("messageId", "with this message id", { placeholder: "ID" });
export const key: Setting<string> = text("key", "with this key", { placeholder: "TEXT" });
export const reason: Setting<string> = text("reason", "given up for this reason", { placeholder: "WORD" });
export const since: Setting<number> = time("since", "given up at this time or later, such as 2026-01-31T12:00:00Z");
export const limit: Setting<number> = wholeNumber("limit", "how many at most", { defaultText: "100", min: 1, max: 1_000 });
export const all: Setting<boolean> = switchedOn("all", "all of them, where no filter is given");
export const dryRun: Setting<boolean> = switchedOn("dryRun", "count, and change nothing");
export const yes: Setting<boolean> = switchedOn("yes", "do not ask");
export const who: Setting<string> = text("who", "who decides, for the audit", {
  placeholder: "NAME",
  defaultNote: "the user of the operating system",
});
export const why: Setting<string> = text("why", "why, for the audit", { placeholder: "TEXT" });

// A half-message service
export const service: Setting<string> = text("service", "the admin port of a half-message service: https://host:7421", {
  placeholder: "URL",
  defaultNote: "http://127.0.0.1:7421",
});
export const destination: Setting<string> = text("destination", "of a half-message service: deliveries to this destination, or receivers", {
  placeholder: "NAME",
});
export const delivery: Setting<string> = text("delivery", "of a half-message service: this delivery, by its id", { placeholder: "ID" });
export const keyId: Setting<string> = text("keyId", "the key that signs our calls", { placeholder: "ID" });
export const keySecret: Setting<Secret> = secretText("keySecret", "its secret; better in a file, by WAYBILL_KEY_SECRET_FILE");
export const producer: Setting<string> = text("producer", "of this producer", { placeholder: "NAME" });
export const halfMessageId: Setting<string> = text("id", "the half message", { placeholder: "ID" });
export const halfMessageState: Setting<"prepared" | "suspended" | "committed" | "rolled_back"> = choice("onlyState", "in this state", [
  "prepared",
  "suspended",
  "committed",
  "rolled_back",
]);
export const after: Setting<string> = text("after", "behind what the last page ended with", { placeholder: "TEXT" });
