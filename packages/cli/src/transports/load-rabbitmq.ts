/** An `amqp://` or `amqps://` URL – or several, separated by commas – and the settings beside it, to a transport. */
import { type OnEvent, secret } from "@waybill/core";
import type { RabbitmqTransportOptions } from "@waybill/rabbitmq";
import type { Configuration } from "../configuration.ts";
import { type Finding, fine } from "../finding.ts";
import {
  brokerPassword,
  brokerUser,
  rabbitmqBlockedLimitMs,
  rabbitmqManagementUrl,
  rabbitmqPartitions,
  rabbitmqPipelineKeys,
  rabbitmqTopology,
  topics,
} from "../settings.ts";
import { brokerTlsOf, makeFromUrl, refuseSecondCredentials, tlsSettingOf } from "./broker-settings.ts";
import type { LoadedTransport, LookOptions } from "./loaded-transport.ts";

/** The window of one exchange: more would only wait. */
const rabbitmqBatchMax = 500;

export async function loadRabbitmq(configuration: Configuration, text: string, onEvent: OnEvent): Promise<LoadedTransport | null> {
  const options = rabbitmqOptionsOf(configuration, text);
  const hasTopics = configuration.get(topics) !== null;
  const { rabbitmqTransport } = await import("@waybill/rabbitmq");
  const made = makeFromUrl(configuration, placesOf(configuration), () => rabbitmqTransport({ ...options, onEvent }));
  if (made === null) return null;
  return {
    transport: made,
    name: urlsIn(text).map(shown).join(","),
    batchMax: rabbitmqBatchMax,
    check: hasTopics
      ? async (deadlineMs) => {
          await made.start({ deadlineMs }); // what is doubtful comes as an event
          return [];
        }
      : null,
    look: (asked) => lookAtRabbitmq(options, asked),
  };
}

async function lookAtRabbitmq(options: RabbitmqTransportOptions, { topics: asked, deadlineMs }: LookOptions): Promise<readonly Finding[]> {
  const { inspectRabbitmq } = await import("@waybill/rabbitmq");
  const { partitions } = options;
  const destinations = asked.map(({ topic }) => [topic, partitions === undefined ? {} : { partitions }] as const);
  const report = await inspectRabbitmq({ ...options, topics: Object.fromEntries(destinations), deadlineMs });
  const isSeen = options.managementUrl !== undefined;
  const seen = isSeen ? "" : "; queues and policies are not looked at without a management URL";
  const doubtful = new Set(report.findings.filter(({ what }) => what === "exchange").map(({ name }) => name));
  return [
    fine("RabbitMQ", "reachable", `${report.broker}, version ${report.version ?? "unknown"}${seen}`),
    ...asked.filter(({ topic }) => !doubtful.has(topic)).map(({ topic }) => fine(`exchange ${topic}`, "exists", "there")),
    ...report.findings.map(({ level, what, name, rule, found, advice }) => ({ level, subject: `${what} ${name}`, rule, found, advice })),
  ];
}

/** Not checked yet: the transport does, and the look at a broker. */
function rabbitmqOptionsOf(configuration: Configuration, text: string): RabbitmqTransportOptions {
  const urls = urlsIn(text);
  const parsed = urls.flatMap((url) => (URL.canParse(url) ? [new URL(url)] : []));
  refuseSecondCredentials(configuration, {
    user: parsed.some(({ username }) => username !== ""),
    password: parsed.some(({ password }) => password !== ""),
  });
  const tls = brokerTlsOf(configuration);
  if (tls !== null && parsed.some(({ protocol }) => protocol === "amqp:"))
    configuration.complain(tlsSettingOf(configuration)?.name ?? "", "needs amqps://");
  const { key, ...publicTls } = tls ?? {};
  const [username, password] = [configuration.get(brokerUser), configuration.get(brokerPassword)];
  const [topology, partitions] = [configuration.get(rabbitmqTopology), configuration.get(rabbitmqPartitions)];
  const [blockedLimitMs, managementUrl] = [configuration.get(rabbitmqBlockedLimitMs), configuration.get(rabbitmqManagementUrl)];
  const named = configuration.get(topics);
  return {
    urls: urls.map((url) => secret(url)),
    pipelineKeys: configuration.get(rabbitmqPipelineKeys) === true,
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(tls === null ? {} : { tls: { ...publicTls, ...(key === undefined ? {} : { key: key.reveal() }) } }),
    ...(topology === null ? {} : { topology }),
    ...(partitions === null ? {} : { partitions }),
    ...(blockedLimitMs === null ? {} : { blockedLimitMs }),
    ...(managementUrl === null ? {} : { managementUrl }),
    ...(named === null ? {} : { topics: Object.fromEntries(named.map((topic) => [topic, partitions === null ? {} : { partitions }])) }),
  };
}

/** Where problems with these options belong, if not to the URL. */
function placesOf(configuration: Configuration): Readonly<Record<string, string | undefined>> {
  const ofTopics = (configuration.get(topics) ?? []).flatMap((topic) => [
    [`topics.${topic}`, topics.name],
    [`topics.${topic}.partitions`, rabbitmqPartitions.name],
  ]);
  return {
    tls: tlsSettingOf(configuration)?.name,
    topology: rabbitmqTopology.name,
    partitions: rabbitmqPartitions.name,
    blockedLimitMs: rabbitmqBlockedLimitMs.name,
    managementUrl: rabbitmqManagementUrl.name,
    ...(Object.fromEntries(ofTopics) as Record<string, string>),
  };
}

function urlsIn(text: string): readonly string[] {
  return text.split(/,(?=amqps?:\/\/)/i);
}

/** Without credentials. */
function shown(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
