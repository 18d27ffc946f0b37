import { connect } from "amqplib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type StartedRabbitmq, startRabbitmq } from "../src/index.ts";
import { findProgram } from "../src/servers/find-program.ts";
import { unpackedRabbitmq } from "../src/servers/rabbitmq-programs.ts";
import { serverAccount } from "../src/servers/server-account.ts";
import { describeLaunchedServer, startMs, whyNot } from "./launched-server.ts";

const missing = await whyNot(async () => {
  if ((await findProgram("rabbitmq-server")) === null) throw new Error("there is no rabbitmq-server: install it");
});

/** A confirmed persistent message in a durable queue. */
const keptInRabbitmq = {
  async write(url: string): Promise<void> {
    const model = await connect(url);
    const channel = await model.createConfirmChannel();
    await channel.assertQueue("kept", { durable: true });
    channel.sendToQueue("kept", Buffer.from("one"), { persistent: true });
    await channel.waitForConfirms();
    await model.close();
  },
  async read(url: string): Promise<unknown> {
    const model = await connect(url);
    const channel = await model.createChannel();
    const message = await channel.get("kept");
    if (message !== false) channel.nack(message);
    await channel.close();
    await model.close();
    return message === false ? null : message.content.toString();
  },
  kept: "one",
};

let installed: StartedRabbitmq | null = null;

describeLaunchedServer("a RabbitMQ of one's own", {
  kind: "rabbitmq",
  missing,
  async start() {
    installed = await startRabbitmq();
    return installed;
  },
  ...keptInRabbitmq,
  async write(url) {
    await keptInRabbitmq.write(url);
    await installed?.ctl("eval", "mnesia:sync_log()."); // before 4.0 a declaration reaches the disk a moment after it was answered
  },
  version: /^\d+\.\d+\.\d+$/,
});

describeLaunchedServer("a RabbitMQ of another Debian suite", {
  kind: "rabbitmq-4",
  missing: await whyNot(() => unpackedRabbitmq("sid", "/nowhere", serverAccount()), true),
  start: () => startRabbitmq({ suite: "sid" }),
  ...keptInRabbitmq,
  version: /^[4-9]\.\d+\.\d+$/,
});

describe.skipIf(missing !== null)("a running RabbitMQ", () => {
  let server: StartedRabbitmq;
  beforeAll(async () => {
    server = await startRabbitmq({ settings: { consumer_timeout: "3600000" } });
  }, startMs);
  afterAll(() => server?.stop(), 60_000);

  it("takes commands, and has the settings that it was given", async () => {
    expect(await server.ctl("eval", "application:get_env(rabbit, consumer_timeout).")).toBe("{ok,3600000}");
    await expect(server.ctl("no-such-command")).rejects.toThrow("no-such-command");
  }, 60_000);

  it("answers on its management port", async () => {
    const url = new URL("/api/overview", server.managementUrl);
    const authorization = `Basic ${Buffer.from(`${url.username}:${url.password}`).toString("base64")}`;
    url.username = "";
    url.password = "";
    const answer = await fetch(url, { headers: { authorization }, signal: AbortSignal.timeout(30_000) });
    expect(await answer.json()).toMatchObject({ rabbitmq_version: server.version });
  }, 60_000);
});
