/**
 * Nodes of a test file's own, for what a shared broker must not be put through: alarms, kills, limits. The installed version always;
 * with `WAYBILL_TEST_ALL=1` also RabbitMQ 4, from a newer Debian suite.
 */
import { type StartedRabbitmq, startRabbitmq } from "@waybill/testing";

/** Small enough for a test to exceed. */
export const messageBytesMax = 200_000;

export interface OwnNode {
  readonly name: string;
  start(): Promise<StartedRabbitmq>;
}

export const ownNodes: readonly OwnNode[] = [
  { name: "the installed RabbitMQ", start: () => startRabbitmq({ settings: { max_message_size: String(messageBytesMax) } }) },
  ...(process.env.WAYBILL_TEST_ALL === "1"
    ? [
        {
          name: "RabbitMQ 4",
          start: () => startRabbitmq({ suite: "sid", settings: { max_message_size: String(messageBytesMax) } }),
        },
      ]
    : []),
];
