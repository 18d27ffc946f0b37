import { connect } from "amqplib";
import { amqpGreeting } from "./amqp-greeting.ts";
import { serviceUrl } from "./compose.ts";
import { startRabbitmq } from "./rabbitmq.ts";
import type { Found, ServerKind } from "./server-kind.ts";

const standardUrl = "amqp://guest:guest@127.0.0.1:5672";

export const rabbitmqKind: ServerKind = {
  title: "RabbitMQ",
  variable: "WAYBILL_TEST_RABBITMQ_URL",
  atStandardPort: () => atStandardPort(rabbitmqKind.variable),
  compose: {
    name: "rabbitmq",
    port: 5672,
    url: (address, { RABBITMQ_DEFAULT_USER: user, RABBITMQ_DEFAULT_PASS: password }) =>
      serviceUrl({ scheme: "amqp", address, user, password }),
  },
  launchedFrom: "started from the installed programs",
  launch: () => startRabbitmq(),
  version: rabbitmqVersion,
  advice: "install rabbitmq-server, start a docker engine, or put a URL into WAYBILL_TEST_RABBITMQ_URL",
};

/** A second, newer version: its quorum queues count deliveries in another way, and it denies what the older one still allows. */
export const rabbitmq4Kind: ServerKind = {
  ...rabbitmqKind,
  title: "RabbitMQ 4",
  variable: "WAYBILL_TEST_RABBITMQ_4_URL",
  async atStandardPort() {
    const found = await atStandardPort(rabbitmq4Kind.variable);
    if ("reason" in found) return found;
    const version = await rabbitmqVersion(found.url);
    return Number.parseInt(version, 10) >= 4 ? found : { reason: `on 127.0.0.1:5672 there is a RabbitMQ ${version}` };
  },
  launchedFrom: "started from Debian sid's package",
  launch: () => startRabbitmq({ suite: "sid" }),
  advice:
    "use Debian with its apt (as root, or with user namespaces), start a docker engine, or put a URL into WAYBILL_TEST_RABBITMQ_4_URL",
};

async function atStandardPort(variable: string): Promise<Found> {
  const where = "on 127.0.0.1:5672";
  const greeting = await amqpGreeting({ host: "127.0.0.1", port: 5672 });
  if (greeting.kind === "silent") return { reason: `${where} nobody answers` };
  try {
    await rabbitmqVersion(standardUrl);
    return { url: standardUrl };
  } catch {
    return { reason: `${where} a RabbitMQ ${greeting.version} does not let user guest in: put a URL into ${variable}` };
  }
}

async function rabbitmqVersion(url: string): Promise<string> {
  const model = await connect(url, { timeout: 5_000 });
  model.on("error", () => undefined); // we are leaving anyway
  const { product, version } = model.connection.serverProperties;
  await model.close();
  if (product !== "RabbitMQ") throw new Error(`it is a ${product}`);
  return version;
}
