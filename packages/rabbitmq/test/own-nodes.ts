/**
 * Nodes of a test file's own, for what a shared broker must not be put through: alarms, kills, limits. The installed version always;
 * with `WAYBILL_TEST_ALL=1` also RabbitMQ 4, from a newer Debian suite.
 */
import { type StartedRabbitmq, startRabbitmq } from "@waybill/testing";

export interface OwnNode {
  readonly name: string;
  /** `messageBytesMax`: small enough for a test to exceed. */
  start(options: { readonly messageBytesMax: number }): Promise<StartedRabbitmq>;
}

const ownNode = (name: string, suite?: string): OwnNode => ({
  name,
  start: ({ messageBytesMax }) =>
    startRabbitmq({ ...(suite === undefined ? {} : { suite }), settings: { max_message_size: String(messageBytesMax) } }),
});

export const newerNodes: readonly OwnNode[] = process.env.WAYBILL_TEST_ALL === "1" ? [ownNode("RabbitMQ 4", "sid")] : [];

export const ownNodes: readonly OwnNode[] = [ownNode("the installed RabbitMQ"), ...newerNodes];
