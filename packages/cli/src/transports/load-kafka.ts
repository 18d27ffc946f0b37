/** A `kafka://` URL and the settings beside it, to a transport. The package is loaded here, so that other relays do without it. */
import type { OnEvent } from "@waybill/core";
import type { KafkaTransportOptions } from "@waybill/kafka";
import type { Configuration } from "../configuration.ts";
import { type Finding, fine } from "../finding.ts";
import type { Setting } from "../setting.ts";
import { brokerPassword, brokerUser, kafkaClient, kafkaClientId, kafkaPartitioner, kafkaSasl, tlsSettings, topics } from "../settings.ts";
import { brokerTlsOf, makeFromUrl, refuseSecondCredentials, tlsSettingOf } from "./broker-settings.ts";
import type { LoadedTransport, LookOptions } from "./loaded-transport.ts";

/** What one record batch holds at most: 100 to 500 messages a send are the fastest. */
const kafkaBatchMax = 500;

export async function loadKafka(configuration: Configuration, url: string, onEvent: OnEvent): Promise<LoadedTransport | null> {
  const options = await kafkaOptionsOf(configuration, url);
  if (options === null) return null;
  const { kafkaTransport } = await import("@waybill/kafka");
  const made = makeFromUrl(configuration, placesOf(configuration), () => kafkaTransport({ ...options, onEvent }));
  if (made === null) return null;
  const named = configuration.get(topics);
  const look: NonNullable<LoadedTransport["look"]> = (asked) => lookAtKafka(options, asked);
  return {
    transport: made,
    name: `kafka://${options.brokers.join(",")}`,
    batchMax: kafkaBatchMax,
    check:
      named === null
        ? null
        : async (deadlineMs) => await look({ topics: named.map((topic) => ({ topic, hasKeyless: false })), deadlineMs }),
    look,
  };
}

async function lookAtKafka(options: KafkaTransportOptions, { topics: asked, deadlineMs }: LookOptions): Promise<readonly Finding[]> {
  const { inspectKafka } = await import("@waybill/kafka");
  const keylessTopics = asked.filter(({ hasKeyless }) => hasKeyless).map(({ topic }) => topic);
  const report = await inspectKafka({ ...options, topics: asked.map(({ topic }) => topic), keylessTopics, deadlineMs });
  const { clusterId, brokers, idleTimer } = report;
  return [
    fine("Kafka", "reachable", `cluster ${clusterId}, ${brokers} brokers; idle timers of kafkajs: ${idleTimer}`),
    ...report.topics.map(({ topic, partitions }) => fine(`topic ${topic}`, "exists", `${partitions.length} partitions`)),
    ...report.findings.map(({ topic, ...finding }) => ({ ...finding, subject: topic === null ? "Kafka" : `topic ${topic}` })),
  ];
}

/** Problems go to the configuration; then the answer is null. */
async function kafkaOptionsOf(configuration: Configuration, url: string): Promise<KafkaTransportOptions | null> {
  const { parseKafkaUrl } = await import("@waybill/kafka");
  const inQuery = new URLSearchParams(url.split("?")[1] ?? "");
  for (const [setting, parameter] of alsoInUrl) {
    if (configuration.get(setting) !== null && inQuery.has(parameter))
      configuration.complain(setting.name, `is given twice: the URL has ${parameter}`);
  }
  const tls = brokerTlsOf(configuration);
  if (tls !== null && inQuery.get("ssl") === "false")
    configuration.complain(tlsSettingOf(configuration)?.name ?? "", "needs TLS, and the URL says ssl=false");

  const parsed = makeFromUrl(configuration, placesOf(configuration), () =>
    parseKafkaUrl(withCredentials(configuration, url, inQuery.has("sasl")), ["partitioner"]),
  );
  if (parsed === null) return null;
  const [client, clientId] = [configuration.get(kafkaClient), configuration.get(kafkaClientId)];
  const partitioner = configuration.get(kafkaPartitioner) ?? parsed.others.get("partitioner") ?? null;
  return {
    ...parsed.connection,
    ...(tls === null ? {} : { ssl: tls }),
    ...(client === null ? {} : { client }),
    ...(clientId === null ? {} : { clientId }),
    // What is no partitioner the transport says.
    ...(partitioner === null ? {} : { partitioner: partitioner as "murmur2" }),
  };
}

const alsoInUrl: readonly (readonly [setting: Setting<unknown>, parameter: string])[] = [
  [kafkaSasl, "sasl"],
  [kafkaClient, "client"],
  [kafkaClientId, "clientId"],
  [kafkaPartitioner, "partitioner"],
];

/** The URL as it would be if user, password and mechanism stood in it: one parser for both ways to give them. */
function withCredentials(configuration: Configuration, url: string, isMechanismInUrl: boolean): string {
  const [, scheme, inUrl, rest] = /^(kafka:\/\/)(?:([^@/?#]*)@)?(.*)$/s.exec(url) ?? [];
  if (scheme === undefined || rest === undefined) return url;
  const [userInUrl, passwordInUrl] = credentialsIn(inUrl);
  refuseSecondCredentials(configuration, { user: userInUrl !== undefined, password: passwordInUrl !== undefined });
  const [user, password, mechanism] = [configuration.get(brokerUser), configuration.get(brokerPassword), configuration.get(kafkaSasl)];
  const shownUser = userInUrl ?? (user === null ? undefined : encodeURIComponent(user));
  if (shownUser === undefined) {
    if (mechanism !== null) configuration.complain(kafkaSasl.name, "needs a user and a password");
    return url;
  }
  const shownPassword = passwordInUrl ?? (password === null ? "" : encodeURIComponent(password.reveal()));
  const whole = `${scheme}${shownUser}:${shownPassword}@${rest}`;
  return mechanism === null || isMechanismInUrl ? whole : `${whole}${whole.includes("?") ? "&" : "?"}sasl=${mechanism}`;
}

function credentialsIn(text: string | undefined): readonly [user?: string, password?: string] {
  if (text === undefined) return [];
  const colon = text.indexOf(":");
  return colon === -1 ? [text] : [text.slice(0, colon), text.slice(colon + 1)];
}

/** Where the transport's problems belong, if not to the URL. */
function placesOf(configuration: Configuration): Readonly<Record<string, string | undefined>> {
  const given = (setting: Setting<unknown>): string | undefined => (configuration.get(setting) === null ? undefined : setting.name);
  return {
    ssl: tlsSettings.map(given).find((name) => name !== undefined),
    "sasl.username": given(brokerUser),
    "sasl.password": brokerPassword.name,
    sasl: given(kafkaSasl),
    client: given(kafkaClient),
    clientId: given(kafkaClientId),
    partitioner: given(kafkaPartitioner),
  };
}
