import { connect } from "amqplib";
import { serviceUrl } from "./compose.ts";
import type { ServerKind } from "./server-kind.ts";

export const rabbitmqKind: ServerKind = {
  title: "RabbitMQ",
  variable: "WAYBILL_TEST_RABBITMQ_URL",
  async atStandardPort() {
    const url = "amqp://guest:guest@127.0.0.1:5672";
    try {
      await rabbitmqVersion(url);
      return { url };
    } catch (error) {
      return { reason: `on 127.0.0.1:5672 nobody lets user guest in (${(error as NodeJS.ErrnoException).code ?? "no AMQP"})` };
    }
  },
  compose: {
    name: "rabbitmq",
    port: 5672,
    url: (address, { RABBITMQ_DEFAULT_USER: user, RABBITMQ_DEFAULT_PASS: password }) =>
      serviceUrl({ scheme: "amqp", address, user, password }),
  },
  launchedFrom: "started from the installed programs",
  launch: () => Promise.reject(new Error("a test run cannot start one by itself")),
  version: rabbitmqVersion,
  advice: "install rabbitmq-server, or put a URL into WAYBILL_TEST_RABBITMQ_URL",
};

async function rabbitmqVersion(url: string): Promise<string> {
  const model = await connect(url, { timeout: 5_000 });
  model.on("error", () => undefined); // we are leaving anyway
  const { product, version } = model.connection.serverProperties;
  await model.close();
  if (product !== "RabbitMQ") throw new Error(`it is a ${product}`);
  return version;
}
