/**
 * Which of several streams a message goes to: by the CRC-32 of topic, space and key in UTF-8, as the keys' locks are chosen, or of the message id
 * where there is no key. Every language can compute it, and every writer of a key must come to the same stream: order holds inside one.
 */
import { crc32 } from "node:zlib";
import { type ConfigProblem, throwConfigProblems } from "@waybill/core";
import type { OutboxOptions } from "./create-outbox.ts";
import { defaultStream } from "./ledger-tables.ts";
import type { StoredMessage } from "./stored-message.ts";

/** Each is asked in turn when a message is looked for, and needs a relay. */
const streamsMax = 64;

/** The place of the message's stream in a list of `count`. */
export function streamOf({ topic, key, messageId }: Pick<StoredMessage, "topic" | "key" | "messageId">, count: number): number {
  return crc32(key === null ? messageId : `${topic} ${key}`) % count;
}

/**
 * The streams that an outbox is to have, in their order.
 *
 * @throws WAYBILL_CONFIG_INVALID
 */
export function streamNames({ stream, streams }: Pick<OutboxOptions, "stream" | "streams">): readonly string[] {
  if (streams === undefined) return [stream ?? defaultStream];
  const problems: ConfigProblem[] = [];
  const note = (option: string, problem: string): void => void problems.push({ option, problem });
  if (stream !== undefined) note("stream", "not together with streams");
  if (!Array.isArray(streams) || streams.length === 0 || streams.length > streamsMax) note("streams", `a list of 1 to ${streamsMax} names`);
  else if (new Set(streams).size < streams.length) note("streams", "each name once");
  throwConfigProblems("The outbox", problems);
  return streams;
}
